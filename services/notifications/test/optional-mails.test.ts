import { v7 as uuidv7 } from 'uuid'
import { describe, expect, test } from 'vitest'
import { authEvents, notificationsRoutes, ordersEvents, productsEvents, scheduleEvents } from '@saas/contracts'
import { verifyUnsubscribe } from '@saas/http'
import { eventually } from '@saas/testing'
import { mailSecretKey, someOrder, someUser, startShop, type Shop } from './fixtures.ts'

const admin = { roles: ['admin'] }
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const { putSchedule, getSchedule } = notificationsRoutes
const { cartChanged, orderConfirmed } = ordersEvents
/** The report of the day would come in between. */
const manages = { roles: ['manager'], preferences: { 'daily-sales': false } }
const announcement = {
  en: { title: 'Tea time', text: 'It is time.' },
  de: { title: 'Teezeit', text: 'Es ist Zeit.' },
}

describe('mails that people can do without', () => {
  test('carry a link and a header pair that take their reader off this kind, and no other mail does', async () => {
    await using shop = await startShop({ publicUrl: 'https://shop.example' })
    const user = await signUp(shop, {})
    await announce(shop)
    const mail = await eventually(() => shop.smtp.acceptedFor(user.email)[0] ?? false)
    const [, url = ''] =
      /^List-Unsubscribe: <(https:\/\/shop\.example\/auth\/unsubscribe\/\S+)>\r$/m.exec(mail.raw) ?? []
    expect(mail.raw).toMatch(/^List-Unsubscribe-Post: List-Unsubscribe=One-Click\r$/m)
    const token = url.split('/').at(-1) ?? ''
    expect(verifyUnsubscribe(token, mailSecretKey)).toEqual({ userId: user.userId, kind: 'announcement' })
    expect(mail.decoded).toContain(`https://shop.example/unsubscribe#${token}`)
    await shop.publisher.publish(orderConfirmed, someOrder(user.userId))
    const order = await eventually(() => shop.smtp.acceptedFor(user.email)[1] ?? false)
    expect(order.raw).not.toMatch(/unsubscribe/i)
  })

  test('are not written to who switched their kind off, and not sent when that came after they were written', async () => {
    await using shop = await startShop({ behave: () => ({ recipientCode: 451, words: '4.7.1 Later' }) })
    const before = await signUp(shop, { preferences: { announcement: false } })
    const after = await signUp(shop, {})
    const other = await signUp(shop, { preferences: { 'new-products': false, digest: false } })
    await announce(shop)
    await eventually(async () => (await shop.rows()).filter(({ last_error: words }) => words !== null).length === 2)
    await shop.publisher.publish(authEvents.userChanged, { ...after, preferences: { announcement: false } })
    await eventually(
      async () => (await shop.database.query(`select 1 from recipient where declined <> '{}'`)).length === 3,
    )
    shop.smtp.behave = () => 'accept'
    await shop.drain()
    expect(shop.smtp.accepted.map(({ to }) => to)).toEqual([other.email])
    const cancelled = (await shop.rows()).filter(({ status }) => status === 'cancelled')
    expect(cancelled).toMatchObject([{ email: null, last_error: 'its reader does not want such mails' }])
    expect(before.email).not.toBe(other.email)
  })

  test('wait for the end of the quiet hours of their reader; an order’s mail does not', async () => {
    await using shop = await startShop({ quietHours: '22:00-07:00' })
    const night = await signUp(shop, { zone: 'Europe/Berlin' })
    const day = await signUp(shop, { zone: 'America/New_York' })
    await shop.pass('2027-01-15T22:30:00.000Z')
    await announce(shop)
    await eventually(() => shop.smtp.acceptedFor(day.email).length === 1)
    await shop.publisher.publish(orderConfirmed, someOrder(night.userId))
    await eventually(() => shop.smtp.acceptedFor(night.email).length === 1)
    await eventually(async () => {
      const held = (await shop.rows()).find(({ status }) => status === 'due')
      expect(held).toMatchObject({ lease: null, attempts: 0, last_error: 'waits for the end of quiet hours' })
      expect(held?.due_at.toISOString()).toBe('2027-01-16T06:00:00.000Z')
    })
    await shop.pass('2027-01-16T06:00:00.000Z')
    await eventually(() => shop.smtp.acceptedFor(night.email).length === 2)
  })
})

