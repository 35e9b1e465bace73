import { createPrivateKey } from 'node:crypto'
import { accessToken } from '@saas/testing/forgery'
import type { RequestSource } from '../frame/load.ts'

export interface AskingOptions {
  /** The key that signs access tokens: its id, and the private half as PEM. */
  readonly keyId: string
  readonly privateKeyPem: string
  readonly issuer: string
  /** How many tokens there are; each request brings the next one. */
  readonly tokens: number
  /** When they were issued, so that every run brings the same ones. */
  readonly issuedAtMs: number
}

function tokensOf({ keyId, privateKeyPem, issuer, tokens, issuedAtMs }: AskingOptions): readonly string[] {
  const key = { id: keyId, privateKey: createPrivateKey(privateKeyPem) }
  return Array.from({ length: tokens }, (_, n) => {
    const claims = { sub: `user-${n}`, sid: `session-${n}`, jti: `token-${n}` }
    return accessToken(key, issuer, { claims, now: new Date(issuedAtMs) })
  })
}

/** What nginx asks about `GET /cart`. */
export const asking: RequestSource<AskingOptions> = (options) => {
  const tokens = tokensOf(options)
  return (n) => ({
    method: 'POST',
    path: '/authz',
    headers: {
      authorization: `Bearer ${tokens[n % tokens.length]}`,
      'x-original-method': 'GET',
      'x-original-uri': `/cart?n=${n}`,
      'x-forwarded-for': '203.0.113.7',
      'x-request-id': '01977c1e-6a00-7000-8000-000000000001',
      'user-agent': 'bench',
    },
  })
}

export interface CallingOptions extends AskingOptions {
  readonly path: string
}

/** A signed-in call through the edge. */
export const calling: RequestSource<CallingOptions> = (options) => {
  const tokens = tokensOf(options)
  return (n) => ({
    method: 'GET',
    path: options.path,
    headers: { authorization: `Bearer ${tokens[n % tokens.length]}`, 'user-agent': 'bench' },
  })
}

export interface SigningInOptions {
  readonly emails: readonly string[]
  readonly password: string
}

/** Right passwords, each from an address of its own. */
export const signingIn: RequestSource<SigningInOptions> =
  ({ emails, password }) =>
  (n) => ({
    method: 'POST',
    path: '/auth/login',
    headers: {
      'content-type': 'application/json',
      'user-agent': 'bench',
      'x-forwarded-for': `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`,
    },
    body: JSON.stringify({ email: emails[n % emails.length], password }),
  })

/** As many distinct tokens as there are requests, other ones for each `from`: the first `good` of them good, the others by a key that nobody has. */
export const askingMany: RequestSource<AskingOptions & { readonly good: number; readonly from: number }> = ({
  good,
  from,
  ...options
}) => {
  const key = { id: options.keyId, privateKey: createPrivateKey(options.privateKeyPem) }
  const stranger = accessToken({ ...key, id: 'nobody' }, options.issuer)
  return (n) => {
    const token =
      n < good ? accessToken(key, options.issuer) : `${stranger.slice(0, -12)}${String(from + n).padStart(12, 'A')}`
    const headers = { authorization: `Bearer ${token}`, 'x-original-method': 'GET', 'x-original-uri': '/cart' }
    return { method: 'POST', path: '/authz', headers }
  }
}
