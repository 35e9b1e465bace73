import { ProblemError, problems, type Language } from '@saas/contracts'
import { sql, type Bus, type Database } from '@saas/state'
import type { Clock } from '@saas/config'
import { emit, userChanged } from './account-events.ts'
import type { AccountRequests } from './account-requests.ts'
import { accountColumns, emailKeyOf, usableName, usableZone, type Account } from './accounts.ts'
import type { Client } from './client.ts'
import type { PasswordHashing } from './hashing.ts'
import type { MailedSecrets } from './mailed-secrets.ts'
import { refuseWeakPassword } from './password-rules.ts'
import type { Throttle } from './throttle.ts'

/** What somebody registers with. */
export interface RegistrationForm {
  readonly email: string
  readonly password: string
  readonly name: string
  readonly language?: Language
  readonly zone?: string
}

const verifyById = sql<Account>(
  'auth.verify_account_by_id',
  `update account
   set verified_at = $2, updated_at = $2
   where id = $1 and verified_at is null and disabled_at is null
   returning ${accountColumns}`,
)

const verifyByEmail = sql<Account>(
  'auth.verify_account_by_email',
  `update account
   set verified_at = $2, updated_at = $2
   where email_key = $1 and verified_at is null and disabled_at is null
   returning ${accountColumns}`,
)

/** Coming in: registering an address and proving it. */
export class Registrations {
  readonly #database: Database
  readonly #bus: Pick<Bus, 'nudge'>
  readonly #clock: Clock
  readonly #requests: AccountRequests
  readonly #hashing: PasswordHashing
  readonly #secrets: MailedSecrets
  readonly #throttle: Throttle

  constructor(options: {
    readonly database: Database
    readonly bus: Pick<Bus, 'nudge'>
    readonly clock: Clock
    readonly requests: AccountRequests
    readonly hashing: PasswordHashing
    readonly secrets: MailedSecrets
    readonly throttle: Throttle
  }) {
    this.#database = options.database
    this.#bus = options.bus
    this.#clock = options.clock
    this.#requests = options.requests
    this.#hashing = options.hashing
    this.#secrets = options.secrets
    this.#throttle = options.throttle
  }

  /** @throws {ProblemError} `weak-password`, `invalid-request`, `too-many-requests`; none depends on whether the address is known. */
  async register(form: RegistrationForm, client: Client, traceParent: string): Promise<void> {
    const { email, password, language = 'en' } = form
    const name = usableName(form.name)
    const zone = form.zone === undefined ? null : usableZone(form.zone)
    refuseWeakPassword(password, { email, name }, '/password')
    await this.#throttle.take('mail', emailKeyOf(email), client.network)
    const passwordHash = await this.#hashing.hash(password)
    await this.#requests.register(email, { name, passwordHash, language, zone }, traceParent)
  }

  /** Has something mailed to the address, if there is anybody to mail it to. @throws {ProblemError} `too-many-requests` */
  async requestMail(
    kind: 'verify' | 'sign-in-code' | 'reset',
    email: string,
    client: Client,
    traceParent: string,
  ): Promise<void> {
    await this.#throttle.take('mail', emailKeyOf(email), client.network)
    await this.#requests.request(kind, email, traceParent)
  }

  /** @throws {ProblemError} `wrong-token`, `too-many-requests` */
  async verifyByToken(token: string, client: Client, traceParent: string): Promise<void> {
    await this.#throttle.take('prove', token, client.network)
    const accountId = await this.#secrets.peekToken(token, 'verify')
    if (accountId === undefined) throw new ProblemError(problems.wrongToken)
    await this.#database.transaction(async (tx) => {
      const [account] = await tx.query(verifyById, [accountId, this.#clock.now()])
      const isUsed = await this.#secrets.useToken(tx, token, 'verify')
      if (account === undefined || !isUsed) throw new ProblemError(problems.wrongToken)
      await this.#secrets.voidVerifications(tx, account)
      await emit(tx, account.id, [userChanged(account)], traceParent)
    })
    this.#bus.nudge()
  }

  /** @throws {ProblemError} `wrong-token`, `too-many-requests` */
  async verifyByCode(email: string, code: string, client: Client, traceParent: string): Promise<void> {
    await this.#throttle.take('prove', emailKeyOf(email), client.network)
    if (!(await this.#secrets.isRightCode(email, 'verify', code))) throw new ProblemError(problems.wrongToken)
    await this.#database.transaction(async (tx) => {
      const [account] = await tx.query(verifyByEmail, [emailKeyOf(email), this.#clock.now()])
      if (account === undefined) throw new ProblemError(problems.wrongToken)
      await this.#secrets.voidVerifications(tx, account)
      await emit(tx, account.id, [userChanged(account)], traceParent)
    })
    this.#bus.nudge()
  }
}