describe('a cart that lies still', () => {
  test('is reminded of once a state, a day after the last change, with what lies in it and is still there', async () => {
    await using shop = await startShop()
    await using _second = await shop.replica()
    const user = await signUp(shop, { language: 'de' })
    const start = shop.notifications.clock.now()
    await fill(shop, user.userId, 2, start)
    await fill(shop, user.userId, 3, new Date(start.getTime() + HOUR_MS))
    await shop.pass(new Date(start.getTime() + DAY_MS))
    await ticked(shop)
    expect(await shop.rows()).toHaveLength(0)
    await shop.pass(HOUR_MS)
    const mail = await eventually(() => shop.smtp.acceptedFor(user.email)[0] ?? false)
    expect(mail.decoded).toContain('3 × Green tea: 14,70\u{a0}€')
    await shop.pass(30 * DAY_MS)
    await ticked(shop)
    expect(shop.smtp.acceptedFor(user.email)).toHaveLength(1)
    await fill(shop, user.userId, 1, shop.notifications.clock.now())
    await becomes(shop, { name: 'Greener tea', price: { amount: 555, currency: 'EUR' } }, 1)
    await shop.pass(DAY_MS)
    const second = await eventually(() => shop.smtp.acceptedFor(user.email)[1] ?? false)
    expect(second.decoded).toContain('Greener tea: 5,55\u{a0}€')
    await fill(shop, user.userId, 2, shop.notifications.clock.now())
    await becomes(shop, { deleted: true }, 2)
    await shop.pass(DAY_MS)
    await eventually(
      async () => (await shop.database.query('select from cart where remind_at is not null')).length === 0,
    )
    expect(await shop.rows()).toHaveLength(2)
  })

  test('is not reminded of once it was ordered or emptied, also when the reminder was written already', async () => {
    await using shop = await startShop({ behave: () => ({ recipientCode: 451, words: '4.7.1 Later' }) })
    const [early, late] = [await signUp(shop, {}), await signUp(shop, {})]
    const start = shop.notifications.clock.now()
    for (const { userId } of [early, late]) await fill(shop, userId, 2, start)
    await fill(shop, early.userId, 0, start)
    await shop.pass(DAY_MS)
    await eventually(async () => (await shop.rows())[0]?.last_error === '451 4.7.1 Later')
    await fill(shop, late.userId, 0, shop.notifications.clock.now())
    shop.smtp.behave = () => 'accept'
    await shop.drain()
    expect(await shop.rows()).toMatchObject([{ status: 'cancelled', last_error: 'the cart changed' }])
    expect(shop.smtp.accepted).toHaveLength(0)
  })
})

describe('stock that runs low', () => {
  test('is told to managers at once, and what follows within the hour as one mail', async () => {
    await using shop = await startShop()
    await using _second = await shop.replica()
    const manager = await signUp(shop, { ...manages, language: 'en' })
    const collector = await signUp(shop, {
      ...manages,
      preferences: { ...manages.preferences, 'low-stock': false },
    })
    const deaf = await signUp(shop, {
      ...manages,
      preferences: { ...manages.preferences, 'low-stock': false, digest: false },
    })
    await signUp(shop, { roles: ['customer'] })
    await runLow(shop, 'Oolong')
    const first = await eventually(() => shop.smtp.acceptedFor(manager.email)[0] ?? false)
    expect(first.raw).toMatch(/^Subject: 4 left: Oolong\r$/m)
    for (const name of ['Assam', 'Sencha', 'Mate']) await runLow(shop, name)
    await collected(shop, 3 + 4)
    await shop.pass(HOUR_MS)
    const digest = await eventually(() => shop.smtp.acceptedFor(manager.email)[1] ?? false)
    expect(digest.raw).toMatch(/^Subject: 3 products run low\r$/m)
    for (const name of ['Assam', 'Sencha', 'Mate']) expect(digest.decoded).toContain(`4 × ${name}`)
    const all = await eventually(() => shop.smtp.acceptedFor(collector.email)[0] ?? false)
    expect(all.raw).toMatch(/^Subject: 4 products run low\r$/m)
    // A quiet hour closes the window, and the next product is told at once again.
    await shop.pass(HOUR_MS)
    await eventually(async () => (await shop.database.query('select 1 from digest_window')).length === 0)
    await runLow(shop, 'Rooibos')
    await eventually(() => shop.smtp.acceptedFor(manager.email).length === 3)
    expect(shop.smtp.accepted).toHaveLength(4)
    expect(shop.smtp.acceptedFor(deaf.email)).toHaveLength(0)
  })

  test('in the quiet hours of a manager is collected until they end, for those who are managers then', async () => {
    await using shop = await startShop({ quietHours: '22:00-07:00' })
    const manager = await signUp(shop, { ...manages, zone: 'UTC' })
    const former = await signUp(shop, { ...manages, zone: 'UTC' })
    await shop.pass('2027-03-10T21:30:00.000Z')
    await runLow(shop, 'Oolong')
    await eventually(() => shop.smtp.accepted.length === 2)
    await runLow(shop, 'Assam')
    await collected(shop, 2)
    await shop.pass('2027-03-10T22:30:00.000Z')
    await eventually(async () => {
      const [window] = await shop.database.query<{ closes_at: Date }>('select closes_at from digest_window')
      expect(window?.closes_at.toISOString()).toBe('2027-03-11T07:00:00.000Z')
    })
    await runLow(shop, 'Sencha')
    await collected(shop, 4)
    await shop.publisher.publish(authEvents.userChanged, { ...former, roles: ['customer'] })
    await eventually(
      async () => (await shop.database.query(`select from recipient where roles = '{customer}'`)).length === 1,
    )
    await shop.pass('2027-03-11T07:00:00.000Z')
    const digest = await eventually(() => shop.smtp.acceptedFor(manager.email)[1] ?? false)
    expect(digest.raw).toMatch(/^Subject: 2 products run low\r$/m)
    expect((await shop.rows()).filter(({ kind }) => kind === 'digest')).toHaveLength(1)
  })
})

