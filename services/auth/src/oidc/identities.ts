import { NAME_CHARACTERS_MAX, ProblemError, problems, type Language, type LinkedIdentity } from '@saas/contracts'
import { sql, type Database, type Transaction } from '@saas/state'
import { newId } from '@saas/config'
import { accountColumns, emailKeyOf, nameOf, usableName, type Account } from '../account.ts'
import { NO_PASSWORD } from '../hashing.ts'
import type { ProvidedIdentity } from './provider-client.ts'

/** Of one account, whatever their providers. */
const IDENTITIES_MAX = 20

interface IdentityRow {
  readonly id: string
  readonly provider: string
  readonly email: string | null
  readonly createdAt: Date
}

const selectIdentities = sql<IdentityRow>(
  'auth.linked_identities',
  `select id, provider, email, created_at as "createdAt"
   from linked_identity
   where account_id = $1
   order by created_at, id
   limit ${IDENTITIES_MAX}`,
)

const countIdentities = sql<{ count: number }>(
  'auth.count_identities',
  'select count(*) as count from linked_identity where account_id = $1',
)

const lockOwner = sql<Account>(
  'auth.lock_owner_of_identity',
  `select ${accountColumns}
   from account
   where id = (select account_id from linked_identity where issuer = $1 and subject = $2)
   for no key update`,
)

const touchIdentity = sql(
  'auth.touch_identity',
  'update linked_identity set last_used_at = $3, email = $4 where issuer = $1 and subject = $2',
)

const insertIdentity = sql<{ id: string }>(
  'auth.insert_identity',
  `insert into linked_identity (id, account_id, issuer, subject, provider, email, created_at, last_used_at)
   values ($1, $2, $3, $4, $5, $6, $7, $7)
   on conflict (issuer, subject) do nothing
   returning id`,
)

const deleteIdentity = sql<{ provider: string }>(
  'auth.delete_identity',
  'delete from linked_identity where id = $1 and account_id = $2 returning provider',
)

const lockByEmail = sql<Account>(
  'auth.lock_account_for_identity',
  `select ${accountColumns} from account where email_key = $1 for no key update`,
)

const insertAccount = sql<Account>(
  'auth.insert_account_of_identity',
  `insert into account (id, email, email_key, name, language, roles, password_hash, verified_at, created_at, updated_at)
   values ($1, $2, $3, $4, $5, '{customer}', $6, $7, $7, $7)
   on conflict (email_key) do nothing
   returning ${accountColumns}`,
)

/** Which accounts at providers open which accounts here. */
export class Identities {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async list(accountId: string): Promise<LinkedIdentity[]> {
    const rows = await this.#database.read(selectIdentities, [accountId])
    return rows.map(({ id, provider, email, createdAt }) => ({
      id,
      provider,
      email,
      createdAt: createdAt.toISOString(),
    }))
  }

  /** Whose it is, locked. */
  async ownerOf(tx: Transaction, identity: ProvidedIdentity, now: Date): Promise<Account | undefined> {
    const { issuer, subject, email } = identity
    const [account] = await tx.query(lockOwner, [issuer, subject])
    if (account !== undefined) await tx.query(touchIdentity, [issuer, subject, now, email])
    return account
  }

  async byEmail(tx: Transaction, email: string): Promise<Account | undefined> {
    const [account] = await tx.query(lockByEmail, [emailKeyOf(email)])
    return account
  }

  /** An account without a password, for an address that the provider has proven. `undefined` when somebody was faster. */
  async newAccount(
    tx: Transaction,
    { email, name, language }: { readonly email: string; readonly name: string | null; readonly language: Language },
    now: Date,
  ): Promise<Account | undefined> {
    const values = [newId(), email, emailKeyOf(email), nameFor(name, email), language, NO_PASSWORD, now]
    const [account] = await tx.query(insertAccount, values)
    return account
  }

  /** Lets it open the account, whose row is locked. @throws {ProblemError} `identity-taken` when it is linked already, `identities-full` */
  async link(
    tx: Transaction,
    accountId: string,
    provider: string,
    identity: ProvidedIdentity,
    now: Date,
  ): Promise<void> {
    // What is beyond would open the account and stand in no list.
    const [known] = await tx.query(countIdentities, [accountId])
    if ((known?.count ?? 0) >= IDENTITIES_MAX) throw new ProblemError(problems.identitiesFull)
    const { issuer, subject, email } = identity
    const values = [newId(), accountId, issuer, subject, provider, email, now]
    const linked = await tx.query(insertIdentity, values)
    if (linked.length === 0) throw new ProblemError(problems.identityTaken)
  }

  /** Answers the provider, `undefined` when there is none. */
  async unlink(tx: Transaction, accountId: string, id: string): Promise<string | undefined> {
    const [row] = await tx.query(deleteIdentity, [id, accountId])
    return row?.provider
  }
}

/** What somebody is called here who is called that at a provider. */
export function nameFor(given: string | null, email: string): string {
  try {
    return usableName(
      Array.from((given ?? '').normalize('NFC'))
        .slice(0, NAME_CHARACTERS_MAX)
        .join(''),
    )
  } catch {
    // A provider’s name may be anything; nobody is kept out for it.
    return nameOf(email)
  }
}
