import { authRoutes } from '@saas/contracts'
import type { TestService } from '@saas/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decision, newUser, PASSWORD, registered, signIn, startedAuth, userOf, type SignedInUser } from './fixtures.ts'

let auth: TestService
beforeAll(async () => {
  auth = await startedAuth()
})
afterAll(async () => {
  await auth[Symbol.asyncDispose]()
})

const refresh = async (refreshToken: string): Promise<Awaited<ReturnType<TestService['call']>>> =>
  await auth.call(authRoutes.refresh, { body: { refreshToken } })
const next = async (refreshToken: string): Promise<SignedInUser> => {
  const answer = await refresh(refreshToken)
  expect(answer.status).toBe(200)
  return userOf(answer.body)
}

describe('refreshing', () => {
  test('gives the next pair of the same session', async () => {
    const user = await newUser(auth)
    const second = await next(user.refreshToken)
    expect(second.sessionId).toBe(user.sessionId)
    expect(second.refreshToken).not.toBe(user.refreshToken)
  })

  test('a lost answer logs nobody out: the same token gives the same child, however late', async () => {
    const user = await newUser(auth)
    const lost = await next(user.refreshToken)
    auth.clock.advance(3_600_000)
    expect((await next(user.refreshToken)).refreshToken).toBe(lost.refreshToken)
  })

  test('tabs that refresh at once all stay signed in', async () => {
    const user = await newUser(auth)
    const tabs = await Promise.all(Array.from({ length: 6 }, () => next(user.refreshToken)))
    expect(new Set(tabs.map(({ refreshToken }) => refreshToken)).size).toBe(1)
    const child = await next(tabs[0]?.refreshToken ?? '')
    auth.clock.advance(10_000)
    // A tab that was slow still holds the first token.
    await next(user.refreshToken)
    await next(child.refreshToken)
  })

  test('a token replayed after its child was used ends the session, whoever holds it', async () => {
    const user = await newUser(auth)
    const second = await next(user.refreshToken)
    const third = await next(second.refreshToken)
    auth.clock.advance(10_001)
    expect((await refresh(user.refreshToken)).body.type).toBe('/problems/not-signed-in')
    expect((await refresh(third.refreshToken)).status).toBe(401)
    expect((await decision(auth, 'GET', '/profile', third.accessToken)).status).toBe(401)
  })

  test('a token from long ago ends the session too', async () => {
    const user = await newUser(auth)
    let current = user
    for (let round = 0; round < 6; round += 1) current = await next(current.refreshToken)
    expect((await refresh(user.refreshToken)).status).toBe(401)
    expect((await refresh(current.refreshToken)).status).toBe(401)
  })

  test('an invented token ends nothing, though it names the session, and is told without looking for that', async () => {
    const user = await newUser(auth)
    const bytes = Buffer.from(user.refreshToken, 'base64url')
    bytes.fill(1, 16)
    await auth.database.query('alter table session rename to session_away')
    const refused = await refresh(bytes.toString('base64url'))
    await auth.database.query('alter table session_away rename to session')
    expect(refused.status).toBe(401)
    await next(user.refreshToken)
  })

  test('a session ends after seven days without use and after thirty days for sure', async () => {
    const idle = await newUser(auth)
    auth.clock.advance(7 * 86_400_000)
    expect((await refresh(idle.refreshToken)).status).toBe(401)
    let busy = await newUser(auth)
    for (let day = 0; day < 5; day += 1) {
      auth.clock.advance(6 * 86_400_000 - 1)
      if (day < 4) busy = await next(busy.refreshToken)
    }
    await next(busy.refreshToken)
    auth.clock.advance(5)
    expect((await refresh(busy.refreshToken)).status).toBe(401)
  })

  test('the database holds no refresh token', async () => {
    const user = await newUser(auth)
    const rows = await auth.database.query<{ text: string }>('select session::text as text from session')
    const secret = Buffer.from(user.refreshToken, 'base64url').subarray(16, 48).toString('hex')
    expect(rows.map(({ text }) => text).join('\n')).not.toContain(secret)
  })
})

