import { createHash, timingSafeEqual } from 'node:crypto'
import { PAGE_ITEMS_DEFAULT, ProblemError, problems, type Role, type User } from '@saas/contracts'
import { sql, type Bus, type Database, type Transaction } from '@saas/state'
import { newId, type Clock } from '@saas/config'
import type { Logger } from '@saas/http'
import { emit, sessionRevoked, userChanged, type Emission } from './account-events.ts'
import { accountColumns, emailKeyOf, usableName, userOf, type Account } from './account.ts'
import { lockAdministrators, refuseLastAdministrator } from './administrators.ts'
import type { Audit } from './audit.ts'
import type { Client } from './client.ts'
import { removeFactorsSince } from './factors/added-since.ts'
import type { PasswordHashing } from './hashing.ts'
import { voidLinks } from './mailed-secrets.ts'
import { refuseWeakPassword } from './password-rules.ts'
import type { Revocations } from './revocations.ts'
import { endAndRevokeSessions, revokeOlderTokens } from './session-end.ts'
import type { Throttle } from './throttle.ts'

const selectUsers = sql<Account>(
  'auth.users',
  `select ${accountColumns}
   from account
   where ($1::uuid is null or id < $1)
     and ($2::text is null or position($2 in email_key) > 0 or position($2 in lower(name)) > 0)
   order by id desc
   limit $3`,
)

const anyAdministrator = sql<{ id: string }>(
  'auth.any_administrator',
  `select id from account where 'admin' = any (roles) limit 1`,
)

const lockAccount = sql<Account>(
  'auth.lock_account',
  `select ${accountColumns} from account where id = $1 for no key update`,
)

const updateRoles = sql<Account>(
  'auth.update_roles',
  `update account
   set roles = $2, security_version = security_version + 1, updated_at = $3
   where id = $1
   returning ${accountColumns}`,
)

const updateDisabled = sql<Account>(
  'auth.update_disabled',
  `update account
   set disabled_at = $2, security_version = security_version + 1, updated_at = $3
   where id = $1
   returning ${accountColumns}`,
)

// An account that has the address already becomes the administrator's: its password is replaced, and no other way into it is left.
const upsertAdministrator = sql<Account>(
  'auth.upsert_administrator',
  `insert into account (id, email, email_key, name, language, roles, password_hash, verified_at, created_at, updated_at)
   values ($1, $2, $3, $4, $7, '{admin}', $5, $6, $6, $6)
   on conflict (email_key) do update
   set name = excluded.name,
     roles = excluded.roles,
     password_hash = excluded.password_hash,
     verified_at = excluded.verified_at,
     disabled_at = null,
     security_version = account.security_version + 1,
     updated_at = excluded.updated_at
   returning ${accountColumns}`,
)

const voidUndos = sql('auth.void_email_undos', 'delete from email_undo where account_id = $1')

/** The administrator who does something, and from where. */
export interface Actor {
  readonly byId: string
  readonly client: Client
}

interface AdministrationContext {
  readonly database: Database
  readonly bus: Pick<Bus, 'nudge'>
  readonly clock: Clock
  readonly logger: Logger
  readonly audit: Audit
  readonly hashing: PasswordHashing
  readonly revocations: Revocations
  readonly throttle: Throttle
  readonly bootstrapToken: string | undefined
}

/** What administrators do to accounts, and how the first of them comes to be. */
export class Administration {
  readonly #context: AdministrationContext

  constructor(context: AdministrationContext) {
    this.#context = context
  }

  /** Newest first. `q` is looked for in addresses and names. */
  async listUsers(page: {
    readonly limit?: number
    readonly cursor?: string
    readonly q?: string
  }): Promise<{ items: User[]; next: string | null }> {
    const limit = page.limit ?? PAGE_ITEMS_DEFAULT
    const after = page.cursor === undefined ? null : readCursor(page.cursor)
    const rows = await this.#context.database.read(selectUsers, [after, page.q?.toLowerCase() ?? null, limit + 1])
    const items = rows.slice(0, limit).map(userOf)
    const last = items.at(-1)
    return { items, next: rows.length > limit && last !== undefined ? writeCursor(last.id) : null }
  }

  /**
   * Sessions go on with the new roles: only the access tokens that carry the old ones end.
   *
   * @throws {ProblemError} `not-found`, `last-administrator`
   */
  async setRoles(id: string, roles: readonly Role[], by: Actor, traceParent: string): Promise<User> {
    const sorted = roles.toSorted()
    return await this.#change(id, traceParent, async (tx, before) => {
      if (before.roles.toSorted().join() === sorted.join()) return undefined
      if (!sorted.includes('admin')) await refuseLastAdministrator(tx, before)
      const [account] = await tx.query(updateRoles, [id, sorted, this.#context.clock.now()])
      const detail = { before: before.roles.toSorted(), after: sorted }
      await this.#context.audit.record(tx, { action: 'roles-changed', accountId: id, ...by, detail })
      this.#context.logger.info({ userId: id, by: by.byId, roles: sorted }, 'roles changed')
      return account
    })
  }

