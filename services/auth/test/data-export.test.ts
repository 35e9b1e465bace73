import { authEvents, authRoutes, exportEvents } from '@saas/contracts'
import { newId, systemClock } from '@saas/config'
import { State } from '@saas/state'
import { cloneDatabase, eventually, testConfig, testLog, type TestService } from '@saas/testing'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { Authenticator } from '@saas/devstack'
import { administrator, newUser, sendTo, signIn, startedAuth, type SignedInUser } from './fixtures.ts'
import { SoftwarePasskey } from './software-passkey.ts'

let auth: TestService
let user: SignedInUser
beforeAll(async () => {
  auth = await startedAuth()
})
beforeEach(async () => {
  user = await newUser(auth)
})
afterAll(async () => {
  await auth[Symbol.asyncDispose]()
})

const ask = async () => await auth.call(authRoutes.exportProfile, { as: user.as })

/** The request for parts that went out, once it did. */
async function requested(): Promise<{ exportId: string; userId: string }> {
  return await eventually(async () => {
    const [row] = await auth.database.query<{ data: { exportId: string; userId: string } }>(
      `select data from outbox where subject = $1 and data ->> 'userId' = $2 order by id desc limit 1`,
      [authEvents.exportRequested.subject, user.userId],
    )
    return row?.data ?? false
  })
}

/** What another service would have sent, as auth's consumer stores it. */
async function answer(service: string, part: number, parts: number, items: object[], cart?: object[]): Promise<void> {
  const { exportId } = await requested()
  await auth.database.query(
    'insert into data_export_part (export_id, service, part, parts, items, cart) values ($1, $2, $3, $4, $5, $6)',
    [exportId, service, part, parts, JSON.stringify(items), cart === undefined ? null : JSON.stringify(cart)],
  )
}

/** Nothing, from each service. */
async function answerForAll(): Promise<void> {
  for (const { publishedBy } of Object.values(exportEvents)) await answer(publishedBy, 1, 1, [])
}

test('an export is whole: it waits for every part of every service, and holds what auth knows', async () => {
  const { email } = (await auth.call(authRoutes.getProfile, { as: user.as })).body
  auth.clock.advance(1_000)
  const ended = await signIn(auth, email, { 'user-agent': 'curl/8' })
  // The first factor ends the other session.
  await Authenticator.enrol(sendTo(auth), user.accessToken, () => auth.clock.now())
  const { body: offered } = await auth.call(authRoutes.offerPasskey, { as: user.as })
  const passkey = new SoftwarePasskey().create(offered.options)
  await auth.call(authRoutes.addPasskey, { as: user.as, body: { name: 'My phone', passkey } })
  await auth.database.query(
    `insert into linked_identity (id, account_id, issuer, subject, provider, email, created_at, last_used_at)
     values ($1, $2, 'https://id.example.com', 'me', 'example', 'me@example.com', now(), now())`,
    [crypto.randomUUID(), user.userId],
  )
  const admin = await administrator(auth)
  await auth.call(authRoutes.setRoles, { params: { id: user.userId }, body: { roles: ['manager'] }, as: admin.as })
  const asked = ask()
  await answer('notifications', 1, 1, [{ kind: 'verify-address' }])
  await answer('orders', 2, 2, [{ id: 'b' }])
  await answer('products', 1, 1, [{ kind: 'price' }])
  await answer('orders', 1, 2, [{ id: 'a' }], [{ productId: 'tea' }])
  const { status, body, headers } = await asked
  expect([status, headers['content-disposition']]).toEqual([200, 'attachment; filename="account.json"'])
  expect(body).toMatchObject({
    profile: { id: user.userId },
    preferences: { digest: true },
    sessions: [
      { id: ended.sessionId, device: 'curl', address: '127.0.0.1', endedAt: auth.clock.now().toISOString() },
      { id: user.sessionId, device: expect.any(String), current: true, endedAt: null },
    ],
    factors: {
      totp: { createdAt: expect.any(String) },
      passkeys: [{ name: 'My phone' }],
      identities: [{ email: 'me@example.com' }],
      recoveryCodesLeft: 10,
    },
    signIns: [
      { action: 'sign-in', network: '127.0.0.1' },
      { action: 'sign-in', network: '127.0.0.1' },
    ],
    changes: [
      { action: 'data-exported', by: 'you', to: 'you' },
      { action: 'roles-changed', by: 'somebody else', to: 'you', network: null, device: null },
      { action: 'factor-added', by: 'you', to: 'you' },
      { action: 'factor-added', by: 'you', to: 'you' },
    ],
    catalogueChanges: [{ kind: 'price' }],
    orders: [{ id: 'a' }, { id: 'b' }],
    cart: [{ productId: 'tea' }],
    mails: [{ kind: 'verify-address' }],
  })
  // What opens the account is not in it.
  expect(JSON.stringify(body)).not.toMatch(/secret|publicKey|credential|hash/i)
})

