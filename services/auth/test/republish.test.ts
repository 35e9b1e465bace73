import { authEvents, authRoutes } from '@saas/contracts'
import { Database } from '@saas/state'
import { testLog, type TestService } from '@saas/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { republishUsers } from '../src/republication.ts'
import { eventsTo, newUser, startedAuth } from './fixtures.ts'

let auth: TestService
beforeAll(async () => {
  auth = await startedAuth()
})
afterAll(async () => {
  await auth[Symbol.asyncDispose]()
})

test('every user is told again as they are now, newer than all that was told before', async () => {
  const ada = await newUser(auth, 'ada@example.com')
  await newUser(auth, 'grace@example.com')
  await auth.call(authRoutes.changeProfile, { body: { name: 'Ada King', zone: 'Europe/Berlin' }, as: ada.as })
  const before = await eventsTo(auth, authEvents.userChanged, 'ada@example.com')
  const { logger } = testLog('auth')
  await using database = new Database({ url: auth.database.url, service: 'auth', timeoutMs: 5_000, logger })
  expect(await republishUsers(database)).toBe(2)
  const after = await eventsTo(auth, authEvents.userChanged, 'ada@example.com')
  expect(after).toHaveLength(before.length + 1)
  expect(after.at(-1)?.data).toEqual(before.at(-1)?.data)
  expect(after.at(-1)?.version).toBeGreaterThan(before.at(-1)?.version ?? 0)
  expect((await eventsTo(auth, authEvents.userChanged, 'grace@example.com')).at(-1)?.data).toMatchObject({
    email: 'grace@example.com',
  })
})
