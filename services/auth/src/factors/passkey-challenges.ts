import { sql, type Database } from '@saas/state'
import type { Clock } from '@saas/config'
import { randomBytes } from 'node:crypto'
import { sha256 } from '../derived-keys.ts'

const CHALLENGE_BYTES = 32
export const CHALLENGE_LIFETIME_MS = 5 * 60_000

export type ChallengePurpose = 'registration' | 'sign-in' | 'second-factor' | 'reauthentication'

const insertChallenge = sql(
  'auth.insert_passkey_challenge',
  `insert into passkey_challenge (challenge_hash, purpose, account_id, expires_at)
   values ($1, $2, $3, $4)`,
)

const useChallenge = sql<{ purpose: string }>(
  'auth.use_passkey_challenge',
  `delete from passkey_challenge
   where challenge_hash = $1 and purpose = $2 and account_id is not distinct from $3 and expires_at > $4
   returning purpose`,
)

/** What passkeys are to sign: once, within five minutes, for one purpose and one account, or for whoever comes. */
export class PasskeyChallenges {
  readonly #database: Database
  readonly #clock: Clock

  constructor(database: Database, clock: Clock) {
    this.#database = database
    this.#clock = clock
  }

  async make(purpose: ChallengePurpose, accountId: string | null): Promise<Uint8Array<ArrayBuffer>> {
    const challenge = new Uint8Array(randomBytes(CHALLENGE_BYTES))
    const expiresAt = new Date(this.#clock.now().getTime() + CHALLENGE_LIFETIME_MS)
    await this.#database.write(insertChallenge, [sha256(challenge), purpose, accountId, expiresAt])
    return challenge
  }

  /**
   * The challenge that was signed, if it is one of ours. It is used up whatever comes of the signature: this commits by itself.
   */
  async use(purpose: ChallengePurpose, accountId: string | null, clientData: string): Promise<string | undefined> {
    const { challenge, crossOrigin } = partsOf(clientData)
    if (typeof challenge !== 'string') return undefined
    const hash = sha256(Buffer.from(challenge, 'base64url'))
    const used = await this.#database.write(useChallenge, [hash, purpose, accountId, this.#clock.now()])
    // No page of another site shows ours in a frame (WebAuthn level 3, 7.1 and 7.2).
    return used.length === 1 && crossOrigin !== true ? challenge : undefined
  }
}

function partsOf(clientData: string): { readonly challenge?: unknown; readonly crossOrigin?: unknown } {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(clientData, 'base64url').toString('utf8'))
    return typeof parsed === 'object' && parsed !== null ? parsed : {}
  } catch {
    return {}
  }
}
