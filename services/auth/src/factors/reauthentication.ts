import { ProblemError, problems } from '@saas/contracts'
import { sql, type Bus, type Database } from '@saas/state'
import type { Clock } from '@saas/config'
import { emit } from '../account-events.ts'
import { accountColumns, emailKeyOf, type Account } from '../account.ts'
import type { Accounts } from '../accounts.ts'
import type { Client } from '../client.ts'
import type { PasswordHashing } from '../hashing.ts'
import type { MailedSecrets } from '../mailed-secrets.ts'
import type { Attempt, Throttle } from '../throttle.ts'
import type { Caller, FactorChanges } from './factor-changes.ts'
import type { FactorProof } from './proof.ts'
import type { SecondFactors } from './second-factors.ts'

type Proof = { readonly password: string } | { readonly mailedCode: string } | FactorProof

const lockUnchanged = sql<Account>(
  'auth.lock_account_to_reauthenticate',
  `select ${accountColumns}
   from account
   where id = $1 and password_hash is not distinct from $2 and disabled_at is null
   for no key update`,
)

interface ReauthenticationContext {
  readonly database: Database
  readonly bus: Pick<Bus, 'nudge'>
  readonly clock: Clock
  readonly accounts: Accounts
  readonly hashing: PasswordHashing
  readonly secrets: MailedSecrets
  readonly throttle: Throttle
  readonly secondFactors: SecondFactors
  readonly changes: FactorChanges
}

/** Proving again who is there, in a session that is open already. */
export class Reauthentication {
  readonly #context: ReauthenticationContext

  constructor(context: ReauthenticationContext) {
    this.#context = context
  }

  /**
   * With a second factor on, only that counts: whoever has taken over a session may know the password too.
   *
   * @throws {ProblemError} `wrong-credentials`, `second-factor-required`, `not-signed-in`, `too-many-requests`
   */
  async prove(caller: Caller, proof: Proof, client: Client): Promise<void> {
    const account = await this.#context.accounts.byId(caller.userId)
    const attempt = await this.#take(account, proof, client)
    const isFirstFactor = 'password' in proof || 'mailedCode' in proof
    if (isFirstFactor && !(await this.#isRight(account, proof))) throw new ProblemError(problems.wrongCredentials)
    const checked = isFirstFactor
      ? undefined
      : await this.#context.secondFactors.check('reauthentication', account.id, proof)
    await this.#context.database.transaction(async (tx) => {
      const now = this.#context.clock.now()
      const [locked] = await tx.query(lockUnchanged, [account.id, account.passwordHash])
      if (locked === undefined) throw new ProblemError(problems.wrongCredentials)
      const methods = await this.#context.secondFactors.methodsOf(tx, account.id)
      if (isFirstFactor && methods.length > 0) throw new ProblemError(problems.secondFactorRequired)
      const emissions = checked === undefined ? [] : await this.#context.secondFactors.prove(tx, locked, checked, now)
      if (emissions === undefined) throw new ProblemError(problems.wrongCredentials)
      await this.#context.throttle.forgive(tx, attempt)
      const isMarked = await this.#context.changes.markProven(tx, caller, !isFirstFactor, now)
      if (!isMarked) throw new ProblemError(problems.notSignedIn)
      if (emissions.length > 0) await emit(tx, account.id, emissions, caller.traceParent)
    })
    this.#context.bus.nudge()
  }

  async #take(account: Account, proof: Proof, client: Client): Promise<Attempt> {
    if ('password' in proof) return await this.#context.throttle.take('reauthenticate', account.id, client.network)
    if ('mailedCode' in proof)
      return await this.#context.throttle.take('prove', emailKeyOf(account.email), client.network)
    return await this.#context.throttle.take('second-factor', account.id, client.network)
  }

  async #isRight(
    account: Account,
    proof: { readonly password: string } | { readonly mailedCode: string },
  ): Promise<boolean> {
    return 'password' in proof
      ? await this.#context.hashing.verify(account.passwordHash, proof.password)
      : await this.#context.secrets.isRightCode(account.email, 'sign-in', proof.mailedCode)
  }
}
