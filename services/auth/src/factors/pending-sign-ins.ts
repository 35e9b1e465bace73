import { authEvents, MFA_LIFETIME_MINUTES, ProblemError, problems, type SecondFactorDue } from '@saas/contracts'
import { sql, type Bus, type Database, type Transaction } from '@saas/state'
import type { Clock } from '@saas/config'
import { randomBytes } from 'node:crypto'
import { emission, emit, recipientOf } from '../account-events.ts'
import { accountColumns, emailKeyOf, type Account } from '../account.ts'
import type { Audit } from '../audit.ts'
import type { Client } from '../client.ts'
import { sha256 } from '../derived-keys.ts'
import type { OpenSession, Sessions } from '../sessions.ts'
import type { Throttle } from '../throttle.ts'
import type { FactorProof } from './proof.ts'
import type { SecondFactors } from './second-factors.ts'

const TOKEN_BYTES = 32
const LIFETIME_MS = MFA_LIFETIME_MINUTES * 60_000
/** In a row: an owner who mistypes is mostly right before. */
const FAILURES_TOLD = 3
const TOLD_AGAIN_AFTER_MS = 86_400_000

const insertPending = sql(
  'auth.insert_pending_sign_in',
  `insert into pending_sign_in (token_hash, account_id, security_version, expires_at, by_password)
   values ($1, $2, $3, $4, $5)`,
)

const selectPending = sql<{ accountId: string }>(
  'auth.pending_sign_in',
  'select account_id as "accountId" from pending_sign_in where token_hash = $1 and expires_at > $2',
)

// The account is locked before its other rows, as everywhere. A password that was changed meanwhile ends the sign-in.
const lockAccount = sql<Account>(
  'auth.lock_pending_account',
  `select ${accountColumns}
   from account
   where id = $1 and disabled_at is null and verified_at is not null
     and security_version = (
       select security_version from pending_sign_in where token_hash = $2 and expires_at > $3
     )
   for no key update`,
)

const usePending = sql<{ id: string }>(
  'auth.use_pending_sign_in',
  `with used as (
     delete from pending_sign_in where token_hash = $1 returning account_id as id
   ),
   forgotten as (
     update second_factor_failure set failures = 0 where account_id in (select id from used)
   )
   select id from used`,
)

// Counted under the account's lock, and never forgotten with time: whoever waits between guesses is told of as well.
const countFailure = sql<{ isToBeTold: boolean }>(
  'auth.count_second_factor_failure',
  `insert into second_factor_failure as before (account_id, security_version, failures)
   select account_id, security_version, 1
   from pending_sign_in
   where token_hash = $1 and by_password
   on conflict (account_id) do update
   set security_version = excluded.security_version,
     failures = case when before.security_version = excluded.security_version then before.failures + 1 else 1 end,
     told_at = case
       when before.security_version <> excluded.security_version then null
       when before.failures + 1 >= ${FAILURES_TOLD} and coalesce(before.told_at <= $3, true) then $2::timestamptz
       else before.told_at
     end
   returning new.told_at is not null and new.told_at is distinct from old.told_at as "isToBeTold"`,
)

interface PendingSignInsContext {
  readonly database: Database
  readonly bus: Pick<Bus, 'nudge'>
  readonly clock: Clock
  readonly audit: Audit
  readonly secondFactors: SecondFactors
  readonly sessions: Sessions
  readonly throttle: Throttle
}

/** Sign-ins that have passed the first factor and wait for the second. */
export class PendingSignIns {
  readonly #context: PendingSignInsContext

  constructor(context: PendingSignInsContext) {
    this.#context = context
  }

  /** Opens the session of somebody who has passed the first factor, or says that the second is due. */
  async openOrAsk(
    tx: Transaction,
    account: Account,
    client: Client,
    traceParent: string,
    { byPassword = false } = {},
  ): Promise<OpenSession | SecondFactorDue> {
    const methods = await this.#context.secondFactors.methodsOf(tx, account.id)
    if (methods.length === 0) return await this.#context.sessions.open(tx, account, client, traceParent)
    const token = randomBytes(TOKEN_BYTES).toString('base64url')
    const expiresAt = new Date(this.#context.clock.now().getTime() + LIFETIME_MS)
    await tx.query(insertPending, [sha256(token), account.id, account.securityVersion, expiresAt, byPassword])
    return { mfaToken: token, methods, expiresIn: LIFETIME_MS / 1_000 }
  }

  /** @throws {ProblemError} `wrong-token` when the sign-in has ended, `wrong-credentials`, `too-many-requests` */
  async pass(mfaToken: string, proof: FactorProof, client: Client, traceParent: string): Promise<OpenSession> {
    const accountId = await this.accountOf(mfaToken)
    const attempt = await this.#context.throttle.take('second-factor', accountId, client.network)
    const checked = await this.#context.secondFactors.check('second-factor', accountId, proof)
    const outcome = await this.#context.database.transaction(async (tx) => {
      const now = this.#context.clock.now()
      const [account] = await tx.query(lockAccount, [accountId, sha256(mfaToken), now])
      if (account === undefined) throw ended()
      const emissions = await this.#context.secondFactors.prove(tx, account, checked, now)
      // Nothing is used up by a wrong proof: the owner may type again.
      if (emissions === undefined) {
        if (!('passkey' in proof)) await this.#countFailure(tx, account, mfaToken, client, traceParent)
        return { guessedOf: account }
      }
      if ((await tx.query(usePending, [sha256(mfaToken)])).length === 0) throw ended()
      await this.#context.throttle.forgive(tx, attempt)
      await this.#context.throttle.forgiveAccount(tx, 'reauthenticate', account.id)
      if (emissions.length > 0) await emit(tx, account.id, emissions, traceParent)
      return await this.#context.sessions.open(tx, account, client, traceParent, { passedSecondFactor: true })
    })
    this.#context.bus.nudge()
    if ('guessedOf' in outcome) {
      // Whoever comes this far has passed the first factor: of all guesses these are the ones to look at.
      await this.#context.audit.recordFailure(emailKeyOf(outcome.guessedOf.email), client, 'second-factor')
      throw new ProblemError(problems.wrongCredentials)
    }
    return outcome
  }

  /** The owner hears that somebody knows their password, at most once a day while nobody changes it. */
  async #countFailure(
    tx: Transaction,
    account: Account,
    mfaToken: string,
    { device, address }: Client,
    traceParent: string,
  ): Promise<void> {
    const now = this.#context.clock.now()
    const toldBefore = new Date(now.getTime() - TOLD_AGAIN_AFTER_MS)
    const [counted] = await tx.query(countFailure, [sha256(mfaToken), now, toldBefore])
    if (counted?.isToBeTold !== true) return
    const failed = { ...recipientOf(account), device, address, failedAt: now.toISOString() }
    await emit(tx, account.id, [emission(authEvents.secondFactorFailed, failed)], traceParent)
  }

  /** Whose sign-in it is. @throws {ProblemError} `wrong-token` */
  async accountOf(mfaToken: string): Promise<string> {
    const [pending] = await this.#context.database.read(selectPending, [sha256(mfaToken), this.#context.clock.now()])
    if (pending === undefined) throw ended()
    return pending.accountId
  }
}

function ended(): ProblemError {
  return new ProblemError(problems.wrongToken, { detail: 'This sign-in has ended. Start again.' })
}
