import { ProblemError, problems } from '@saas/contracts'
import type { Database } from '@saas/state'
import type { Account } from './accounts.ts'
import type { Client } from './client.ts'
import type { PasswordHashing } from './hashing.ts'
import type { MailedSecrets } from './mailed-secrets.ts'
import type { Throttle } from './throttle.ts'

/** What somebody who is signed in shows again before the account itself is changed. */
export type Reproof = { readonly currentPassword: string } | { readonly code: string }

/**
 * Asks again who is there, because an open browser is no proof: by the password, or by a code mailed for signing in, for
 * those who have no password.
 */
export class Reproofs {
  readonly #database: Database
  readonly #hashing: PasswordHashing
  readonly #secrets: MailedSecrets
  readonly #throttle: Throttle

  constructor(options: {
    readonly database: Database
    readonly hashing: PasswordHashing
    readonly secrets: MailedSecrets
    readonly throttle: Throttle
  }) {
    this.#database = options.database
    this.#hashing = options.hashing
    this.#secrets = options.secrets
    this.#throttle = options.throttle
  }

  /** @throws {ProblemError} `wrong-credentials`, `too-many-requests` */
  async require(account: Account, reproof: Reproof, client: Client): Promise<void> {
    await this.#throttle.take('reauthenticate', account.id, client.network)
    const isRight =
      'code' in reproof
        ? await this.#secrets.isRightCode(account.email, 'sign-in', reproof.code)
        : await this.#hashing.verify(account.passwordHash, reproof.currentPassword)
    if (!isRight) {
      const what = 'code' in reproof ? 'code' : 'current password'
      throw new ProblemError(problems.wrongCredentials, { detail: `The ${what} is not right.` })
    }
    await this.#database.transaction((tx) => this.#throttle.forgiveAccount(tx, 'reauthenticate', account.id))
  }
}