describe('what a service asked for', () => {
  test('it can take back until it is due, also before the request arrives; afterwards that is a dead letter', async () => {
    await using shop = await startShop()
    const user = await signUp(shop, { zone: 'UTC' })
    const { ordersScheduleRequested, ordersScheduleCancelled } = scheduleEvents
    const at = new Date(shop.notifications.clock.now().getTime() + 2 * DAY_MS).toISOString().slice(0, 16)
    const request = (scheduleId: string) => ({ ...ordersScheduleRequested.example, scheduleId, at, zone: 'UTC' })
    const cancel = async (scheduleId: string) =>
      await shop.publisher.publish(
        ordersScheduleCancelled,
        { scheduleId, cancelledAt: new Date().toISOString() },
        { aggregateId: scheduleId },
      )
    const ask = async (scheduleId: string) =>
      await shop.publisher.publish(ordersScheduleRequested, request(scheduleId), { aggregateId: scheduleId })
    const [inTime, tooLate, unasked] = [uuidv7(), uuidv7(), uuidv7()]
    for (const id of [inTime, tooLate]) await ask(id)
    await cancel(inTime)
    await cancel(unasked)
    await ask(unasked)
    const statusOf = async (id: string) =>
      (await shop.notifications.call(getSchedule, { params: { id }, as: admin })).body.status
    await eventually(async () => (await statusOf(inTime)) === 'cancelled')
    await shop.pass(`${at}:00.000Z`)
    await eventually(() => shop.smtp.acceptedFor(user.email).length === 1)
    await cancel(tooLate)
    const letter = await eventually(
      async () => (await shop.database.query<{ reason: string }>('select reason from dead_letter'))[0] ?? false,
    )
    expect(letter.reason).toBe('The schedule was due before it was cancelled')
    expect(await statusOf(unasked)).toBe(404)
    await shop.pass(DAY_MS)
    await ticked(shop)
    expect(shop.smtp.accepted).toHaveLength(1)
  })
})

test('a person who is gone is forgotten, in mails and dead letters too, and nothing late brings them back', async () => {
  await using shop = await startShop({
    behave: (to) => (to.startsWith('b') ? 'accept' : { recipientCode: 451, words: 'x' }),
  })
  const user = await signUp(shop, { email: 'gone@person.example', name: 'Gone Person' })
  await fill(shop, user.userId, 2, shop.notifications.clock.now())
  await shop.publisher.publish(orderConfirmed, someOrder(user.userId))
  await eventually(async () => (await shop.rows())[0]?.last_error === '451 x')
  // What nobody could apply names people too: by their id, or by their address only.
  await shop.publisher.publish(authEvents.passwordChanged, { userId: user.userId, name: 'Gone Person' })
  await shop.publisher.publish(authEvents.passwordChanged, { userId: 7, email: 'gone@person.example' })
  const other = { userId: uuidv7(), email: 'not-gone@example.com' }
  await shop.publisher.publish(authEvents.passwordChanged, other)
  await eventually(async () => (await shop.database.query('select 1 from dead_letter')).length === 3)
  const gone = { userId: user.userId, deletedAt: new Date().toISOString() }
  await shop.publisher.publish(authEvents.userDeleted, gone, { aggregateId: user.userId, version: 9 })
  await eventually(async () => (await shop.rows())[0]?.status === 'cancelled')
  await shop.publisher.publish(authEvents.userChanged, user, { version: 10 })
  await fill(shop, user.userId, 3, shop.notifications.clock.now())
  await shop.publisher.publish(ordersEvents.orderCancelled, someOrder(user.userId))
  const marker = someUser({ email: 'b@example.com' })
  await shop.publisher.publish(authEvents.registrationRepeated, marker)
  await eventually(() => shop.smtp.accepted.length === 1)
  await eventually(async () => (await shop.rows()).every(({ status }) => status !== 'due'))
  const [{ dump } = { dump: '' }] = await shop.database.query<{ dump: string }>(
    `select concat((select string_agg(mail::text, ' ') from mail), (select string_agg(recipient::text, ' ') from recipient),
       (select string_agg(cart::text, ' ') from cart), (select string_agg(convert_from(body, 'UTF8'), ' ') from dead_letter))
       as dump`,
  )
  expect(dump.replace(other.email, '')).not.toMatch(/gone@|person\.example|Gone Person|Green tea/)
  expect(dump).toContain(other.email)
  const letters = await shop.database.query<{ reason: string }>('select reason from dead_letter order by created_at')
  expect(letters.filter(({ reason }) => reason.startsWith('about a deleted account'))).toHaveLength(2)
})

