import { authRoutes } from '@saas/contracts'
import { verifyInternalToken } from '@saas/http'
import { eventually, internalTokenKey, type TestService } from '@saas/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newUser, startedAuth, type SignedInUser } from './fixtures.ts'

let auth: TestService
let user: SignedInUser
beforeAll(async () => {
  auth = await startedAuth()
  user = await newUser(auth)
  // Verified once, it is known from now on.
  await ask('/profile')
})
afterAll(async () => {
  await auth[Symbol.asyncDispose]()
})

/** Over the wire, where most answers are given before Fastify sees the request. */
async function ask(
  url: string,
  { method = 'GET', token = user.accessToken, body = '' } = {},
): Promise<{ status: number; token: string }> {
  const response = await fetch(`${auth.url}/authz`, {
    method: 'POST',
    headers: { 'x-original-method': method, 'x-original-uri': url, authorization: `Bearer ${token}` },
    ...(body === '' ? {} : { body }),
  })
  return { status: response.status, token: response.headers.get('x-internal-token') ?? '' }
}

function claimsOf(service: 'auth' | 'orders', token: string): unknown {
  return verifyInternalToken(token, [internalTokenKey(service)], service, auth.clock.now())
}

test('an internal token is for the route that was asked about, whichever was asked about before', async () => {
  for (const _round of [1, 2]) {
    const profile = await ask('/profile')
    const cart = await ask('/cart')
    expect(claimsOf('auth', profile.token)).toMatchObject({
      claims: { routeId: 'auth.getProfile', userId: user.userId },
    })
    expect(claimsOf('orders', cart.token)).toMatchObject({ claims: { routeId: 'orders.getCart', userId: user.userId } })
  }
})

test('an internal token is handed out again for half a minute, and lives for as long after that', async () => {
  const first = await ask('/order')
  expect((await ask('/order?page=2')).token).toBe(first.token)
  auth.clock.advance(29_999)
  expect((await ask('/order')).token).toBe(first.token)
  auth.clock.advance(1)
  const next = await ask('/order')
  expect(next.token).not.toBe(first.token)
  auth.clock.advance(-5_000)
  expect((await ask('/order')).token).not.toBe(next.token)
  auth.clock.advance(5_000)
})

test('nobody gets the token of somebody else', async () => {
  const other = await newUser(auth)
  const tokens = [user, other, user, other].map(async ({ accessToken }) => await ask('/cart', { token: accessToken }))
  const [mine, theirs, mineAgain] = await Promise.all(tokens)
  expect(claimsOf('orders', mine?.token ?? '')).toMatchObject({ claims: { userId: user.userId } })
  expect(claimsOf('orders', theirs?.token ?? '')).toMatchObject({ claims: { userId: other.userId } })
  expect(mineAgain?.token).toBe(mine?.token)
})

test('what is not a plain yes is answered as ever', async () => {
  expect((await ask('/product', { method: 'POST' })).status).toBe(403)
  expect((await ask('/nothing')).status).toBe(403)
  expect((await ask('/profile', { token: `${user.accessToken}A` })).status).toBe(401)
  expect(await ask('/product')).toEqual({ status: 200, token: '' })
  expect((await ask('/profile', { body: 'a body' })).status).toBe(400)
})

test('a yes is counted, and needs no line in the log', async () => {
  const counted = async (): Promise<number> => {
    const text = await (await fetch(`${auth.opsUrl}/metrics`)).text()
    return Number(
      /http_request_duration_seconds_count\{route="auth.authz",method="POST",status="200"\} (\d+)/.exec(text)?.[1],
    )
  }
  const before = await counted()
  const lines = auth.log.lines.length
  await ask('/profile')
  expect(await counted()).toBe(before + 1)
  expect(auth.log.lines.slice(lines).filter((line) => line['route'] === 'auth.authz')).toEqual([])
})

test('a flood of refusals is told in a few lines and one sum, and each refusal is counted', async () => {
  const counted = async (): Promise<number> => {
    const text = await (await fetch(`${auth.opsUrl}/metrics`)).text()
    return Number(/duration_seconds_count\{route="auth.authz",method="POST",status="401"\} (\d+)/.exec(text)?.[1] ?? 0)
  }
  const told = (message: string) => auth.log.lines.filter((line) => line['message'] === message)
  const [lines, before] = [auth.log.lines.length, await counted()]
  const [header = '', payload = '', signature = ''] = user.accessToken.split('.')
  const foreign = Buffer.from('{"alg":"EdDSA","typ":"at+jwt","kid":"nobody"}').toString('base64url')
  for (let round = 0; round < 25; round += 1) {
    // By a key that nobody has, and with a wrong signature: the first is refused at once, the second after it was verified.
    expect((await ask('/profile', { token: `${foreign}.${payload}.${signature}` })).status).toBe(401)
    expect((await ask('/profile', { token: `${header}.${payload}.${'A'.repeat(86)}` })).status).toBe(401)
  }
  expect(await counted()).toBe(before + 50)
  await eventually(() => {
    auth.clock.advance(10_000)
    return told('more requests were denied').length > 0
  })
  const mine = auth.log.lines.slice(lines)
  const single = mine.filter((line) => line['message'] === 'request denied')
  const sums = mine.filter((line) => line['message'] === 'more requests were denied')
  expect(single[0]).toMatchObject({ reason: 'not-signed-in', route: 'auth.getProfile', method: 'GET' })
  expect(single.length).toBeLessThanOrEqual(40)
  expect(single.length + sums.reduce((sum, { count }) => sum + Number(count), 0)).toBe(50)
  expect(mine.filter((line) => line['route'] === 'auth.authz')).toEqual([])
})

test('a session that has ended is let through no more, though its token was known and handed out a moment ago', async () => {
  const leaving = await newUser(auth)
  const send = async () => await ask('/profile', { token: leaving.accessToken })
  await send()
  expect((await send()).status).toBe(200)
  await auth.call(authRoutes.logout, { body: { refreshToken: leaving.refreshToken } })
  expect(await send()).toEqual({ status: 401, token: '' })
})
