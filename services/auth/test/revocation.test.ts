import { authEvents, authRoutes } from '@saas/contracts'
import { cloneDatabase, eventually, FakeClock, testBus } from '@saas/testing'
import { describe, expect, test } from 'vitest'
import { decision, newUser, startedAuth } from './harness.ts'

describe('revocation', () => {
  test('holds within a second on every replica, with the bus down too', { timeout: 60_000 }, async () => {
    await using database = await cloneDatabase('auth')
    await using bus = await testBus()
    const clock = new FakeClock(new Date())
    await using first = await startedAuth({}, { database, bus, clock })
    await using second = await startedAuth({}, { database, bus, clock })
    await using third = await startedAuth({}, { database, bus, clock })
    for (const isBusDown of [false, true]) {
      const user = await newUser(first)
      if (isBusDown) await bus.child.stop()
      for (const replica of [first, second, third]) {
        await eventually(async () => (await decision(replica, 'GET', '/profile', user.accessToken)).status === 200)
      }
      const startedAt = performance.now()
      await first.call(authRoutes.logout, { body: { refreshToken: user.refreshToken } })
      for (const replica of [first, second, third]) {
        await eventually(async () => (await decision(replica, 'GET', '/profile', user.accessToken)).status === 401)
      }
      const heldAfterMs = Math.round(performance.now() - startedAt)
      console.log({ isBusDown, heldAfterMs })
      expect(heldAfterMs).toBeLessThan(1_000)
    }
  })

  test(
    'that cannot be read for two seconds refuses whoever is signed in, and nobody else',
    { timeout: 30_000 },
    async () => {
      await using database = await cloneDatabase('auth')
      await using lonely = await startedAuth({}, { database })
      const user = await newUser(lonely)
      expect((await decision(lonely, 'GET', '/profile', user.accessToken)).status).toBe(200)
      await database.query('alter table revocation rename to revocation_away')
      const refused = await eventually(async () => {
        const answer = await decision(lonely, 'GET', '/profile', user.accessToken)
        return answer.status === 503 ? answer : false
      })
      expect(refused.headers['retry-after']).toBe('1')
      expect((await decision(lonely, 'GET', '/product')).status).toBe(200)
      expect((await decision(lonely, 'GET', '/profile')).status).toBe(401)
      const ready = await fetch(`${lonely.opsUrl}/readyz`)
      expect([ready.status, await ready.text()]).toEqual([503, expect.stringContaining('revocations')])
      await database.query('alter table revocation_away rename to revocation')
      await eventually(async () => (await decision(lonely, 'GET', '/profile', user.accessToken)).status === 200)
    },
  )

  test('is told to the others by an event', async () => {
    await using auth = await startedAuth()
    const user = await newUser(auth)
    await auth.call(authRoutes.revokeSession, { params: { id: user.sessionId }, as: user.as })
    const manager = await auth.bus.manager()
    const told = await eventually(async () => {
      const message = await manager.streams.getMessage('messages', { last_by_subj: authEvents.sessionRevoked.subject })
      const data = message?.json<{ sessionId: string }>()
      return data?.sessionId === user.sessionId ? data : false
    })
    expect(told).toEqual({ userId: user.userId, sessionId: user.sessionId })
  })
})
