import type { Clock } from '@saas/config'
import type { Route } from '@saas/contracts'
import type { PreparedAnswer } from '@saas/http'
import { errors, jwtVerify } from 'jose'
import { randomUUID, sign } from 'node:crypto'
import type { SigningKeys } from './signing-keys.ts'

export const ACCESS_TOKEN_SECONDS = 300
const CLOCK_ERROR_SECONDS_MAX = 60
const TOKEN_LENGTH_MAX = 4_096
const CACHED_TOKENS_MAX = 20_000
/** What stands before a token in `Authorization`. */
export const BEARER = 'Bearer '
/** Of a token that is kept: the last characters of its signature. V8 makes a text of its own of so few, and only a pointer of more. */
const KEY_LENGTH = 12

/** What an access token says, once it is verified. */
export interface AccessClaims {
  readonly userId: string
  readonly sessionId: string
  readonly securityVersion: number
  readonly roles: readonly string[]
  /** Whether `roles` are less than the account has, because the session has not passed the second factor they need. */
  readonly isSecondFactorRequired: boolean
  /** Seconds since 1970. */
  readonly expiresAt: number
}

/** An access token that was verified. */
export interface VerifiedToken extends AccessClaims {
  /** What was answered about it; goes when it is forgotten. */
  readonly admissions: Admission[]
}

/** An internal token that was signed for a route, in the answer that carries it. */
interface Admission {
  readonly route: Route
  readonly answer: PreparedAnswer
  readonly signedAtMs: number
}

/**
 * Access tokens: JWT, EdDSA, `typ at+jwt` (RFC 9068), five minutes. One algorithm, one type, no header member that could
 * name another key (RFC 8725). There is one way to write a token: what is not byte for byte as we would have written it is refused, so
 * that nothing in it can be read in two ways.
 */
export class AccessTokens {
  readonly #keys: SigningKeys
  readonly #clock: Clock
  readonly #issuer: string
  readonly #verified = new TokenCache<VerifiedToken>(CACHED_TOKENS_MAX)
  #keysVersion = 0

  constructor(keys: SigningKeys, clock: Clock, publicUrl: string) {
    this.#keys = keys
    this.#clock = clock
    this.#issuer = publicUrl
    keys.onChange = () => {
      this.#keysVersion += 1
      this.#verified.clear()
    }
  }

