import { PASSKEY_NAME_CHARACTERS_MAX, ProblemError, problems } from '@saas/contracts'
import type { Factors as FactorList, Passkey, PasskeyAttestation, TotpProposal } from '@saas/contracts'
import type { Database } from '@saas/state'
import { usableName } from '../account.ts'
import type { Client } from '../client.ts'
import type { Identities } from '../oidc/identities.ts'
import type { Throttle } from '../throttle.ts'
import type { Authenticators } from './authenticators.ts'
import type { Caller, FactorChanges } from './factor-changes.ts'
import type { Passkeys } from './passkeys.ts'
import type { RecoveryCodes } from './recovery-codes.ts'
import { hasFactor, selectFactors, type SecondFactors } from './second-factors.ts'

interface FactorsContext {
  readonly database: Database
  readonly throttle: Throttle
  readonly authenticators: Authenticators
  readonly recoveryCodes: RecoveryCodes
  readonly passkeys: Passkeys
  readonly identities: Identities
  readonly secondFactors: SecondFactors
  readonly changes: FactorChanges
}

/** What people do with their second factors on the account page. */
export class Factors {
  readonly #context: FactorsContext

  constructor(context: FactorsContext) {
    this.#context = context
  }

  async list(accountId: string): Promise<FactorList> {
    const [[factors], passkeys, identities] = await Promise.all([
      this.#context.database.read(selectFactors, [accountId]),
      this.#context.passkeys.list(accountId),
      this.#context.identities.list(accountId),
    ])
    const createdAt = factors?.totpCreatedAt?.toISOString()
    return {
      totp: createdAt === undefined ? null : { createdAt },
      identities,
      passkeys,
      recoveryCodesLeft: factors?.recoveryCodesLeft ?? 0,
    }
  }

  /** @throws {ProblemError} `reauthentication-required` */
  async proposeTotp(caller: Caller): Promise<TotpProposal> {
    return await this.#context.changes.make(caller, ({ tx, account, now }) =>
      this.#context.authenticators.propose(tx, account, now),
    )
  }

  /** Answers recovery codes when this is the first factor. @throws {ProblemError} `wrong-credentials`, `wrong-token`, `too-many-requests` */
  async confirmTotp(caller: Caller, code: string, client: Client): Promise<string[]> {
    const attempt = await this.#context.throttle.take('second-factor', caller.userId, client.network)
    return await this.#context.changes.make(caller, async (change) => {
      const { tx, account, now } = change
      const wasFirst = !hasFactor(await this.#context.secondFactors.of(tx, account.id))
      const outcome = await this.#context.authenticators.confirm(tx, account.id, code, now)
      if (outcome === 'no-proposal') {
        throw new ProblemError(problems.wrongToken, { detail: 'The proposal has expired. Start again.' })
      }
      if (outcome === 'wrong-code') {
        throw new ProblemError(problems.wrongCredentials, { detail: 'The code is not the one the app shows now.' })
      }
      await this.#context.throttle.forgive(tx, attempt)
      return await this.#context.changes.added(change, { factor: 'totp', change: outcome }, wasFirst)
    })
  }

  /** @throws {ProblemError} `not-found`, `second-factor-required`, `reauthentication-required` */
  async removeTotp(caller: Caller): Promise<void> {
    await this.#context.changes.make(caller, async (change) => {
      const isRemoved = await this.#context.authenticators.remove(change.tx, change.account.id)
      if (!isRemoved) throw new ProblemError(problems.notFound)
      await this.#context.changes.removed(change, { factor: 'totp', change: 'removed' })
    })
  }

  /** @throws {ProblemError} `second-factor-required` when there is none they could stand in for, `reauthentication-required` */
  async renewRecoveryCodes(caller: Caller): Promise<string[]> {
    return await this.#context.changes.make(caller, async (change) => {
      const { tx, account } = change
      if (!hasFactor(await this.#context.secondFactors.of(tx, account.id))) {
        const detail = 'Recovery codes replace a second factor, and none is set up.'
        throw new ProblemError(problems.secondFactorRequired, { detail })
      }
      const codes = await this.#context.recoveryCodes.renew(tx, account.id)
      await this.#context.changes.tell(change, { factor: 'recovery-codes', change: 'renewed' })
      return codes
    })
  }

  /** @throws {ProblemError} `passkey-not-accepted`, `reauthentication-required`, `too-many-requests` */
  async offerPasskey(caller: Caller, client: Client): Promise<unknown> {
    await this.#context.throttle.take('challenge', caller.userId, client.network)
    return await this.#context.passkeys.registrationOptions(await this.#context.changes.require(caller))
  }

  /** @throws {ProblemError} `passkey-not-accepted`, `reauthentication-required` */
  async addPasskey(
    caller: Caller,
    given: { readonly name: string; readonly passkey: PasskeyAttestation },
  ): Promise<{ passkey: Passkey; recoveryCodes: string[] }> {
    const label = usableName(given.name, PASSKEY_NAME_CHARACTERS_MAX)
    await this.#context.changes.require(caller)
    const made = await this.#context.passkeys.verifyNew(caller.userId, given.passkey)
    return await this.#context.changes.make(caller, async (change) => {
      const { tx, account, now } = change
      const wasFirst = !hasFactor(await this.#context.secondFactors.of(tx, account.id))
      const passkey = await this.#context.passkeys.register(tx, account.id, label, made, now)
      const what = { factor: 'passkey', change: 'added', label, passkeyId: passkey.id } as const
      return { passkey, recoveryCodes: await this.#context.changes.added(change, what, wasFirst) }
    })
  }

  /** @throws {ProblemError} `not-found`, `invalid-request` */
  async renamePasskey(accountId: string, id: string, name: string): Promise<Passkey> {
    return await this.#context.passkeys.rename(accountId, id, usableName(name, PASSKEY_NAME_CHARACTERS_MAX))
  }

  /** @throws {ProblemError} `not-found`, `second-factor-required`, `reauthentication-required` */
  async removePasskey(caller: Caller, id: string): Promise<void> {
    await this.#context.changes.make(caller, async (change) => {
      const label = await this.#context.passkeys.remove(change.tx, change.account.id, id)
      if (label === undefined) throw new ProblemError(problems.notFound)
      await this.#context.changes.removed(change, { factor: 'passkey', change: 'removed', label, passkeyId: id })
    })
  }

  /** What a passkey of the account is to sign. @throws {ProblemError} `too-many-requests` */
  async offerAssertion(
    purpose: 'second-factor' | 'reauthentication',
    accountId: string,
    client: Client,
  ): Promise<unknown> {
    await this.#context.throttle.take('challenge', accountId, client.network)
    return await this.#context.passkeys.assertionOptions(purpose, accountId)
  }
}
