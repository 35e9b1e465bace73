import { authEvents, ProblemError, problems, type Profile } from '@saas/contracts'
import { sql, type Bus, type Database, type Transaction } from '@saas/state'
import type { Clock } from '@saas/config'
import { emission, emit, recipientOf, sessionRevoked, userChanged } from './account-events.ts'
import type { AccountRequests } from './account-requests.ts'
import { accountColumns, emailKeyOf, profileOf, type Account } from './account.ts'
import type { Accounts } from './accounts.ts'
import type { Audit } from './audit.ts'
import type { Client } from './client.ts'
import { sha256 } from './derived-keys.ts'
import { NO_PASSWORD } from './hashing.ts'
import { removeFactorsSince } from './factors/added-since.ts'
import { factorChanged } from './factors/second-factors.ts'
import type { MailedSecrets } from './mailed-secrets.ts'
import { giveAddress } from './new-address.ts'
import type { Reproof, Reproofs } from './reproof.ts'
import type { Revocations } from './revocations.ts'
import type { Throttle } from './throttle.ts'

/** Long enough to notice, short enough that an old mailbox is not a key for ever. */
const UNDO_LIFETIME_MS = 72 * 3_600_000

const lockAccount = sql<Account>(
  'auth.lock_moving_account',
  `select ${accountColumns} from account where id = $1 for no key update`,
)

const takeByToken = sql<{ email: string }>(
  'auth.take_email_change_by_token',
  `delete from email_change
   where account_id = $1 and token_hash = $2 and expires_at > $3
   returning email`,
)

// A try is written down whatever comes of it: of two at once each counts, and the right code is right once.
const tryCode = sql<{ isRight: boolean; email: string }>(
  'auth.try_email_change_code',
  `update email_change as c
   set tries_left = case when c.code_hash = $2 then 0 else greatest(0, c.tries_left - 1) end
   where account_id = $1
   returning old.tries_left > 0 and old.code_expires_at > $3 and old.code_hash = $2 as "isRight", c.email`,
)

const takeByEmail = sql<{ email: string }>(
  'auth.take_email_change_by_email',
  'delete from email_change where account_id = $1 and email = $2 returning email',
)

// Undos of one account expire in the order of their changes, whichever replicas' clocks made them: taking one change back voids those of later ones.
const insertUndo = sql<{ expiresAt: Date }>(
  'auth.insert_email_undo',
  `insert into email_undo (token_hash, account_id, email, expires_at)
   select $1, $2, $3, greatest($4, max(expires_at) + interval '1 millisecond')
   from email_undo
   where account_id = $2
   returning expires_at as "expiresAt"`,
)

const selectUndo = sql<{ accountId: string }>(
  'auth.email_undo',
  'select account_id as "accountId" from email_undo where token_hash = $1 and expires_at > $2',
)

const takeUndo = sql<{ email: string; expiresAt: Date }>(
  'auth.take_email_undo',
  `delete from email_undo where token_hash = $1 and expires_at > $2 returning email, expires_at as "expiresAt"`,
)

const deleteLaterUndos = sql(
  'auth.delete_later_email_undos',
  'delete from email_undo where account_id = $1 and expires_at > $2',
)

interface EmailChangesContext {
  readonly database: Database
  readonly bus: Pick<Bus, 'nudge'>
  readonly clock: Clock
  readonly accounts: Accounts
  readonly audit: Audit
  readonly reproofs: Reproofs
  readonly requests: AccountRequests
  readonly revocations: Revocations
  readonly secrets: MailedSecrets
  readonly throttle: Throttle
}

/** Moving an account to another address: asked for by its owner, proven by the new mailbox, told to the old one. */
export class EmailChanges {
  readonly #context: EmailChangesContext

  constructor(context: EmailChangesContext) {
    this.#context = context
  }

  /**
   * Has the new address asked. Whether it has an account is not looked at before the answer (see decision 10).
   *
   * @throws {ProblemError} `wrong-credentials`, `reauthentication-required`, `invalid-request`, `too-many-requests`
   */
  async request(
    accountId: string,
    sessionId: string,
    { email, ...reproof }: { readonly email: string } & Reproof,
    client: Client,
    traceParent: string,
  ): Promise<void> {
    const account = await this.#context.accounts.byId(accountId)
    if (emailKeyOf(email) === emailKeyOf(account.email)) {
      throw new ProblemError(problems.invalidRequest, {
        errors: [{ pointer: '/email', detail: 'is already your address', code: 'unchanged' }],
      })
    }
    await this.#context.reproofs.require(account, sessionId, reproof, client)
    await this.#context.throttle.take('mail', emailKeyOf(email), client.network)
    await this.#context.requests.requestEmailChange(email, accountId, traceParent)
  }

