import { ProblemError, problems, type PasskeyAssertion } from '@saas/contracts'
import { sql, type Bus, type Database } from '@saas/state'
import type { Clock } from '@saas/config'
import { accountColumns, type Account } from '../account.ts'
import type { Client } from '../client.ts'
import type { OpenSession, Sessions } from '../sessions.ts'
import type { Throttle } from '../throttle.ts'
import type { Passkeys } from './passkeys.ts'

const lockAccount = sql<Account>(
  'auth.lock_passkey_account',
  `select ${accountColumns} from account where id = $1 and verified_at is not null for no key update`,
)

interface PasskeySignInContext {
  readonly database: Database
  readonly bus: Pick<Bus, 'nudge'>
  readonly clock: Clock
  readonly passkeys: Passkeys
  readonly sessions: Sessions
  readonly throttle: Throttle
}

/** Signing in with nothing but a passkey. */
export class PasskeySignIn {
  readonly #context: PasskeySignInContext

  constructor(context: PasskeySignInContext) {
    this.#context = context
  }

  /** @throws {ProblemError} `too-many-requests` */
  async options(client: Client): Promise<unknown> {
    await this.#context.throttle.take('challenge', client.network, client.network)
    return await this.#context.passkeys.assertionOptions('sign-in', null)
  }

  /** @throws {ProblemError} `wrong-credentials`, `account-disabled`, `too-many-requests` */
  async signIn(response: PasskeyAssertion, client: Client, traceParent: string): Promise<OpenSession> {
    const attempt = await this.#context.throttle.take('prove', response.id, client.network)
    const verified = await this.#context.passkeys.verify('sign-in', null, response)
    if (verified === undefined) throw new ProblemError(problems.wrongCredentials)
    const opened = await this.#context.database.transaction(async (tx) => {
      const [account] = await tx.query(lockAccount, [verified.accountId])
      if (account === undefined) throw new ProblemError(problems.wrongCredentials)
      if (account.disabledAt !== null) throw new ProblemError(problems.accountDisabled)
      const isUsed = await this.#context.passkeys.use(tx, verified, this.#context.clock.now())
      if (!isUsed) throw new ProblemError(problems.wrongCredentials)
      await this.#context.throttle.forgive(tx, attempt)
      await this.#context.throttle.forgiveAccount(tx, 'reauthenticate', account.id)
      // What somebody has, and what unlocks it: both factors at once.
      return await this.#context.sessions.open(tx, account, client, traceParent, { passedSecondFactor: true })
    })
    this.#context.bus.nudge()
    return opened
  }
}
