import { createPrivateKey } from 'node:crypto'
import { ordersRoutes } from '@saas/contracts'
import { INTERNAL_TOKEN_HEADER } from '@saas/http'
import { accessToken } from '@saas/testing/forgery'
import type { RequestSource } from '../frame/load.ts'
import { signedHeaders, type SigningKey } from '../frame/stage.ts'
import { OPEN_TOKEN_HEADER } from './edge.ts'

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

/** The n-th customer, as a UUID. */
export function customer(n: number): string {
  return `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`
}

function tokensOf({ keyId, privateKeyPem, issuer, tokens, issuedAtMs }: AskingOptions): readonly string[] {
  const key = { id: keyId, privateKey: createPrivateKey(privateKeyPem) }
  return Array.from({ length: tokens }, (_, n) => {
    const claims = { sub: customer(n), sid: customer(n), jti: customer(n) }
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

/** The customers' `GET /cart` through the edge that asks auth. */
export const calling: RequestSource<AskingOptions> = (options) => {
  const tokens = tokensOf(options)
  return (n) => ({
    method: 'GET',
    path: '/cart',
    headers: { authorization: `Bearer ${tokens[n % tokens.length]}`, 'user-agent': 'bench' },
  })
}

/** The same through the edge that asks nobody: each request brings the internal token that auth would have made, and the access token too. */
export const callingOpen: RequestSource<AskingOptions & { readonly signingKey: SigningKey }> = (options) => {
  const requestAt = calling(options)
  return (n) => {
    const request = requestAt(n)
    const signed = signedHeaders(options.signingKey, ordersRoutes.getCart.id, { userId: customer(n % options.tokens) })
    return { ...request, headers: { ...request.headers, [OPEN_TOKEN_HEADER]: signed[INTERNAL_TOKEN_HEADER] ?? '' } }
  }
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

export interface AskingManyOptions extends AskingOptions {
  /** The first so many are good, the next so many have a wrong signature, and all others are by a key that nobody has. */
  readonly good: number
  readonly forged: number
  readonly from: number
}

/** As many distinct tokens as there are requests, other ones for each `from`. */
export const askingMany: RequestSource<AskingManyOptions> = ({ good, forged, from, ...options }) => {
  const key = { id: options.keyId, privateKey: createPrivateKey(options.privateKeyPem) }
  const withWrongSignature = accessToken(key, options.issuer)
  const stranger = accessToken({ ...key, id: 'nobody' }, options.issuer)
  const tokenAt = (n: number): string => {
    if (n < good) return accessToken(key, options.issuer)
    const token = n < good + forged ? withWrongSignature : stranger
    return `${token.slice(0, -16)}${String(from + n).padStart(12, 'A')}${token.slice(-4)}`
  }
  return (n) => {
    const headers = { authorization: `Bearer ${tokenAt(n)}`, 'x-original-method': 'GET', 'x-original-uri': '/cart' }
    return { method: 'POST', path: '/authz', headers }
  }
}