  /**
   * Only who is signed in to the account proves its new address, so that nobody whose mailbox was named confirms a
   * stranger's account by opening a link.
   *
   * @throws {ProblemError} `wrong-token`, `address-taken`, `too-many-requests`
   */
  async confirm(
    caller: { readonly userId: string; readonly sessionId: string },
    proof: { readonly token: string } | { readonly code: string },
    client: Client,
    traceParent: string,
  ): Promise<Profile> {
    const { userId, sessionId } = caller
    await this.#context.throttle.take('prove', userId, client.network)
    const proven = 'code' in proof ? await this.#provenByCode(userId, proof.code) : undefined
    const account = await this.#context.database.transaction(async (tx) => {
      const now = this.#context.clock.now()
      const [before] = await tx.query(lockAccount, [userId])
      const [taken] =
        'token' in proof
          ? await tx.query(takeByToken, [userId, sha256(proof.token), now])
          : await tx.query(takeByEmail, [userId, proven])
      if (before === undefined || taken === undefined) throw new ProblemError(problems.wrongToken)
      await this.#context.secrets.voidCodes(tx, before.email)
      const changed = await giveAddress(tx, before, { email: taken.email, kept: sessionId }, now, traceParent)
      await this.#context.audit.record(tx, { action: 'email-changed', accountId: userId, byId: userId, client })
      const told = await this.#changed(tx, before, now)
      await emit(tx, userId, [userChanged(changed), told, sessionRevoked(userId, null)], traceParent)
      return changed
    })
    await this.#publish()
    return profileOf(account)
  }

  /**
   * For whoever reads the old mailbox and did not ask for this. The account gets its address back, nobody is signed in to it any
   * more, the password that let the change happen is gone, and so is every other way in that was added since. A link to set a new
   * password is mailed.
   *
   * @throws {ProblemError} `wrong-token`, `address-taken`, `too-many-requests`
   */
  async undo(token: string, client: Client, traceParent: string): Promise<void> {
    await this.#context.throttle.take('prove', token, client.network)
    const now = this.#context.clock.now()
    const [found] = await this.#context.database.read(selectUndo, [sha256(token), now])
    if (found === undefined) throw new ProblemError(problems.wrongToken)
    await this.#context.database.transaction(async (tx) => {
      const [before] = await tx.query(lockAccount, [found.accountId])
      const [taken] = await tx.query(takeUndo, [sha256(token), now])
      if (before === undefined || taken === undefined) throw new ProblemError(problems.wrongToken)
      const given = { email: taken.email, passwordHash: NO_PASSWORD }
      const restored = await giveAddress(tx, before, given, now, traceParent)
      await this.#context.secrets.voidCodes(tx, before.email)
      // Those of earlier changes stay: whoever made them may be who takes this one back.
      await tx.query(deleteLaterUndos, [before.id, taken.expiresAt])
      const changedAt = new Date(taken.expiresAt.getTime() - UNDO_LIFETIME_MS)
      const removed = await removeFactorsSince(tx, before.id, changedAt)
      const detail = { removed: removed.map(({ factor, label = factor }) => (factor === 'identity' ? label : factor)) }
      await this.#context.audit.record(tx, { action: 'email-restored', accountId: before.id, client, detail })
      const reset = await this.#context.secrets.requestReset(tx, restored)
      // Of recovery codes the page speaks: the mail about them is an administrator's doing.
      const told = removed
        .filter(({ factor }) => factor !== 'recovery-codes')
        .map((change) => factorChanged(restored, change, now))
      await emit(tx, before.id, [userChanged(restored), reset, ...told, sessionRevoked(before.id, null)], traceParent)
    })
    await this.#publish()
  }

  async #provenByCode(accountId: string, code: string): Promise<string> {
    const values = [accountId, this.#context.secrets.emailChangeCodeHash(accountId, code), this.#context.clock.now()]
    const [tried] = await this.#context.database.write(tryCode, values)
    if (tried?.isRight !== true) throw new ProblemError(problems.wrongToken)
    return tried.email
  }

  async #changed(tx: Transaction, before: Account, now: Date) {
    const { token, secret } = await this.#context.secrets.newUndo()
    const endsAt = new Date(now.getTime() + UNDO_LIFETIME_MS)
    const [undo] = await tx.query(insertUndo, [sha256(token), before.id, before.email, endsAt])
    const { expiresAt } = undo ?? { expiresAt: endsAt }
    return emission(authEvents.emailChanged, {
      ...recipientOf(before),
      secret,
      changedAt: now.toISOString(),
      expiresAt: expiresAt.toISOString(),
    })
  }

  async #publish(): Promise<void> {
    this.#context.bus.nudge()
    await this.#context.revocations.read()
  }
}
