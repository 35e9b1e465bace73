import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { allRoutes, authRoutes, fillPath, isAllowed, ordersRoutes, productsRoutes } from '@saas/contracts'
import { verifyInternalToken } from '@saas/http'
import { currentSigningKey, internalTokenKey, type TestService } from '@saas/testing'
import { decodeJwt, decodeProtectedHeader, SignJWT, type JWTHeaderParameters } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  administrator,
  decision,
  keyEncryptionKey,
  newUser,
  PASSWORD,
  startedAuth,
  type SignedInUser,
} from './fixtures.ts'

let auth: TestService
let customer: SignedInUser
let admin: SignedInUser
let manager: SignedInUser
beforeAll(async () => {
  auth = await startedAuth()
  admin = await administrator(auth)
  customer = await newUser(auth, 'customer@example.com')
  const { userId } = await newUser(auth, 'manager@example.com')
  await auth.call(authRoutes.setRoles, { params: { id: userId }, body: { roles: ['manager'] }, as: admin.as })
  auth.clock.advance(1_000)
  const login = await auth.call(authRoutes.login, {
    body: { email: 'manager@example.com', password: PASSWORD },
  })
  manager = { ...customer, accessToken: login.body.accessToken, userId: login.body.user.id }
})
afterAll(async () => {
  await auth[Symbol.asyncDispose]()
})

describe('the decision', () => {
  test('of every route for every role is what the contract says', async () => {
    const callers = { nobody: undefined, customer, manager, admin }
    const rolesOf = { nobody: undefined, customer: ['customer'], manager: ['manager'], admin: ['admin'] }
    for (const route of allRoutes) {
      const params = Object.fromEntries([...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => [name, 'x']))
      const path = fillPath(route.path, params)
      for (const [name, caller] of Object.entries(callers)) {
        const roles = rolesOf[name as keyof typeof rolesOf]
        const refused = route.access !== 'internal' && roles === undefined ? 401 : 403
        const expected = isAllowed(route.access, roles) ? 200 : refused
        const { status, token } = await decision(auth, route.method, path, caller?.accessToken)
        expect([route.id, name, status]).toEqual([route.id, name, expected])
        expect(token !== undefined).toBe(expected === 200 && route.access !== 'anyone')
      }
    }
  })

  test('carries a token for that one service and route', async () => {
    const { token = '' } = await decision(
      auth,
      'GET',
      '/order/01977c1e-6a00-7000-8000-000000000020?x=1',
      customer.accessToken,
    )
    const verdict = verifyInternalToken(token, [internalTokenKey('orders')], 'orders', auth.clock.now())
    expect(verdict).toEqual({
      claims: {
        audience: 'orders',
        routeId: ordersRoutes.getOrder.id,
        userId: customer.userId,
        sessionId: customer.sessionId,
        roles: ['customer'],
      },
    })
    expect(verifyInternalToken(token, [internalTokenKey('products')], 'products', auth.clock.now())).toHaveProperty(
      'refused',
    )
  })

  test('has no body and says so', async () => {
    for (const [method, token] of [
      ['GET', customer.accessToken],
      ['GET', undefined],
      ['TRACE', undefined],
    ] as const) {
      const { headers, body } = await decision(auth, method, '/profile', token)
      expect([headers['content-length'], body]).toEqual(['0', ''])
    }
  })

  test('of HEAD is that of GET', async () => {
    expect((await decision(auth, 'HEAD', '/profile', customer.accessToken)).status).toBe(200)
    expect((await decision(auth, 'HEAD', '/cart/x', customer.accessToken)).status).toBe(403)
  })

  test.each(['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const)('may be asked for by %s', async (method) => {
    const headers = {
      'x-original-method': 'GET',
      'x-original-uri': '/profile',
      authorization: `Bearer ${customer.accessToken}`,
    }
    const response = await auth.app.inject({ method, url: '/authz', headers })
    expect(response.statusCode).toBe(200)
  })

  test.each([
    '/profile/',
    '//profile',
    '/./profile',
    '/x/../profile',
    '/profile;x',
    '/pro%66ile',
    '/profile%2f',
    '/%2e%2e/profile',
    '/profile%00',
    '/profile\\',
    '/PROFILE',
    'profile',
    '',
    '/profile, /product',
    'http://localhost/profile',
    '/profile#x',
    '/nothing',
    '/profile%',
    '/order/%2e',
    '/order/a%252fb',
    '/order/..',
    '/authz',
    '/authn',
    '/order/é',
  ])('lets nobody through at %j', async (url) => {
    expect((await decision(auth, 'GET', url, admin.accessToken)).status).toBe(403)
  })

  test('ignores headers that another edge would send, and method overrides', async () => {
    const headers = {
      'x-forwarded-method': 'GET',
      'x-forwarded-uri': '/product',
      'x-http-method-override': 'GET',
      'x-user-id': admin.userId,
      'x-internal-token': 'forged',
    }
    expect((await decision(auth, 'POST', '/product', customer.accessToken, headers)).status).toBe(403)
    const response = await auth.app.inject({ method: 'POST', url: '/authz', headers })
    expect(response.statusCode).toBe(403)
  })

  test('/authn says who is calling, or 401', async () => {
    const headers = { authorization: `Bearer ${customer.accessToken}` }
    const known = await auth.app.inject({ method: 'POST', url: '/authn', headers })
    expect(known.headers).toMatchObject({ 'x-identity-user': customer.userId, 'x-identity-roles': 'customer' })
    const nobody = await auth.app.inject({ method: 'GET', url: '/authn' })
    expect([nobody.statusCode, nobody.headers['www-authenticate']]).toEqual([401, 'Bearer'])
  })

  test('is checked again by the service: without a token there is no access', async () => {
    expect((await auth.app.inject({ method: 'GET', url: '/profile' })).statusCode).toBe(403)
  })
})

