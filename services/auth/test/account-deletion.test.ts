import { authEvents, authRoutes } from '@saas/contracts'
import type { TestService } from '@saas/testing'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import {
  administrator,
  decision,
  eventsTo,
  mailedSecret,
  newUser,
  PASSWORD,
  signIn,
  startedAuth,
  tokenOf,
  type SignedInUser,
} from './fixtures.ts'
import { SoftwarePasskey } from './software-passkey.ts'

let auth: TestService
let user: SignedInUser
let email: string
beforeAll(async () => {
  auth = await startedAuth()
})
beforeEach(async () => {
  email = `${crypto.randomUUID()}@example.com`
  user = await newUser(auth, email)
})
afterAll(async () => {
  await auth[Symbol.asyncDispose]()
})

const leave = async (body: object = { currentPassword: PASSWORD }, as = user.as) =>
  await auth.call(authRoutes.deleteProfile, { as, body: body as never })
const deletions = async (): Promise<{ version: number }[]> =>
  await auth.database.query(
    'select aggregate_version::integer as version from outbox where subject = $1 and aggregate_id = $2',
    [authEvents.userDeleted.subject, user.userId],
  )

test('deleting an account ends its sessions at the edge at once, and its deletion is the last thing said of it', async () => {
  const other = await signIn(auth, email)
  expect((await leave()).status).toBe(204)
  for (const { accessToken } of [user, other]) {
    expect((await decision(auth, 'GET', '/profile', accessToken)).status).toBe(401)
  }
  expect((await auth.call(authRoutes.refresh, { body: { refreshToken: other.refreshToken } })).status).toBe(401)
  expect((await auth.call(authRoutes.login, { body: { email, password: PASSWORD } })).status).toBe(401)
  const [last] = await auth.database.query<{ last: number }>(
    'select max(aggregate_version)::integer as last from outbox where aggregate_id = $1',
    [user.userId],
  )
  expect(await deletions()).toEqual([{ version: last?.last }])
})

test('nothing that names the person is left in a table', async () => {
  const { body } = await auth.call(authRoutes.offerPasskey, { as: user.as })
  const passkey = new SoftwarePasskey().create(body.options)
  const added = await auth.call(authRoutes.addPasskey, { as: user.as, body: { name: email, passkey } })
  await auth.call(authRoutes.removePasskey, { as: user.as, params: { id: added.body.passkey.id } })
  await auth.call(authRoutes.changeEmail, {
    as: user.as,
    body: { email: `new-${email}`, currentPassword: PASSWORD },
  })
  await mailedSecret(auth, authEvents.emailChangeRequested, `new-${email}`)
  await auth.database.query(
    `insert into dead_letter (id, consumer, message_id, subject, headers, body, reason)
     values ($1, 'auth', $1, 'msg.orders.export-part.made', '{}', convert_to(json_build_object('userId', $2::text)::text, 'UTF8'), 'why')`,
    [crypto.randomUUID(), user.userId],
  )
  await leave()
  expect(await auth.database.query(`select convert_from(body, 'UTF8') as body from dead_letter`)).toEqual([
    { body: '{}' },
  ])
  const tables = await auth.database.query<{ name: string }>(
    `select table_name as name from information_schema.tables
     where table_schema = 'public' and table_type = 'BASE TABLE' and table_name not in ('outbox', 'inbox')`,
  )
  for (const { name } of tables) {
    const rows = await auth.database.query(`select t from ${name} as t where strpos(lower(t::text), $1) > 0`, [email])
    expect(rows, name).toEqual([])
  }
})

test('the address may register anew at once, and is somebody else then', async () => {
  await leave()
  await auth.call(authRoutes.register, { body: { email, password: 'quite another lantern 7', name: 'Somebody' } })
  const proof = await mailedSecret(auth, authEvents.verificationRequested, email, 2)
  expect((await auth.call(authRoutes.verify, { body: { token: tokenOf(proof) } })).status).toBe(200)
  const anew = await signIn(auth, email, {}, 'quite another lantern 7')
  expect(anew.userId).not.toBe(user.userId)
  expect((await decision(auth, 'GET', '/profile', user.accessToken)).status).toBe(401)
})

test('a mailed code does for whoever has no password at hand', async () => {
  await auth.call(authRoutes.requestLoginCode, { body: { email } })
  const { code = '' } = await mailedSecret(auth, authEvents.loginCodeRequested, email)
  expect((await leave({ code })).status).toBe(204)
})

test.each([
  ['a wrong password', { currentPassword: 'not the password at all' }, 401],
  ['nothing', {}, 400],
])('with %s the account stays', async (_, body, status) => {
  expect((await leave(body)).status).toBe(status)
  expect(await deletions()).toEqual([])
  expect((await auth.call(authRoutes.getProfile, { as: user.as })).status).toBe(200)
})

test('of two deletions at once one deletes', async () => {
  const answers = await Promise.all([leave(), leave()])
  expect(answers.filter(({ status }) => status === 204)).toHaveLength(1)
  expect(await deletions()).toHaveLength(1)
})

test('the last administrator stays', async () => {
  const admin = await administrator(auth)
  expect((await leave(undefined, admin.as)).body.type).toBe('/problems/last-administrator')
  expect(await eventsTo(auth, authEvents.userChanged, 'root@example.com')).not.toEqual([])
})

test('the session of a second factor’s owner must have shown it a moment ago', async () => {
  const admin = await administrator(auth, 'root@example.com').catch(() => undefined)
  // The first administrator was made by the test before; whichever comes first, the rule is tried with that one.
  const [root] = await auth.database.query<{ id: string; session: string }>(
    `select account.id, session.id as session from account join session on session.account_id = account.id
     where account.email_key = 'root@example.com' and session.ended_at is null order by session.created_at desc limit 1`,
  )
  const as = admin?.as ?? { userId: root?.id ?? '', sessionId: root?.session ?? '', roles: ['admin'] }
  auth.clock.advance(10 * 60_000)
  expect((await leave(undefined, as)).body.type).toBe('/problems/reauthentication-required')
})
