import { ProblemError, problems, type SecondFactorDue } from '@saas/contracts'
import { sql, type Bus, type Database } from '@saas/state'
import type { Clock } from '@saas/config'
import type { AccountRequests } from './account-requests.ts'
import { emit, userChanged } from './account-events.ts'
import { accountColumns, emailKeyOf, type Account } from './account.ts'
import type { Accounts } from './accounts.ts'
import { proveAddress, type AddressProof } from './address-proof.ts'
import type { Audit } from './audit.ts'
import { takeSignInAttempt, type Candidate } from './candidates.ts'
import type { Client } from './client.ts'
import type { PendingSignIns } from './factors/pending-sign-ins.ts'
import { isOutdated, type PasswordHashing } from './hashing.ts'
import type { MailedSecrets } from './mailed-secrets.ts'
import type { PlainSignIn } from './plain-sign-in.ts'
import type { OpenSession } from './sessions.ts'
import type { Attempt, Throttle } from './throttle.ts'

const lockUnchanged = sql<Account>(
  'auth.lock_unchanged_account',
  `select ${accountColumns}
   from account
   where id = $1 and password_hash = $2 and disabled_at is null and verified_at is not null
   for no key update`,
)

const updateHash = sql('auth.update_password_hash', 'update account set password_hash = $2 where id = $1')

interface SignInContext {
  readonly database: Database
  readonly bus: Pick<Bus, 'nudge'>
  readonly clock: Clock
  readonly accounts: Accounts
  readonly requests: AccountRequests
  readonly audit: Audit
  readonly hashing: PasswordHashing
  readonly secrets: MailedSecrets
  readonly pending: PendingSignIns
  readonly plain: PlainSignIn
  readonly throttle: Throttle
}

/** Signing in: by password or by mailed code. */
export class SignIn {
  readonly #context: SignInContext

  constructor(context: SignInContext) {
    this.#context = context
  }

  /**
   * An unknown address costs the same work as a wrong password and gets the same answer. Only who knows the password learns
   * that the address is not proven yet, or that the account was shut.
   *
   * @throws {ProblemError} `wrong-credentials`, `address-not-verified`, `account-disabled`, `too-many-requests`
   */
  async byPassword(
    email: string,
    password: string,
    client: Client,
    traceParent: string,
  ): Promise<OpenSession | SecondFactorDue> {
    const { attempt, candidate } = await takeSignInAttempt(this.#context.throttle, email, client.network)
    const isRight = await this.#context.hashing.verify(candidate?.passwordHash, password)
    if (!isRight || candidate === undefined) return await this.#fail(email, client, 'password')
    const { account } = candidate
    if (account.disabledAt !== null) throw new ProblemError(problems.accountDisabled)
    if (account.verifiedAt === null) return await this.#sendVerification(candidate, client, traceParent)
    const newHash = isOutdated(account.passwordHash) ? await this.#context.hashing.hash(password) : undefined
    const opened =
      newHash === undefined ? await this.#context.plain.open(candidate, attempt, client, traceParent) : undefined
    return opened ?? (await this.#open(account, attempt, client, traceParent, { byPassword: true, newHash }))
  }

  /**
   * By a code that was mailed to sign in with, or by that of a registration, which proves the address with what was registered.
   *
   * @throws {ProblemError} `wrong-credentials`, `account-disabled`, `too-many-requests`
   */
  async byCode(
    {
      email,
      code,
      registrationId,
    }: { readonly email: string; readonly code: string; readonly registrationId?: string },
    client: Client,
    traceParent: string,
  ): Promise<OpenSession | SecondFactorDue> {
    const attempt = await this.#context.throttle.take('prove', emailKeyOf(email), client.network)
    const purpose = registrationId === undefined ? 'sign-in' : 'verify'
    const proof = await this.#context.secrets.tryCode(email, purpose, code, registrationId)
    // Not looked for after a wrong code: whether there is an account would show in the time it takes.
    const account = proof === undefined ? undefined : await this.#context.accounts.byEmail(email)
    if (proof === undefined || account === undefined) return await this.#fail(email, client, 'code')
    if (account.disabledAt !== null) throw new ProblemError(problems.accountDisabled)
    const proven = account.verifiedAt === null ? await this.#prove(account, proof, traceParent) : account
    return await this.#open(proven, attempt, client, traceParent, { byPassword: false })
  }

  async #fail(email: string, client: Client, by: string): Promise<never> {
    await this.#context.audit.recordFailure(emailKeyOf(email), client, by)
    throw new ProblemError(problems.wrongCredentials)
  }

  /**
   * Who reads the mailbox proves the address. No password that somebody registered it with outlives that, but for one of the
   * registration whose own code was typed.
   */
  async #prove(
    account: Account,
    { registrationId }: Pick<AddressProof, 'registrationId'>,
    traceParent: string,
  ): Promise<Account> {
    return await this.#context.database.transaction(async (tx) => {
      const proven = await proveAddress(tx, { accountId: account.id, registrationId }, this.#context.clock.now())
      if (proven === undefined) throw new ProblemError(problems.wrongCredentials)
      await this.#context.secrets.voidVerifications(tx, proven)
      await emit(tx, proven.id, [userChanged(proven)], traceParent)
      return proven
    })
  }

  async #open(
    account: Account,
    attempt: Attempt,
    client: Client,
    traceParent: string,
    { byPassword, newHash }: { readonly byPassword: boolean; readonly newHash?: string | undefined },
  ): Promise<OpenSession | SecondFactorDue> {
    const opened = await this.#context.database.transaction(async (tx) => {
      // The password may have been changed, or the account shut, since it was read.
      const [locked] = await tx.query(lockUnchanged, [account.id, account.passwordHash])
      if (locked === undefined) throw new ProblemError(problems.wrongCredentials)
      if (newHash !== undefined) await tx.query(updateHash, [account.id, newHash])
      const outcome = await this.#context.pending.openOrAsk(tx, locked, client, traceParent, { byPassword })
      const isOpen = !('mfaToken' in outcome)
      await Promise.all([
        this.#context.throttle.forgive(tx, attempt),
        ...(isOpen ? [this.#context.throttle.forgiveAccount(tx, 'reauthenticate', account.id)] : []),
      ])
      return outcome
    })
    this.#context.bus.nudge()
    return opened
  }

  async #sendVerification(candidate: Candidate, client: Client, traceParent: string): Promise<never> {
    const { account, registrationId } = candidate
    if (await this.#context.throttle.isTaken('mail', emailKeyOf(account.email), client.network)) {
      await this.#context.requests.request('verify', account.email, traceParent, registrationId)
    }
    throw new ProblemError(problems.addressNotVerified)
  }
}