async function signUp(shop: Shop, changes: Parameters<typeof someUser>[0]): Promise<ReturnType<typeof someUser>> {
  const user = someUser(changes)
  await shop.publisher.publish(authEvents.userChanged, user)
  await eventually(
    async () => (await shop.database.query('select 1 from recipient where user_id = $1', [user.userId])).length === 1,
  )
  return user
}

/** Announces something to everybody, and moves the clock to its time. */
async function announce(shop: Shop): Promise<void> {
  const at = new Date(Math.ceil(shop.notifications.clock.now().getTime() / 60_000 + 1) * 60_000)
  const body = { name: 'x', at: at.toISOString().slice(0, 16), zone: 'UTC', catchUp: 'once' as const, roles: null }
  await shop.notifications.call(putSchedule, { params: { id: uuidv7() }, body: { ...body, announcement }, as: admin })
  await shop.pass(at)
}

async function fill(shop: Shop, userId: string, quantity: number, changedAt: Date): Promise<void> {
  const [line] = cartChanged.example.lines
  const data = { userId, lines: quantity === 0 ? [] : [{ ...line, quantity }], changedAt: changedAt.toISOString() }
  const [known] = await shop.database.query<{ version: number }>('select version::int from cart where user_id = $1', [
    userId,
  ])
  const version = (known?.version ?? 0) + 1
  await shop.publisher.publish(cartChanged, data, { aggregateId: userId, version })
  if ((await shop.database.query('select 1 from recipient where email is not null')).length === 0) return
  await eventually(async () => {
    const [row] = await shop.database.query<{ version: number }>('select version::int from cart where user_id = $1', [
      userId,
    ])
    return row?.version === version
  })
}

/** The product that lies in carts is told of once more. */
async function becomes(shop: Shop, changes: object, version: number): Promise<void> {
  const [{ productId }] = cartChanged.example.lines
  const data = { ...productsEvents.productChanged.example, productId, ...changes }
  await shop.publisher.publish(productsEvents.productChanged, data, { aggregateId: productId, version })
  await eventually(
    async () => (await shop.database.query('select from product_copy where version = $1', [version])).length === 1,
  )
}

async function runLow(shop: Shop, name: string): Promise<void> {
  const productId = uuidv7()
  await shop.publisher.publish(
    productsEvents.stockRanLow,
    { ...productsEvents.stockRanLow.example, productId, name },
    { aggregateId: productId },
  )
}

/** Until so many were collected, over all managers. */
async function collected(shop: Shop, count: number): Promise<void> {
  await eventually(async () => {
    const [row] = await shop.database.query<{ sum: number }>('select sum(count)::int from digest_window')
    expect(row?.sum).toBe(count)
  })
}

/** Until the scheduler has looked at a schedule that is due only now: what was due before was looked at by then. */
async function ticked(shop: Shop): Promise<void> {
  const id = uuidv7()
  const soon = new Date(Math.ceil(shop.notifications.clock.now().getTime() / 60_000) * 60_000 + 60_000)
  const body = {
    name: 'tick',
    at: soon.toISOString().slice(0, 16),
    zone: 'UTC',
    catchUp: 'once' as const,
    roles: ['admin'],
  }
  await shop.notifications.call(putSchedule, { params: { id }, body: { ...body, announcement }, as: admin } as never)
  await shop.pass(soon)
  await eventually(
    async () => (await shop.database.query('select 1 from fire where schedule_id = $1', [id])).length === 1,
  )
}
