import { randomUUID } from 'node:crypto'
import { signInternalToken } from '@saas/http'
import { accessToken, base64url, claimsOf, currentSigningKey, internalTokenKey, strangersKey } from '@saas/testing'
import type { AuthService } from './auth-service.ts'
import type { Presented } from './variants.ts'

/** The first five are what most requests carry. */
export async function credentialsOf({
  tokens,
  publicUrl,
  database,
  keyEncryptionKey,
}: AuthService): Promise<Presented[]> {
  const key = await currentSigningKey(database, keyEncryptionKey)
  const now = Math.floor(Date.now() / 1_000)
  const bearer = (token: string): string => `Authorization: Bearer ${token}`
  const sub = (token: string): string => String(claimsOf(token)['sub'])
  const worthless = (name: string, ...lines: string[]): Presented => ({ name, lines })
  const forged = (name: string, changed: Parameters<typeof accessToken>[2], by = key): Presented =>
    worthless(
      name,
      bearer(accessToken(by, publicUrl, { ...changed, claims: { roles: ['admin'], ...changed?.claims } })),
    )
  const internal = (service: 'orders' | 'products', routeId: string): string =>
    signInternalToken(
      { audience: service, routeId, userId: sub(tokens.admin), roles: ['admin'], sessionId: randomUUID() },
      internalTokenKey(service),
      new Date(),
    )
  const none = `${base64url(JSON.stringify({ alg: 'none', typ: 'at+jwt', kid: key.id }))}.${tokens.admin.split('.')[1]}.`
  return [
    worthless('nobody'),
    { name: 'a customer', role: 'customer', userId: sub(tokens.customer), lines: [bearer(tokens.customer)] },
    { name: 'another customer', role: 'customer', userId: sub(tokens.stranger), lines: [bearer(tokens.stranger)] },
    { name: 'a manager', role: 'manager', userId: sub(tokens.manager), lines: [bearer(tokens.manager)] },
    { name: 'an admin', role: 'admin', userId: sub(tokens.admin), lines: [bearer(tokens.admin)] },
    {
      name: 'an admin in lower case',
      role: 'admin',
      userId: sub(tokens.admin),
      lines: [`authorization: bearer ${tokens.admin}`],
    },
    {
      name: 'an admin with spaces around',
      role: 'admin',
      userId: sub(tokens.admin),
      lines: [`Authorization:   Bearer ${tokens.admin}  `],
    },
    worthless('nonsense', bearer('nonsense')),
    worthless('an empty token', 'Authorization: Bearer'),
    worthless('another scheme', `Authorization: Basic ${tokens.admin}`),
    worthless('two tokens in one line', `Authorization: Bearer ${tokens.customer}, Bearer ${tokens.admin}`),
    { ...worthless('two lines', bearer(tokens.customer), bearer(tokens.admin)), form: 'doubtful' },
    { ...worthless('the same line twice', bearer(tokens.admin), bearer(tokens.admin)), form: 'doubtful' },
    worthless('an underscore', `Authorization_: Bearer ${tokens.admin}`, `X_Authorization: Bearer ${tokens.admin}`),
    worthless('a cookie', `Cookie: authorization=${tokens.admin}; access_token=${tokens.admin}`),
    worthless('another header', `X-Access-Token: ${tokens.admin}`, `Proxy-Authorization: Bearer ${tokens.admin}`),
    worthless('a refused scheme twice', `Authorization: Bearer Bearer ${tokens.admin}`),
    worthless('no signature', bearer(none)),
    worthless('a changed signature', bearer(`${tokens.admin.slice(0, -6)}AAAAAA`)),
    forged('an expired token', { claims: { iat: now - 600, exp: now - 300 } }),
    forged('a token not yet valid', { claims: { nbf: now + 200 } }),
    forged('a token from the future', { claims: { iat: now + 200, exp: now + 400 } }),
    forged('a foreign key', {}, { ...key, privateKey: strangersKey() }),
    forged('a foreign issuer', { claims: { iss: 'https://other.example' } }),
    forged('a foreign audience', { claims: { aud: 'https://other.example' } }),
    forged('a token for a service', { claims: { aud: 'orders' } }),
    forged('another type', { header: { typ: 'JWT' } }),
    worthless('an internal token as an access token', bearer(internal('orders', 'orders.listOrders'))),
    worthless('an internal token', `X-Internal-Token: ${internal('orders', 'orders.listOrders')}`),
    worthless(
      'an internal token twice',
      ...['a', internal('products', 'products.getProduct')].map((token) => `X-Internal-Token: ${token}`),
    ),
    worthless('an internal token with an underscore', `X_Internal_Token: ${internal('orders', 'orders.getLag')}`),
  ]
}
