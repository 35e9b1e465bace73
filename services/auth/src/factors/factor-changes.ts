import { ProblemError, problems } from '@saas/contracts'
import { sql, type Bus, type Database, type Transaction } from '@saas/state'
import type { Clock } from '@saas/config'
import { emit, sessionRevoked } from '../account-events.ts'
import { accountColumns, type Account } from '../account.ts'
import type { Audit } from '../audit.ts'
import type { Revocations } from '../revocations.ts'
import { endAndRevokeSessions, revokeOlderTokens } from '../session-end.ts'
import type { RecoveryCodes } from './recovery-codes.ts'
import { needsSecondFactor } from './required.ts'
import { factorChanged, hasFactor, type FactorChange, type SecondFactors } from './second-factors.ts'

/** How long after proving who they are somebody may change what opens their account. */
const RECENT_MS = 10 * 60_000

const lockAccount = sql<Account>(
  'auth.lock_account_for_factors',
  `select ${accountColumns} from account where id = $1 and disabled_at is null for no key update`,
)

const selectRecent = sql<{ isRecent: boolean }>(
  'auth.is_recent_session',
  `select coalesce(authenticated_at, created_at) > $3 as "isRecent"
   from session
   where id = $1 and account_id = $2 and ended_at is null`,
)

const markSession = sql<{ id: string }>(
  'auth.mark_session_proven',
  `update session
   set authenticated_at = $3,
     second_factor_at = case when $4 then $3 else second_factor_at end
   where id = $1 and account_id = $2 and ended_at is null
   returning id`,
)

const unmarkSessions = sql('auth.unmark_sessions', 'update session set second_factor_at = null where account_id = $1')

const raiseVersion = sql<Account>(
  'auth.raise_security_version',
  `update account
   set security_version = security_version + 1, updated_at = $2
   where id = $1
   returning ${accountColumns}`,
)

/** Who is signed in, by which session. */
export interface Caller {
  readonly userId: string
  readonly sessionId: string
  readonly traceParent: string
}

/** A change that is being made, in its transaction, which has locked the account. */
export interface Change {
  readonly tx: Transaction
  readonly account: Account
  readonly caller: Caller
  readonly now: Date
}

interface FactorChangesContext {
  readonly database: Database
  readonly bus: Pick<Bus, 'nudge'>
  readonly clock: Clock
  readonly audit: Audit
  readonly revocations: Revocations
  readonly secondFactors: SecondFactors
  readonly recoveryCodes: RecoveryCodes
}

/** What every change of what opens an account goes through: who may make it, what ends with it, and who is told. */
export class FactorChanges {
  readonly #context: FactorChangesContext

  constructor(context: FactorChangesContext) {
    this.#context = context
  }

  /**
   * Makes a change in one transaction, for a caller who has proven who they are a moment ago.
   *
   * @throws {ProblemError} `not-signed-in`, `reauthentication-required`, and what `work` throws
   */
  async make<T>(caller: Caller, work: (change: Change) => Promise<T>): Promise<T> {
    const made = await this.#context.database.transaction(async (tx) => await work(await this.#begin(tx, caller)))
    this.#context.bus.nudge()
    await this.#context.revocations.read()
    return made
  }

  /**
   * The account of a caller who may make a change now. For what comes before one and must not hold the account's lock.
   *
   * @throws {ProblemError} `not-signed-in`, `reauthentication-required`
   */
  async require(caller: Caller): Promise<Account> {
    return (await this.#context.database.transaction(async (tx) => await this.#begin(tx, caller))).account
  }

  /**
   * After a second factor was turned on, which this session has proven by it. The first comes with recovery codes and ends every
   * other session, because none of them has passed it; so does a replaced one, whose device may be in other hands.
   */
  async added(change: Change, what: FactorChange, wasFirst: boolean): Promise<string[]> {
    const { tx, account, caller, now } = change
    if (!(await this.markProven(tx, caller, true, now))) throw new ProblemError(problems.notSignedIn)
    const codes = wasFirst ? await this.#context.recoveryCodes.renew(tx, account.id) : []
    if (wasFirst || what.change === 'renewed') await this.#endOthers(change)
    await this.tell(change, what)
    return codes
  }

  /**
   * After a second factor was turned off. Ends every other session: the device that is gone may hold one.
   *
   * @throws {ProblemError} `second-factor-required` for an administrator's last one
   */
  async removed(change: Change, what: FactorChange): Promise<void> {
    const { tx, account } = change
    if (!hasFactor(await this.#context.secondFactors.of(tx, account.id))) {
      if (needsSecondFactor(account.roles)) {
        const detail = 'An administrator must keep a second factor. Set up another one first.'
        throw new ProblemError(problems.secondFactorRequired, { detail })
      }
      await this.#context.recoveryCodes.remove(tx, account.id)
      await tx.query(unmarkSessions, [account.id])
    }
    await this.#endOthers(change)
    await this.tell(change, what)
  }

  /** After an account at a provider was unlinked: what it opened is closed. */
  async unlinked(change: Change, what: FactorChange): Promise<void> {
    await this.#endOthers(change)
    await this.tell(change, what)
  }

  /** Mails the owner a notice. */
  async tell({ tx, account, caller, now }: Change, what: FactorChange): Promise<void> {
    const { factor, change, label, passkeyId } = what
    // What a passkey is called may name its owner, and the log outlives the account.
    const which = passkeyId === undefined ? { label } : { passkeyId }
    const detail = { factor, change, ...which }
    const action = change === 'removed' ? 'factor-removed' : 'factor-added'
    if (change !== 'used')
      await this.#context.audit.record(tx, { action, accountId: account.id, byId: caller.userId, detail })
    await emit(tx, account.id, [factorChanged(account, what, now)], caller.traceParent)
  }

  /** Notes that the session's owner has just proven who they are. False when the session has ended. */
  async markProven(
    tx: Transaction,
    caller: Pick<Caller, 'userId' | 'sessionId'>,
    bySecondFactor: boolean,
    now: Date,
  ): Promise<boolean> {
    const marked = await tx.query(markSession, [caller.sessionId, caller.userId, now, bySecondFactor])
    return marked.length > 0
  }

  async #begin(tx: Transaction, caller: Caller): Promise<Change> {
    const now = this.#context.clock.now()
    const [account] = await tx.query(lockAccount, [caller.userId])
    const since = new Date(now.getTime() - RECENT_MS)
    const [session] = await tx.query(selectRecent, [caller.sessionId, caller.userId, since])
    if (account === undefined || session === undefined) throw new ProblemError(problems.notSignedIn)
    if (!session.isRecent) throw new ProblemError(problems.reauthenticationRequired)
    return { tx, account, caller, now }
  }

  async #endOthers({ tx, account, caller, now }: Change): Promise<void> {
    const [raised] = await tx.query(raiseVersion, [account.id, now])
    if (raised === undefined) throw new Error('The account was not locked')
    await endAndRevokeSessions(tx, account.id, { but: caller.sessionId }, 'factor-changed', now)
    await revokeOlderTokens(tx, raised, caller.sessionId, now)
    await emit(tx, account.id, [sessionRevoked(account.id, null)], caller.traceParent)
  }
}
