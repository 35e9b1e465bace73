import { ProblemError, problems, type Language } from '@saas/contracts'
import type { Bus, Database, Transaction } from '@saas/state'
import { newId, type Clock } from '@saas/config'
import { emit, userChanged } from './account-events.ts'
import type { AccountRequests } from './account-requests.ts'
import { emailKeyOf, nameOf, usableName, usableZone, type Account } from './account.ts'
import { lockAccountOf, proveAddress } from './address-proof.ts'
import type { Client } from './client.ts'
import { NO_PASSWORD, type PasswordHashing } from './hashing.ts'
import type { MailedSecrets } from './mailed-secrets.ts'
import { refuseWeakPassword } from './password-rules.ts'
import type { Throttle } from './throttle.ts'

/** What somebody registers with. */
export interface RegistrationForm {
  readonly email: string
  /** Without one the account is signed in to by what is mailed, until a password is set by a reset. */
  readonly password?: string
  readonly name?: string
  readonly language?: Language
  readonly zone?: string
  /** Made by the client; one of ours when it made none. */
  readonly registrationId?: string
}

interface RegistrationsContext {
  readonly database: Database
  readonly bus: Pick<Bus, 'nudge'>
  readonly clock: Clock
  readonly requests: AccountRequests
  readonly hashing: PasswordHashing
  readonly secrets: MailedSecrets
  readonly throttle: Throttle
}

/** Coming in: registering an address and proving it. */
export class Registrations {
  readonly #context: RegistrationsContext

  constructor(context: RegistrationsContext) {
    this.#context = context
  }

  /** @throws {ProblemError} `weak-password`, `invalid-request`, `too-many-requests`; none depends on whether the address is known. */
  async register(form: RegistrationForm, client: Client, traceParent: string): Promise<void> {
    const { email, password, language = client.language, registrationId: id = newId() } = form
    const name = form.name === undefined ? nameOf(email) : usableName(form.name)
    const zone = form.zone === undefined ? null : usableZone(form.zone)
    if (password !== undefined) refuseWeakPassword(password, { email, name }, '/password')
    await this.#context.throttle.take('mail', emailKeyOf(email), client.network)
    const passwordHash = password === undefined ? NO_PASSWORD : await this.#context.hashing.hash(password)
    await this.#context.requests.register(email, { id, name, passwordHash, language, zone }, traceParent)
  }

  /** Has something mailed to the address, if there is anybody to mail it to. @throws {ProblemError} `too-many-requests` */
  async requestMail(
    kind: 'verify' | 'sign-in-code' | 'reset',
    email: string,
    client: Client,
    traceParent: string,
    registrationId?: string,
  ): Promise<void> {
    await this.#context.throttle.take('mail', emailKeyOf(email), client.network)
    await this.#context.requests.request(kind, email, traceParent, registrationId)
  }

  /** @throws {ProblemError} `wrong-token`, `too-many-requests` */
  async verifyByToken(token: string, client: Client, traceParent: string): Promise<void> {
    await this.#context.throttle.take('prove', token, client.network)
    const proof = await this.#context.secrets.peekToken(token, 'verify')
    if (proof === undefined) throw new ProblemError(problems.wrongToken)
    await this.#prove(traceParent, async (tx) => {
      const account = await proveAddress(tx, proof, this.#context.clock.now())
      return (await this.#context.secrets.useToken(tx, token, 'verify')) ? account : undefined
    })
  }

  /**
   * With a registration only the code that was mailed for it is right.
   *
   * @throws {ProblemError} `wrong-token`, `too-many-requests`
   */
  async verifyByCode(
    {
      email,
      code,
      registrationId,
    }: { readonly email: string; readonly code: string; readonly registrationId?: string },
    client: Client,
    traceParent: string,
  ): Promise<void> {
    await this.#context.throttle.take('prove', emailKeyOf(email), client.network)
    const proof = await this.#context.secrets.tryCode(email, 'verify', code, registrationId)
    if (proof === undefined) throw new ProblemError(problems.wrongToken)
    await this.#prove(traceParent, async (tx) => {
      const accountId = await lockAccountOf(tx, emailKeyOf(email))
      if (accountId === undefined) return undefined
      return await proveAddress(tx, { accountId, ...proof }, this.#context.clock.now())
    })
  }

  async #prove(traceParent: string, prove: (tx: Transaction) => Promise<Account | undefined>): Promise<void> {
    await this.#context.database.transaction(async (tx) => {
      const account = await prove(tx)
      if (account === undefined) throw new ProblemError(problems.wrongToken)
      await this.#context.secrets.voidVerifications(tx, account)
      await emit(tx, account.id, [userChanged(account)], traceParent)
    })
    this.#context.bus.nudge()
  }
}
