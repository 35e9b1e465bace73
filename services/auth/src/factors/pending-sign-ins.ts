import { MFA_LIFETIME_MINUTES, ProblemError, problems, type SecondFactorDue } from '@saas/contracts'
import { sql, type Bus, type Database, type Transaction } from '@saas/state'
import type { Clock } from '@saas/config'
import { randomBytes } from 'node:crypto'
import { emit } from '../account-events.ts'
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

const insertPending = sql(
  'auth.insert_pending_sign_in',
  `insert into pending_sign_in (token_hash, account_id, security_version, expires_at)
   values ($1, $2, $3, $4)`,
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
  'delete from pending_sign_in where token_hash = $1 returning account_id as id',
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
  ): Promise<OpenSession | SecondFactorDue> {
    const methods = await this.#context.secondFactors.methodsOf(tx, account.id)
    if (methods.length === 0) return await this.#context.sessions.open(tx, account, client, traceParent)
    const token = randomBytes(TOKEN_BYTES).toString('base64url')
    const expiresAt = new Date(this.#context.clock.now().getTime() + LIFETIME_MS)
    await tx.query(insertPending, [sha256(token), account.id, account.securityVersion, expiresAt])
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
      if (emissions === undefined) return { guessedOf: account }
      if ((await tx.query(usePending, [sha256(mfaToken)])).length === 0) throw ended()
      await this.#context.throttle.forgive(tx, attempt)
      await this.#context.throttle.forgiveAccount(tx, 'reauthenticate', account.id)
      if (emissions.length > 0) await emit(tx, account.id, emissions, traceParent)
      return await this.#context.sessions.open(tx, account, client, traceParent, { passedSecondFactor: true })
    })
    if ('guessedOf' in outcome) {
      // Whoever comes this far has passed the first factor: of all guesses these are the ones to look at.
      await this.#context.audit.recordFailure(emailKeyOf(outcome.guessedOf.email), client, 'second-factor')
      throw new ProblemError(problems.wrongCredentials)
    }
    this.#context.bus.nudge()
    return outcome
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