describe('the cookie of a browser', () => {
  const origin = 'http://localhost:8080'
  const signedInByCookie = async (): Promise<string> => {
    const email = `${crypto.randomUUID()}@example.com`
    await registered(auth, email)
    const headers = { 'x-session-transport': 'cookie' }
    const answer = await auth.call(authRoutes.login, { body: { email, password: PASSWORD }, headers })
    expect(answer.body.refreshToken).toBeUndefined()
    expect(answer.headers['set-cookie']).toMatch(/^refresh=[\w-]+; Max-Age=604800; Path=\/; HttpOnly; SameSite=Strict$/)
    return answer.headers['set-cookie']?.split(';')[0] ?? ''
  }

  test('refreshes and rotates for the shop’s own pages', async () => {
    const cookie = await signedInByCookie()
    const headers = { cookie, origin, 'sec-fetch-site': 'same-origin' }
    const answer = await auth.call(authRoutes.refresh, { body: {}, headers })
    expect(answer.status).toBe(200)
    expect(answer.body.refreshToken).toBeUndefined()
    expect(answer.headers['set-cookie']).toMatch(/^refresh=[\w-]{80,}; /)
  })

  test.each([
    ['another origin', { origin: 'https://evil.example' }],
    ['no origin', {}],
    ['another site', { origin, 'sec-fetch-site': 'cross-site' }],
    ['a sister of the site', { origin, 'sec-fetch-site': 'same-site' }],
  ])('does nothing for %s', async (_, sent) => {
    const cookie = await signedInByCookie()
    for (const route of [authRoutes.refresh, authRoutes.logout]) {
      expect((await auth.call(route, { body: {}, headers: { cookie, ...sent } })).status).toBe(403)
    }
    expect((await auth.call(authRoutes.refresh, { body: {}, headers: { cookie, origin } })).status).toBe(200)
  })

  test('is forgotten at logout and when it is no good', async () => {
    const cookie = await signedInByCookie()
    const out = await auth.call(authRoutes.logout, { body: {}, headers: { cookie, origin } })
    expect(out).toMatchObject({
      status: 204,
      headers: { 'set-cookie': expect.stringMatching(/^refresh=; Max-Age=0;/) },
    })
    const late = await auth.call(authRoutes.refresh, { body: {}, headers: { cookie, origin } })
    expect(late).toMatchObject({
      status: 401,
      headers: { 'set-cookie': expect.stringMatching(/^refresh=; Max-Age=0;/) },
    })
  })

  test('counts for nothing when it comes twice', async () => {
    const cookie = await signedInByCookie()
    const headers = { cookie: `${cookie}; refresh=another`, origin }
    expect((await auth.call(authRoutes.refresh, { body: {}, headers })).status).toBe(401)
  })
})

test('on https the cookie is bound to the host and to https', async () => {
  await using secure = await startedAuth({ publicUrl: 'https://shop.example' })
  await registered(secure, 'ada@example.com')
  const headers = { 'x-session-transport': 'cookie' }
  const answer = await secure.call(authRoutes.login, {
    body: { email: 'ada@example.com', password: PASSWORD },
    headers,
  })
  expect(answer.headers['set-cookie']).toMatch(
    /^__Host-refresh=[\w-]+; Max-Age=604800; Path=\/; HttpOnly; SameSite=Strict; Secure$/,
  )
})

describe('the owner’s sessions', () => {
  test('are listed with device, address and last use', async () => {
    const user = await newUser(auth)
    const { email } = (await auth.call(authRoutes.getProfile, { as: user.as })).body
    const phone = await signIn(auth, email, {
      'user-agent':
        'Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Safari/604.1',
      'x-forwarded-for': '203.0.113.7',
    })
    auth.clock.advance(60_000)
    await next(phone.refreshToken)
    const { items } = (await auth.call(authRoutes.listSessions, { as: user.as })).body
    expect(items).toHaveLength(2)
    expect(items.find(({ id }: { id: string }) => id === phone.sessionId)).toMatchObject({
      device: 'Safari on iPhone',
      address: '127.0.0.1',
      lastSeenAt: auth.clock.now().toISOString(),
      current: false,
    })
    expect(items.find(({ id }: { id: string }) => id === user.sessionId)).toMatchObject({ current: true })
  })

  test('one, or all others, can be ended, and their access tokens end with them', async () => {
    const user = await newUser(auth)
    const { email } = (await auth.call(authRoutes.getProfile, { as: user.as })).body
    const [one, two] = [await signIn(auth, email), await signIn(auth, email)]
    expect((await auth.call(authRoutes.revokeSession, { params: { id: one.sessionId }, as: user.as })).status).toBe(204)
    expect((await decision(auth, 'GET', '/profile', one.accessToken)).status).toBe(401)
    expect((await decision(auth, 'GET', '/profile', two.accessToken)).status).toBe(200)
    expect((await auth.call(authRoutes.revokeOtherSessions, { as: user.as })).status).toBe(204)
    expect((await decision(auth, 'GET', '/profile', two.accessToken)).status).toBe(401)
    expect((await refresh(two.refreshToken)).status).toBe(401)
    expect((await decision(auth, 'GET', '/profile', user.accessToken)).status).toBe(200)
  })

  test('of somebody else are not there', async () => {
    const [mine, theirs] = [await newUser(auth), await newUser(auth)]
    const params = { id: theirs.sessionId }
    expect((await auth.call(authRoutes.revokeSession, { params, as: mine.as })).body.type).toBe('/problems/not-found')
    await next(theirs.refreshToken)
  })

  test('logout ends the session and its access token', async () => {
    const user = await newUser(auth)
    const body = { refreshToken: user.refreshToken }
    expect((await auth.call(authRoutes.logout, { body })).status).toBe(204)
    expect((await decision(auth, 'GET', '/profile', user.accessToken)).status).toBe(401)
    expect((await auth.call(authRoutes.logout, { body })).status).toBe(204)
  })

  test('are never more than fifty: the one unused for longest ends', async () => {
    const user = await newUser(auth)
    const { email } = (await auth.call(authRoutes.getProfile, { as: user.as })).body
    for (let session = 0; session < 50; session += 1) {
      auth.clock.advance(1_000)
      await signIn(auth, email)
    }
    expect((await auth.call(authRoutes.listSessions, { as: user.as })).body.items).toHaveLength(50)
    expect((await refresh(user.refreshToken)).status).toBe(401)
  })
})
