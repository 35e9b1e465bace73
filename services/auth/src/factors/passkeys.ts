import { PASSKEYS_MAX, ProblemError, problems } from '@saas/contracts'
import type { Passkey, PasskeyAssertion, PasskeyAttestation } from '@saas/contracts'
import type { Logger } from '@saas/http'
import { sql, type Database, type Transaction } from '@saas/state'
import type { AuthenticatorTransport } from '@simplewebauthn/server'
import { newId } from '@saas/config'
import { parse as parseUuid } from 'uuid'
import type { Account } from '../account.ts'
import { CHALLENGE_LIFETIME_MS, type ChallengePurpose, type PasskeyChallenges } from './passkey-challenges.ts'

/** What WebAuthn level 3 allows (4, 7.1). A longer one would not even fit the index. */
const CREDENTIAL_ID_BYTES_MIN = 16
const CREDENTIAL_ID_BYTES_MAX = 1_023

interface PasskeyRow {
  readonly id: string
  readonly accountId: string
  readonly credentialId: string
  readonly publicKey: Uint8Array<ArrayBuffer>
  readonly counter: number
  readonly transports: readonly string[]
  readonly name: string
  readonly isSynced: boolean
  readonly createdAt: Date
  readonly lastUsedAt: Date | null
}

const columns = `id, account_id as "accountId", credential_id as "credentialId", public_key as "publicKey", counter, transports,
  name, is_synced as "isSynced", created_at as "createdAt", last_used_at as "lastUsedAt"`

const selectPasskeys = sql<PasskeyRow>(
  'auth.passkeys',
  `select ${columns} from passkey where account_id = $1 order by created_at, id limit ${PASSKEYS_MAX}`,
)

const countPasskeys = sql<{ count: number }>(
  'auth.count_passkeys',
  'select count(*) as count from passkey where account_id = $1',
)

const selectByCredential = sql<PasskeyRow>(
  'auth.passkey_by_credential',
  `select ${columns} from passkey where credential_id = $1`,
)

const insertPasskey = sql<PasskeyRow>(
  'auth.insert_passkey',
  `insert into passkey (id, account_id, credential_id, public_key, counter, transports, name, is_synced, created_at)
   values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
   on conflict (credential_id) do nothing
   returning ${columns}`,
)

// Of two uses at once with one count, one waits for the other and then finds it used.
const usePasskey = sql<{ id: string }>(
  'auth.use_passkey',
  `update passkey
   set counter = $2, last_used_at = $3, is_synced = $4
   where id = $1 and (counter < $2 or (counter = 0 and $2 = 0))
   returning id`,
)

const renamePasskey = sql<PasskeyRow>(
  'auth.rename_passkey',
  `update passkey set name = $3 where id = $1 and account_id = $2 returning ${columns}`,
)

const deletePasskey = sql<{ name: string }>(
  'auth.delete_passkey',
  'delete from passkey where id = $1 and account_id = $2 returning name',
)

/** A signature that was verified, and not counted yet. */
export interface VerifiedPasskey {
  readonly passkeyId: string
  readonly accountId: string
  readonly counter: number
  readonly isSynced: boolean
}

/** A credential that was verified, and belongs to nobody yet. */
interface NewPasskey {
  readonly credentialId: string
  readonly publicKey: Uint8Array
  readonly counter: number
  readonly transports: readonly string[]
  readonly isSynced: boolean
}

interface PasskeysContext {
  readonly database: Database
  readonly logger: Logger
  readonly challenges: PasskeyChallenges
  readonly publicUrl: string
}

/**
 * Passkeys (WebAuthn). Each is discoverable and is unlocked by its owner at every use, so that it can be the second factor and, since
 * it is two in one, the only one.
 */
export class Passkeys {
  readonly #context: PasskeysContext
  readonly #origin: string
  readonly #rpId: string