  /** @throws {ProblemError} `not-found`, `last-administrator` */
  async setDisabled(id: string, disabled: boolean, by: Actor, traceParent: string): Promise<User> {
    return await this.#change(id, traceParent, async (tx, before) => {
      if ((before.disabledAt !== null) === disabled) return undefined
      const now = this.#context.clock.now()
      if (disabled) await refuseLastAdministrator(tx, before)
      const [account] = await tx.query(updateDisabled, [id, disabled ? now : null, now])
      if (disabled) await endAndRevokeSessions(tx, id, {}, 'disabled', now)
      await this.#context.audit.record(tx, { action: disabled ? 'disabled' : 'enabled', accountId: id, ...by })
      this.#context.logger.info({ userId: id, by: by.byId, disabled }, 'account disabled or enabled')
      return account
    })
  }

  /**
   * Makes the first administrator, once.
   *
   * @throws {ProblemError} `wrong-credentials` for a wrong token or when none is configured, `bootstrap-closed`, `weak-password`
   */
  async bootstrap(
    form: { readonly bootstrapToken: string; readonly email: string; readonly password: string; readonly name: string },
    client: Client,
    traceParent: string,
  ): Promise<User> {
    // By where a guess comes from alone: with one count for all, whoever guesses would keep the operator out.
    await this.#context.throttle.take('bootstrap', client.network, client.network)
    if (!this.#isBootstrapToken(form.bootstrapToken)) throw new ProblemError(problems.wrongCredentials)
    const name = usableName(form.name)
    refuseWeakPassword(form.password, { email: form.email, name }, '/password')
    await this.#refuseBootstrapped(this.#context.database.read(anyAdministrator))
    const passwordHash = await this.#context.hashing.hash(form.password)
    const account = await this.#context.database.transaction(async (tx) => {
      await lockAdministrators(tx)
      await this.#refuseBootstrapped(tx.query(anyAdministrator))
      const now = this.#context.clock.now()
      const values = [newId(), form.email, emailKeyOf(form.email), name, passwordHash, now, client.language]
      const [made] = await tx.query(upsertAdministrator, values)
      if (made === undefined) throw new Error('The administrator was not written')
      await removeFactorsSince(tx, made.id, new Date(0))
      await tx.query(voidLinks, [made.id])
      await tx.query(voidUndos, [made.id])
      await endAndRevokeSessions(tx, made.id, {}, 'password-changed', now)
      await revokeOlderTokens(tx, made, undefined, now)
      await this.#context.audit.record(tx, { action: 'bootstrapped', accountId: made.id, client })
      await emit(tx, made.id, [userChanged(made), sessionRevoked(made.id, null)], traceParent)
      return made
    })
    await this.#publish()
    this.#context.logger.warn({ userId: account.id }, 'the first administrator was made')
    return userOf(account)
  }

  /** Runs `change`, which answers the changed account or `undefined` when there was nothing to change. */
  async #change(
    id: string,
    traceParent: string,
    change: (tx: Transaction, before: Account) => Promise<Account | undefined>,
  ): Promise<User> {
    const user = await this.#context.database.transaction(async (tx) => {
      await lockAdministrators(tx)
      const [before] = await tx.query(lockAccount, [id])
      if (before === undefined) throw new ProblemError(problems.notFound)
      const changed = await change(tx, before)
      if (changed === undefined) return userOf(before)
      await revokeOlderTokens(tx, changed, undefined, this.#context.clock.now())
      const emissions: readonly Emission[] = [userChanged(changed), sessionRevoked(changed.id, null)]
      await emit(tx, changed.id, emissions, traceParent)
      return userOf(changed)
    })
    await this.#publish()
    return user
  }

  async #refuseBootstrapped(administrators: Promise<readonly unknown[]>): Promise<void> {
    if ((await administrators).length > 0) throw new ProblemError(problems.bootstrapClosed)
  }

  /** Compares digests, so that neither the place of the first difference nor the length shows in the time. */
  #isBootstrapToken(given: string): boolean {
    if (this.#context.bootstrapToken === undefined) return false
    const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
    return timingSafeEqual(digest(given), digest(this.#context.bootstrapToken))
  }

  async #publish(): Promise<void> {
    this.#context.bus.nudge()
    await this.#context.revocations.read()
  }
}

function writeCursor(id: string): string {
  return Buffer.from(id.replaceAll('-', ''), 'hex').toString('base64url')
}

/** @throws {ProblemError} `invalid-request` for what `writeCursor` did not write. */
function readCursor(cursor: string): string {
  const hex = Buffer.from(cursor, 'base64url').toString('hex')
  const parts = /^(.{8})(.{4})(.{4})(.{4})(.{12})$/.exec(hex)
  if (parts === null) {
    throw new ProblemError(problems.invalidRequest, {
      errors: [{ pointer: '/query/cursor', detail: 'must be the `next` of an earlier answer' }],
    })
  }
  return parts.slice(1).join('-')
}
