import { sql, type Transaction } from '@saas/state'
import { accountColumns, type Account } from './account.ts'
import { NO_PASSWORD } from './hashing.ts'

// A registration that proves the address brings its name and password; any other proof brings none, and takes none over
// that a stranger may have given.
const prove = sql<Account>(
  'auth.prove_address',
  `update account
   set verified_at = $2,
     updated_at = $2,
     name = coalesce(r.name, $5, account.name),
     language = coalesce(r.language, account.language),
     zone = case when r.id is null then account.zone else r.zone end,
     password_hash = coalesce(r.password_hash, $4)
   from (select) as one
   left join registration as r on r.id = $3
   where account.id = $1
     and account.verified_at is null
     and account.disabled_at is null
     and (r.id is null or r.account_id = account.id)
   returning ${accountColumns}`,
)

const lockAccountId = sql<{ id: string }>(
  'auth.lock_account_id_by_email',
  'select id from account where email_key = $1 for no key update',
)

/** Who proved an address: a registration by its own mail, or whoever reads the mailbox. */
export interface AddressProof {
  readonly accountId: string
  readonly registrationId: string | null
  /** What somebody is called where their address was proven. */
  readonly name?: string
}

/** The account with its address proven, or `undefined` when there was nothing to prove. */
export async function proveAddress(
  tx: Transaction,
  { accountId, registrationId, name }: AddressProof,
  now: Date,
): Promise<Account | undefined> {
  const [account] = await tx.query(prove, [accountId, now, registrationId, NO_PASSWORD, name ?? null])
  return account
}

/** Whose address it is, locked until the transaction ends. */
export async function lockAccountOf(tx: Transaction, emailKey: string): Promise<string | undefined> {
  const [found] = await tx.query(lockAccountId, [emailKey])
  return found?.id
}