  constructor(context: PasskeysContext) {
    this.#context = context
    const { origin, hostname } = new URL(context.publicUrl)
    this.#origin = origin
    this.#rpId = hostname
  }

  async list(accountId: string): Promise<Passkey[]> {
    return (await this.#context.database.read(selectPasskeys, [accountId])).map(passkeyOf)
  }

  /** What a browser makes a new passkey from. @throws {ProblemError} `passkey-not-accepted` when there are enough. */
  async registrationOptions(account: Account): Promise<unknown> {
    const known = await this.#context.database.read(selectPasskeys, [account.id])
    if (known.length >= PASSKEYS_MAX) throw enough()
    const { generateRegistrationOptions } = await webAuthn()
    return await generateRegistrationOptions({
      rpName: this.#rpId,
      rpID: this.#rpId,
      userID: new Uint8Array(parseUuid(account.id)),
      userName: account.email,
      userDisplayName: account.name,
      challenge: await this.#context.challenges.make('registration', account.id),
      attestationType: 'none',
      timeout: CHALLENGE_LIFETIME_MS,
      excludeCredentials: known.map((row) => ({ id: row.credentialId, transports: transportsOf(row.transports) })),
      authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
    })
  }

  /** What was made for a challenge of the account. Uses the challenge up. @throws {ProblemError} `passkey-not-accepted` */
  async verifyNew(accountId: string, response: PasskeyAttestation): Promise<NewPasskey> {
    const challenge = await this.#context.challenges.use('registration', accountId, response.response.clientDataJSON)
    const verified = challenge === undefined ? undefined : await this.#verifyNew(response, challenge)
    if (verified === undefined) throw new ProblemError(problems.passkeyNotAccepted)
    const { credential, credentialBackedUp: isSynced } = verified
    const { id: credentialId, publicKey, counter, transports = [] } = credential
    const { length } = Buffer.from(credentialId, 'base64url')
    if (length < CREDENTIAL_ID_BYTES_MIN || length > CREDENTIAL_ID_BYTES_MAX) {
      throw new ProblemError(problems.passkeyNotAccepted)
    }
    return { credentialId, publicKey, counter, transports, isSynced }
  }

  /** Adds one to an account, whose row is locked. @throws {ProblemError} `passkey-not-accepted` when it is in use, or there are enough. */
  async register(tx: Transaction, accountId: string, name: string, made: NewPasskey, now: Date): Promise<Passkey> {
    // Counted here and not only when one is offered: what is beyond would open the account and stand in no list.
    const [known] = await tx.query(countPasskeys, [accountId])
    if ((known?.count ?? 0) >= PASSKEYS_MAX) throw enough()
    const [row] = await tx.query(insertPasskey, [
      newId(),
      accountId,
      made.credentialId,
      made.publicKey,
      made.counter,
      made.transports,
      name,
      made.isSynced,
      now,
    ])
    if (row === undefined) {
      throw new ProblemError(problems.passkeyNotAccepted, { detail: 'This passkey is already in use.' })
    }
    return passkeyOf(row)
  }

  /** What a passkey is to sign: one of the account's, or with `null` any that the browser finds. */
  async assertionOptions(purpose: ChallengePurpose, accountId: string | null): Promise<unknown> {
    const known = accountId === null ? [] : await this.#context.database.read(selectPasskeys, [accountId])
    const { generateAuthenticationOptions } = await webAuthn()
    return await generateAuthenticationOptions({
      rpID: this.#rpId,
      challenge: await this.#context.challenges.make(purpose, accountId),
      timeout: CHALLENGE_LIFETIME_MS,
      userVerification: 'required',
      allowCredentials: known.map((row) => ({ id: row.credentialId, transports: transportsOf(row.transports) })),
    })
  }

  /** Whose passkey signed a challenge of this purpose. Uses the challenge up; `use` then counts the passkey. */
  async verify(
    purpose: ChallengePurpose,
    accountId: string | null,
    response: PasskeyAssertion,
  ): Promise<VerifiedPasskey | undefined> {
    const challenge = await this.#context.challenges.use(purpose, accountId, response.response.clientDataJSON)
    const [row] = await this.#context.database.read(selectByCredential, [response.id])
    if (challenge === undefined || row === undefined) return undefined
    if (accountId !== null && row.accountId !== accountId) return undefined
    const { userHandle } = response.response
    const isOwners = userHandle === Buffer.from(parseUuid(row.accountId)).toString('base64url')
    if (userHandle === undefined ? accountId === null : !isOwners) return undefined
    const signed = await this.#verifyKnown(row, response, challenge)
    return signed === undefined ? undefined : { passkeyId: row.id, accountId: row.accountId, ...signed }
  }

  /** False when the passkey was removed, or used with this count, in the meantime. */
  async use(tx: Transaction, { passkeyId, counter, isSynced }: VerifiedPasskey, now: Date): Promise<boolean> {
    return (await tx.query(usePasskey, [passkeyId, counter, now, isSynced])).length === 1
  }

  /** @throws {ProblemError} `not-found` */
  async rename(accountId: string, id: string, name: string): Promise<Passkey> {
    const [row] = await this.#context.database.write(renamePasskey, [id, accountId, name])
    if (row === undefined) throw new ProblemError(problems.notFound)
    return passkeyOf(row)
  }

  /** Answers what it was called, `undefined` when there is none. */
  async remove(tx: Transaction, accountId: string, id: string): Promise<string | undefined> {
    const [row] = await tx.query(deletePasskey, [id, accountId])
    return row?.name
  }

  async #verifyNew(response: PasskeyAttestation, expectedChallenge: string) {
    const { verifyRegistrationResponse } = await webAuthn()
    try {
      const { registrationInfo } = await verifyRegistrationResponse({
        response,
        expectedChallenge,
        expectedOrigin: this.#origin,
        expectedRPID: this.#rpId,
        requireUserVerification: true,
      })
      return registrationInfo
    } catch (error) {
      this.#context.logger.info({ problem: String(error) }, 'A new passkey was refused')
      return undefined
    }
  }

