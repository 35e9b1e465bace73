import { ProblemError, problems } from '@saas/contracts'
import { sql, type Database } from '@saas/state'
import type { Clock } from '@saas/config'
import { emailKeyOf, type Account } from './account.ts'
import type { Client } from './client.ts'
import type { SecondFactors } from './factors/second-factors.ts'
import type { PasswordHashing } from './hashing.ts'
import type { MailedSecrets } from './mailed-secrets.ts'
import type { Throttle } from './throttle.ts'

/** How long a second factor that was shown again counts. */
const RECENT_MS = 10 * 60_000

/** What somebody who is signed in shows again before the account itself is changed. */
export type Reproof = { readonly currentPassword: string } | { readonly code: string }

const selectRecent = sql<{ isRecent: boolean }>(
  'auth.has_recent_second_factor',
  `select coalesce(second_factor_at > $3, false) as "isRecent"
   from session
   where id = $1 and account_id = $2 and ended_at is null`,
)

interface ReproofsContext {
  readonly database: Database
  readonly clock: Clock
  readonly hashing: PasswordHashing
  readonly secrets: MailedSecrets
  readonly secondFactors: SecondFactors
  readonly throttle: Throttle
}

/**
 * Asks again who is there, because an open browser is no proof: by the password, or by a code mailed for signing in, for
 * those who have no password. Where a second factor is on, this session must have shown it a moment ago, too.
 */
export class Reproofs {
  readonly #context: ReproofsContext

  constructor(context: ReproofsContext) {
    this.#context = context
  }

  /** @throws {ProblemError} `reauthentication-required`, `wrong-credentials`, `too-many-requests` */
  async require(account: Account, sessionId: string, reproof: Reproof, client: Client): Promise<void> {
    await this.#requireSecondFactor(account.id, sessionId)
    // A code is counted with every other try at the address: by how many those are it is as long as it is.
    const attempt =
      'code' in reproof
        ? await this.#context.throttle.take('prove', emailKeyOf(account.email), client.network)
        : await this.#context.throttle.take('reauthenticate', account.id, client.network)
    const isRight =
      'code' in reproof
        ? await this.#context.secrets.isRightCode(account.email, 'sign-in', reproof.code)
        : await this.#context.hashing.verify(account.passwordHash, reproof.currentPassword)
    if (!isRight) {
      const what = 'code' in reproof ? 'code' : 'current password'
      throw new ProblemError(problems.wrongCredentials, { detail: `The ${what} is not right.` })
    }
    await this.#context.database.transaction((tx) => this.#context.throttle.forgive(tx, attempt))
  }

  async #requireSecondFactor(accountId: string, sessionId: string): Promise<void> {
    const isMissing = await this.#context.database.transaction(async (tx) => {
      if ((await this.#context.secondFactors.methodsOf(tx, accountId)).length === 0) return false
      const since = new Date(this.#context.clock.now().getTime() - RECENT_MS)
      const [session] = await tx.query(selectRecent, [sessionId, accountId, since])
      return session?.isRecent !== true
    })
    if (isMissing) throw new ProblemError(problems.reauthenticationRequired)
  }
}
