import { authEvents, ProblemError, problems } from '@saas/contracts'
import { sql, type Bus, type Database, type Transaction } from '@saas/state'
import type { Clock } from '@saas/config'
import { emission, emit, recipientOf, sessionRevoked, userChanged } from './account-events.ts'
import { accountColumns, emailKeyOf, type Account } from './account.ts'
import type { Accounts } from './accounts.ts'
import type { Audit } from './audit.ts'
import type { Client } from './client.ts'
import type { PasswordHashing } from './hashing.ts'
import type { MailedSecrets } from './mailed-secrets.ts'
import { refuseWeakPassword } from './password-rules.ts'
import type { Reproofs } from './reproof.ts'
import type { Revocations } from './revocations.ts'
import { endAndRevokeSessions, revokeOlderTokens } from './session-end.ts'
import type { Throttle } from './throttle.ts'

// A reset proves the address as well: it came with a mail.
const setPassword = sql<Account>(
  'auth.set_password',
  `update account
   set password_hash = $2,
     security_version = security_version + 1,
     verified_at = coalesce(verified_at, $3),
     updated_at = $3
   where id = $1 and disabled_at is null and ($4::text is null or password_hash = $4)
   returning ${accountColumns}`,
)

interface PasswordsContext {
  readonly database: Database
  readonly bus: Pick<Bus, 'nudge'>
  readonly clock: Clock
  readonly accounts: Accounts
  readonly audit: Audit
  readonly hashing: PasswordHashing
  readonly reproofs: Reproofs
  readonly secrets: MailedSecrets
  readonly revocations: Revocations
  readonly throttle: Throttle
}

/** Changing a password, by showing again who is there or by a mailed link. Either ends every other session and voids what was mailed before. */
export class Passwords {
  readonly #context: PasswordsContext

  constructor(context: PasswordsContext) {
    this.#context = context
  }

  /** @throws {ProblemError} `wrong-token`, `weak-password`, `too-many-requests` */
  async reset(token: string, password: string, client: Client, traceParent: string): Promise<void> {
    await this.#context.throttle.take('prove', token, client.network)
    const proof = await this.#context.secrets.peekToken(token, 'reset')
    if (proof === undefined) throw new ProblemError(problems.wrongToken)
    const { accountId } = proof
    const account = await this.#context.accounts.byId(accountId)
    refuseWeakPassword(password, account, '/password')
    const newHash = await this.#context.hashing.hash(password)
    await this.#context.database.transaction(async (tx) => {
      // The account is locked before the token, as everywhere; of two at once the second finds the token used and undoes its change.
      const [changed] = await tx.query(setPassword, [accountId, newHash, this.#now(), null])
      const isUsed = await this.#context.secrets.useToken(tx, token, 'reset')
      if (changed === undefined || !isUsed) throw new ProblemError(problems.wrongToken)
      await this.#context.throttle.forgiveAccount(tx, 'sign-in', emailKeyOf(changed.email))
      await this.#endOthers(tx, changed, undefined, client, traceParent)
    })
    await this.#publish()
  }

  /**
   * Where a second factor is on, this session must have shown it a moment ago: whoever has an open browser and the old password would
   * else take the account, for all others are signed out then.
   *
   * @throws {ProblemError} `wrong-credentials`, `reauthentication-required`, `weak-password`, `too-many-requests`
   */
  async change(
    caller: { readonly userId: string; readonly sessionId: string },
    passwords: { readonly currentPassword: string; readonly newPassword: string },
    client: Client,
    traceParent: string,
  ): Promise<void> {
    const account = await this.#context.accounts.byId(caller.userId)
    refuseWeakPassword(passwords.newPassword, account, '/newPassword')
    const { currentPassword } = passwords
    await this.#context.reproofs.require(account, caller.sessionId, { currentPassword }, client)
    const newHash = await this.#context.hashing.hash(passwords.newPassword)
    await this.#context.database.transaction(async (tx) => {
      const values = [account.id, newHash, this.#now(), account.passwordHash]
      const [changed] = await tx.query(setPassword, values)
      if (changed === undefined) throw new ProblemError(problems.wrongCredentials)
      await this.#endOthers(tx, changed, caller.sessionId, client, traceParent)
    })
    await this.#publish()
  }

  async #endOthers(
    tx: Transaction,
    account: Account,
    kept: string | undefined,
    client: Client,
    traceParent: string,
  ): Promise<void> {
    const now = this.#now()
    const who = kept === undefined ? {} : { byId: account.id }
    await this.#context.audit.record(tx, { action: 'password-changed', accountId: account.id, ...who, client })
    await endAndRevokeSessions(tx, account.id, kept === undefined ? {} : { but: kept }, 'password-changed', now)
    await revokeOlderTokens(tx, account, kept, now)
    await this.#context.secrets.voidAll(tx, account)
    const changed = emission(authEvents.passwordChanged, { ...recipientOf(account), changedAt: now.toISOString() })
    await emit(tx, account.id, [userChanged(account), changed, sessionRevoked(account.id, null)], traceParent)
  }

  async #publish(): Promise<void> {
    this.#context.bus.nudge()
    await this.#context.revocations.read()
  }

  #now(): Date {
    return this.#context.clock.now()
  }
}
