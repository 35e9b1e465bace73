import { readFile } from 'node:fs/promises'
import { authEvents, authRoutes } from '@saas/contracts'
import { eventually, type TestService } from '@saas/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventsTo, mailedSecret, newUser, PASSWORD, someone, startedAuth, tokenOf } from './fixtures.ts'

let auth: TestService
beforeAll(async () => {
  auth = await startedAuth()
})
afterAll(async () => {
  await auth[Symbol.asyncDispose]()
})

/** As it runs over what a version before wrote. */
async function migrate(): Promise<void> {
  const file = new URL('../migrations/0009_names_and_zones.sql', import.meta.url)
  await auth.database.query(await readFile(file, 'utf8'))
}

const long = `${'x'.repeat(99)} and more`

test('an account with a zone or a name that was taken once can be used again, and others hear of it', async () => {
  const email = someone()
  const { userId } = await newUser(auth, email)
  await auth.database.query(`update account set zone = '+01:00', name = $2 where id = $1`, [userId, long])
  const before = (await eventsTo(auth, authEvents.userChanged, email)).length
  const login = async () => await auth.call(authRoutes.login, { body: { email, password: PASSWORD } })
  expect((await login()).status).toBe(500)
  await migrate()
  expect(await login()).toMatchObject({ status: 200, body: { user: { zone: null, name: 'x'.repeat(99) } } })
  const told = (await eventsTo(auth, authEvents.userChanged, email)).slice(before)
  expect(told.map(({ data }) => data)).toEqual([
    {
      userId,
      email,
      name: 'x'.repeat(99),
      language: 'en',
      zone: null,
      roles: ['customer'],
      verified: true,
      disabled: false,
      preferences: {},
    },
  ])
  // It goes out like any other.
  await eventually(async () => {
    const [row] = await auth.database.query<{ isOut: boolean }>(
      `select bool_and(published_at is not null) as "isOut" from outbox where aggregate_id = $1`,
      [userId],
    )
    return row?.isOut === true
  })
  await migrate()
  expect(await eventsTo(auth, authEvents.userChanged, email)).toHaveLength(before + 1)
})

test('a registration that is not proven yet brings a zone and a name that can be used', async () => {
  const email = someone()
  await auth.call(authRoutes.register, { body: { email, password: PASSWORD, name: 'Ada' } })
  const mail = await mailedSecret(auth, authEvents.verificationRequested, email)
  await auth.database.query(
    `update registration set zone = '-03:30', name = $2 from account where account.id = account_id and email_key = $1`,
    [email, long],
  )
  await migrate()
  expect((await auth.call(authRoutes.verify, { body: { token: tokenOf(mail) } })).status).toBe(200)
  const answer = await auth.call(authRoutes.login, { body: { email, password: PASSWORD } })
  expect(answer).toMatchObject({ status: 200, body: { user: { zone: null, name: 'x'.repeat(99) } } })
})