describe('an access token', () => {
  const claims = (): Record<string, unknown> => decodeJwt(customer.accessToken)
  const signedBy = async (header: JWTHeaderParameters, payload: Record<string, unknown>): Promise<string> => {
    const { privateKey } = generateKeyPairSync('ed25519')
    return await new SignJWT(payload).setProtectedHeader(header).sign(privateKey)
  }
  const statusOf = async (token: string): Promise<number> => (await decision(auth, 'GET', '/profile', token)).status

  test('by another key, or changed in any part, is refused', async () => {
    const { kid = '' } = decodeProtectedHeader(customer.accessToken)
    expect(await statusOf(await signedBy({ alg: 'EdDSA', typ: 'at+jwt', kid }, claims()))).toBe(401)
    const parts = customer.accessToken.split('.')
    for (const index of [0, 1, 2]) {
      const changed = parts.with(
        index,
        `${parts[index]?.slice(0, -2)}${parts[index]?.endsWith('AA') === true ? 'BB' : 'AA'}`,
      )
      expect(await statusOf(changed.join('.'))).toBe(401)
    }
  })

  test('without a signature, or signed with the public key as a secret, is refused', async () => {
    const { kid = '' } = decodeProtectedHeader(customer.accessToken)
    const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    expect(await statusOf(`${encode({ alg: 'none', typ: 'at+jwt', kid })}.${encode(claims())}.`)).toBe(401)
    const { keys } = (await auth.call(authRoutes.jwks)).body
    const secret = Buffer.from(keys[0].x, 'base64url')
    expect(
      await statusOf(await new SignJWT(claims()).setProtectedHeader({ alg: 'HS256', typ: 'at+jwt', kid }).sign(secret)),
    ).toBe(401)
  })

  test('with anything more in its header is refused, even if our own key signed it', async () => {
    const { kid = '' } = decodeProtectedHeader(customer.accessToken)
    const privateKey = (await currentSigningKey(auth.database, keyEncryptionKey, auth.clock.now())).privateKey
    const header = { alg: 'EdDSA', typ: 'at+jwt', kid }
    const signed = async (extra: object): Promise<number> =>
      await statusOf(await new SignJWT(claims()).setProtectedHeader({ ...header, ...extra }).sign(privateKey))
    expect(await signed({})).toBe(200)
    const { publicKey } = generateKeyPairSync('ed25519')
    expect(await signed({ jwk: publicKey.export({ format: 'jwk' }) })).toBe(401)
    expect(await signed({ jku: 'https://evil.example/jwks' })).toBe(401)
    expect(await signed({ x5u: 'https://evil.example/x5u' })).toBe(401)
    expect(await signed({ typ: 'JWT' })).toBe(401)
    expect(await signed({ kid: 'another' })).toBe(401)
  })

  test('for somebody else, from somebody else, or from the future is refused, even if our own key signed it', async () => {
    const { kid = '' } = decodeProtectedHeader(customer.accessToken)
    const privateKey = (await currentSigningKey(auth.database, keyEncryptionKey, auth.clock.now())).privateKey
    const signed = async (changed: object): Promise<number> => {
      const token = new SignJWT({ ...claims(), ...changed }).setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt', kid })
      return await statusOf(await token.sign(privateKey))
    }
    const { iat = 0, exp = 0 } = decodeJwt(customer.accessToken)
    expect(await signed({})).toBe(200)
    expect(await signed({ aud: 'https://another.example' })).toBe(401)
    expect(await signed({ iss: 'https://another.example' })).toBe(401)
    expect(await signed({ iat: iat + 100, exp: exp + 100 })).toBe(401)
    expect(await signed({ nbf: exp })).toBe(401)
    expect(await signed({ exp: exp + 1 })).toBe(401)
    expect(await signed({ sid: undefined })).toBe(401)
  })

  test('too long, empty, or by another scheme is refused', async () => {
    expect(await statusOf('x'.repeat(5_000))).toBe(401)
    expect(await statusOf('a.b.c')).toBe(401)
    const headers = { authorization: `Basic ${customer.accessToken}` }
    expect((await decision(auth, 'GET', '/profile', undefined, headers)).status).toBe(401)
  })

  test('beside another one is refused, whichever comes first', async () => {
    const asked = async (tokens: readonly string[]): Promise<number | undefined> => {
      const credentials = tokens.flatMap((token) => ['authorization', `Bearer ${token}`])
      const original = ['x-original-method', 'GET', 'x-original-uri', '/profile']
      const headers = ['host', 'auth', 'content-length', '0', 'connection', 'close', ...original, ...credentials]
      const [response] = (await once(
        httpRequest(`${auth.url}/authz`, { method: 'POST', headers }).end(),
        'response',
      )) as [IncomingMessage]
      response.resume()
      return response.statusCode
    }
    const [token, other] = [customer.accessToken, 'another']
    expect(await asked([token])).toBe(200)
    for (const tokens of [
      [token, other],
      [other, token],
      [token, token],
    ]) {
      expect(await asked(tokens)).toBe(401)
    }
  })

  test('ends after five minutes', async () => {
    const user = await newUser(auth)
    auth.clock.advance(299_000)
    expect((await decision(auth, 'GET', '/profile', user.accessToken)).status).toBe(200)
    auth.clock.advance(1_000)
    expect(await statusOf(user.accessToken)).toBe(401)
  })
})