test('an administrator’s says what they did to others, and neither to whom nor what became of them', async () => {
  const others = [await newUser(auth), await newUser(auth)]
  const emails = await Promise.all(
    others.map(async ({ as }) => (await auth.call(authRoutes.getProfile, { as })).body.email as string),
  )
  await auth.database.query(`update account set roles = '{admin}' where id = $1`, [user.userId])
  const as = { ...user.as, roles: ['admin'] }
  const ids = others.map(({ userId }) => userId)
  for (const id of ids) {
    auth.clock.advance(1_000)
    await auth.call(authRoutes.setRoles, { params: { id }, body: { roles: ['manager'] }, as })
    await auth.call(authRoutes.setDisabled, { params: { id }, body: { disabled: true }, as })
  }
  const asked = ask()
  await answerForAll()
  const { changes } = (await asked).body
  const done = { by: 'you', to: 'somebody else', network: '127.0.0.1', device: expect.any(String), detail: {} }
  expect(changes).toMatchObject([
    { action: 'data-exported', to: 'you' },
    { action: 'disabled', ...done },
    { action: 'roles-changed', ...done },
    { action: 'disabled', ...done },
    { action: 'roles-changed', ...done },
  ])
  const text = JSON.stringify(changes)
  for (const identity of [...ids, ...emails]) expect(text).not.toContain(identity)
  expect(text).not.toContain('manager')
})

test('asked again a moment later, it is the same export: no service works twice', async () => {
  const asked = ask()
  await answerForAll()
  await asked
  const { exportId } = await requested()
  expect((await ask()).status).toBe(200)
  expect((await requested()).exportId).toBe(exportId)
})

test('a new one is made for whoever does not ask too often; then they are told when to come again', async () => {
  const answers: (readonly [status: number, comesAgain: boolean])[] = []
  for (let count = 0; count < 6; count += 1) {
    const asked = ask()
    if (count < 5) {
      await eventually(async () => (await made()) > count)
      await answerForAll()
    }
    const { status, headers } = await asked
    answers.push([status, Number(headers['retry-after'] ?? 0) > 0])
    // Too old to be handed out again, while nothing that was counted is forgotten.
    await auth.database.query(`update data_export set requested_at = requested_at - interval '2 minutes'`)
  }
  expect(answers).toEqual([...Array.from({ length: 5 }, () => [200, false]), [429, true]])
  expect(await made()).toBe(5)
})

async function made(): Promise<number> {
  return (await auth.database.query('select id from data_export where account_id = $1', [user.userId])).length
}

test('a part counts once, and only for the person it is about', async () => {
  await using database = await cloneDatabase('orders', { migrations: null })
  const { logger } = testLog('orders')
  const config = testConfig('orders', { ...auth, database })
  await using orders = State.connect(config, { service: 'orders', logger, clock: systemClock })
  orders.bus.startRelay()
  const asked = ask()
  const { exportId } = await requested()
  const { subject, aggregate } = exportEvents.ordersExportPartMade
  const told = [
    { userId: newId(), items: [{ id: 'of somebody else' }] },
    { userId: user.userId, items: [{ id: 'mine' }] },
    { userId: user.userId, items: [{ id: 'mine, told again' }] },
  ]
  for (const [index, { userId, items }] of told.entries()) {
    const data = JSON.stringify({ exportId, userId, part: 1, parts: 1, items })
    await database.query(
      `insert into outbox (id, aggregate_type, aggregate_id, aggregate_version, subject, data)
       values ($1, $2, $3, $4, $5, $6)`,
      [newId(), aggregate, exportId, index + 1, subject, data],
    )
  }
  await eventually(async () => (await auth.database.query('select from inbox')).length >= told.length)
  for (const service of ['products', 'notifications']) await answer(service, 1, 1, [])
  expect((await asked).body.orders).toEqual([{ id: 'mine' }])
})

test('the services’ events and nobody else’s make up the parts', () => {
  expect(Object.values(exportEvents).map(({ publishedBy }) => publishedBy)).toEqual([
    'products',
    'orders',
    'notifications',
  ])
})