  async sign(claims: Omit<AccessClaims, 'expiresAt'>): Promise<string> {
    const { id, privateKey } = await this.#keys.current()
    const issuedAt = Math.floor(this.#clock.now().getTime() / 1_000)
    const payload = {
      client_id: 'shop',
      sid: claims.sessionId,
      sv: claims.securityVersion,
      roles: claims.roles,
      ...(claims.isSecondFactorRequired ? { mfa: 'required' } : {}),
      iss: this.#issuer,
      aud: this.#issuer,
      sub: claims.userId,
      jti: randomUUID(),
      iat: issuedAt,
      exp: issuedAt + ACCESS_TOKEN_SECONDS,
    }
    const text = `${encoded(headerFor(id))}.${encoded(payload)}`
    // Here and now: 30 µs. Elsewhere it would wait behind passwords, for which all cores are busy.
    return `${text}.${sign(null, Buffer.from(text), privateKey).toString('base64url')}`
  }

  /** What the token in an `Authorization` says, without waiting, when it was verified before and is still in time. */
  cached(authorization: string, nowMs: number): VerifiedToken | undefined {
    const verified = this.#verified.get(authorization)
    return verified !== undefined && verified.expiresAt > nowMs / 1_000 ? verified : undefined
  }

  /** Whether it can be told without waiting that the token is none of ours: too long, of another form, or by a key that there is not. */
  isForeign(token: string): boolean {
    if (token.length > TOKEN_LENGTH_MAX) return true
    const headerEnd = token.indexOf('.')
    const keyId = headerEnd < 0 ? undefined : keyIdOf(token.slice(0, headerEnd))
    return keyId === undefined || this.#keys.isUnknown(keyId)
  }

  /** What the token says; `undefined` for anything but a token of ours that is in time. Rejects when keys cannot be read. */
  async verify(token: string): Promise<VerifiedToken | undefined> {
    if (token.length > TOKEN_LENGTH_MAX) return undefined
    const keysVersion = this.#keysVersion
    const [header = '', payloadText = '', signature = ''] = token.split('.')
    const keyId = keyIdOf(header)
    const key = keyId === undefined ? undefined : await this.#keys.publicKey(keyId)
    if (key === undefined || !isPlainBase64url(signature)) return undefined
    try {
      const { payload } = await jwtVerify(token, key, {
        algorithms: ['EdDSA'],
        typ: 'at+jwt',
        issuer: this.#issuer,
        audience: this.#issuer,
        requiredClaims: ['sub', 'sid', 'sv', 'roles', 'iat', 'exp'],
        currentDate: this.#clock.now(),
      })
      if (encoded(payload) !== payloadText || payload.aud !== this.#issuer) return undefined
      const claims = claimsOf(payload, this.#clock.now().getTime() / 1_000)
      // Not when keys changed meanwhile: its key may be one that was just withdrawn.
      if (claims !== undefined && keysVersion === this.#keysVersion) this.#verified.set(flat(BEARER, token), claims)
      return claims
    } catch (error) {
      if (error instanceof errors.JOSEError) return undefined
      throw error
    }
  }
}

function headerFor(keyId: string): { alg: 'EdDSA'; typ: 'at+jwt'; kid: string } {
  return { alg: 'EdDSA', typ: 'at+jwt', kid: keyId }
}

/** The key that a header names, if the header is the only one that we write with that name. */
function keyIdOf(header: string): string | undefined {
  try {
    const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString('utf8')) as { kid?: unknown }
    return typeof kid === 'string' && encoded(headerFor(kid)) === header ? kid : undefined
  } catch {
    return undefined
  }
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** The last character may have bits that mean nothing; set, they would make another text of the same bytes. */
function isPlainBase64url(text: string): boolean {
  return Buffer.from(text, 'base64url').toString('base64url') === text
}

function claimsOf(payload: Record<string, unknown>, nowSeconds: number): VerifiedToken | undefined {
  const { sub, sid, sv, roles, mfa, iat, exp } = payload
  const isWhole =
    isName(sub) &&
    isName(sid) &&
    Number.isInteger(sv) &&
    Array.isArray(roles) &&
    roles.every((role) => typeof role === 'string') &&
    typeof iat === 'number' &&
    typeof exp === 'number'
  if (!isWhole || iat > nowSeconds + CLOCK_ERROR_SECONDS_MAX || exp - iat > ACCESS_TOKEN_SECONDS) return undefined
  const isSecondFactorRequired = mfa === 'required'
  return {
    userId: sub,
    sessionId: sid,
    securityVersion: Number(sv),
    roles,
    isSecondFactorRequired,
    expiresAt: exp,
    admissions: [],
  }
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

/** The two after one another in one piece of memory, as the text of a header is: others are three times as slow to compare. */
function flat(first: string, second: string): string {
  return Buffer.from(first + second, 'latin1').toString('latin1')
}

interface Kept<T> {
  readonly authorization: string
  readonly value: T
}

/**
 * Keeps between half of `entriesMax` and `entriesMax` entries, the newer half for sure, without ordering them by use. They are found by the
 * end of the signature, which is as good as random, and then compared whole: a map hashes every character of its keys.
 */
class TokenCache<T> {
  readonly #generationMax: number
  #young = new Map<string, Kept<T>>()
  #old = new Map<string, Kept<T>>()

  constructor(entriesMax: number) {
    this.#generationMax = Math.ceil(entriesMax / 2)
  }

  get(authorization: string): T | undefined {
    const end = authorization.slice(-KEY_LENGTH)
    const young = this.#young.get(end)
    if (young !== undefined && young.authorization === authorization) return young.value
    const old = this.#old.get(end)
    if (old === undefined || old.authorization !== authorization) return undefined
    this.set(old.authorization, old.value)
    return old.value
  }

  set(authorization: string, value: T): void {
    if (this.#young.size >= this.#generationMax) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(authorization.slice(-KEY_LENGTH), { authorization, value })
  }

  clear(): void {
    this.#young.clear()
    this.#old.clear()
  }
}