test('envoy asks with the original method at the original path behind a prefix', async () => {
  await using envoy = await startedAuth({ edge: 'envoy' })
  const user = await newUser(envoy)
  const headers = {
    authorization: `Bearer ${user.accessToken}`,
    'x-original-method': 'GET',
    'x-original-uri': '/product',
  }
  const ask = async (method: 'GET' | 'POST', url: string): Promise<number> =>
    (await envoy.app.inject({ method, url, headers })).statusCode
  expect(await ask('GET', '/authz/profile?x=1')).toBe(200)
  expect(await ask('POST', '/authz/product')).toBe(403)
  expect(await ask('GET', '/authz//profile')).toBe(403)
  expect(await ask('POST', '/authz')).toBe(403)
})

test('traefik sends the original request in headers of its own', async () => {
  await using traefik = await startedAuth({ edge: 'traefik' })
  const user = await newUser(traefik)
  const headers = {
    authorization: `Bearer ${user.accessToken}`,
    'x-original-method': 'GET',
    'x-original-uri': '/product',
  }
  const ask = async (method: string, url: string): Promise<number> => {
    const forwarded = { ...headers, 'x-forwarded-method': method, 'x-forwarded-uri': url }
    return (await traefik.app.inject({ method: 'GET', url: '/authz', headers: forwarded })).statusCode
  }
  expect(await ask('GET', '/profile')).toBe(200)
  expect(await ask('POST', productsRoutes.createProduct.path)).toBe(403)
})