  async #verifyKnown(
    row: PasskeyRow,
    response: PasskeyAssertion,
    expectedChallenge: string,
  ): Promise<Pick<VerifiedPasskey, 'counter' | 'isSynced'> | undefined> {
    const { verifyAuthenticationResponse } = await webAuthn()
    try {
      const { verified, authenticationInfo } = await verifyAuthenticationResponse({
        response,
        expectedChallenge,
        expectedOrigin: this.#origin,
        expectedRPID: this.#rpId,
        credential: { id: row.credentialId, publicKey: new Uint8Array(row.publicKey), counter: row.counter },
        requireUserVerification: true,
      })
      const { newCounter: counter, credentialBackedUp: isSynced } = authenticationInfo
      return verified ? { counter, isSynced } : undefined
    } catch (error) {
      this.#context.logger.info({ passkeyId: row.id, problem: String(error) }, 'A passkey was refused')
      return undefined
    }
  }
}

/** Loaded when the first passkey is used: it takes longer to load than all of auth. */
async function webAuthn() {
  return await import('@simplewebauthn/server')
}

function enough(): ProblemError {
  const detail = `An account can have at most ${PASSKEYS_MAX} passkeys.`
  return new ProblemError(problems.passkeyNotAccepted, { detail })
}

function transportsOf(transports: readonly string[]): AuthenticatorTransport[] {
  return transports as AuthenticatorTransport[]
}

function passkeyOf({ id, name, createdAt, lastUsedAt, isSynced }: PasskeyRow): Passkey {
  return {
    id,
    name,
    createdAt: createdAt.toISOString(),
    lastUsedAt: lastUsedAt?.toISOString() ?? null,
    synced: isSynced,
  }
}
