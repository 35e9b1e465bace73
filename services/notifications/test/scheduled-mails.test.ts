import { v7 as uuidv7 } from 'uuid'
import { describe, expect, test } from 'vitest'
import {
  authEvents,
  notificationsRoutes,
  operatorRoutes,
  ordersEvents,
  productsEvents,
  scheduleEvents,
} from '@saas/contracts'
import { eventually } from '@saas/testing'
import { someOrder, someUser, startShop, type Shop } from './fixtures.ts'

const admin = { roles: ['admin'] }
const { listSchedules, getSchedule, putSchedule, changeSchedule, cancelSchedule } = notificationsRoutes
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const announcement = {
  en: { title: 'Tea <time>', text: 'It is time.\n\nCome & see.' },
  de: { title: 'Teezeit', text: 'Es ist Zeit.\n\nKomm vorbei.' },
}
const daily = { name: 'Tea time', cron: '0 9 * * *', zone: null, catchUp: 'once' as const, roles: null, announcement }

describe('what operators schedule', () => {
  test('an announcement is mailed once, at its local time, in the words of each', async () => {
    await using shop = await startShop()
    await using _second = await shop.replica()
    const ada = await signUp(shop, { language: 'en', zone: 'Europe/Berlin' })
    const jo = await signUp(shop, { language: 'de', zone: 'America/New_York' })
    const at = new Date(shop.notifications.clock.now().getTime() + 3 * DAY_MS).toISOString().slice(0, 10)
    const id = uuidv7()
    const { cron: _, ...once } = daily
    const body = { ...once, at: `${at}T09:00` }
    const made = await shop.notifications.call(putSchedule, { params: { id }, body, as: admin })
    expect(made).toMatchObject({
      status: 201,
      body: { id, status: 'active', kind: 'announcement', origin: 'operator' },
    })
    const again = await shop.notifications.call(putSchedule, { params: { id }, body, as: admin })
    expect(again).toMatchObject({ status: 200, body: made.body })
    const other = await shop.notifications.call(putSchedule, {
      params: { id },
      body: { ...body, name: 'x' },
      as: admin,
    })
    expect(other.status).toBe(409)

    await shop.pass(new Date(made.body.nextAt))
    const mail = await eventually(() => shop.smtp.acceptedFor(ada.email)[0] ?? false)
    expect(mail.decoded).toContain('Tea &lt;time&gt;')
    expect(mail.decoded).toContain('Come &amp; see.')
    expect(shop.smtp.acceptedFor(jo.email)).toHaveLength(0)
    const late = await shop.notifications.call(cancelSchedule, { params: { id }, as: admin })
    expect(late).toMatchObject({ status: 409, body: { type: expect.stringMatching('/problems/schedule-ended$') } })

    await shop.pass(8 * HOUR_MS)
    const german = await eventually(() => shop.smtp.acceptedFor(jo.email)[0] ?? false)
    expect(german.decoded).toContain('Komm vorbei.')
    await shop.pass(2 * DAY_MS)
    await eventually(async () => (await read(shop, id)).status === 'done')
    expect(await read(shop, id)).toMatchObject({ nextAt: null, mails: 2 })
    expect(shop.smtp.accepted).toHaveLength(2)
  })

  test('one that is paused does not fire, and goes on with what comes next', async () => {
    await using shop = await startShop()
    await signUp(shop, { zone: 'UTC' })
    const id = uuidv7()
    await shop.notifications.call(putSchedule, { params: { id }, body: { ...daily, zone: 'UTC' }, as: admin })
    const paused = await shop.notifications.call(changeSchedule, {
      params: { id },
      body: { status: 'paused' },
      as: admin,
    })
    expect(paused).toMatchObject({ status: 200, body: { status: 'paused', nextAt: null } })
    await shop.pass(3 * DAY_MS)
    const active = await shop.notifications.call(changeSchedule, {
      params: { id },
      body: { status: 'active' },
      as: admin,
    })
    expect(new Date(active.body.nextAt) > shop.notifications.clock.now()).toBe(true)
    await shop.pass(new Date(active.body.nextAt))
    await eventually(() => shop.smtp.accepted.length === 1)
    expect(await read(shop, id)).toMatchObject({ mails: 1, lastFireAt: active.body.nextAt })

    const cancelled = await shop.notifications.call(cancelSchedule, { params: { id }, as: admin })
    expect(cancelled).toMatchObject({ status: 200, body: { status: 'cancelled', nextAt: null } })
    const revived = await shop.notifications.call(changeSchedule, {
      params: { id },
      body: { status: 'active' },
      as: admin,
    })
    expect(revived.status).toBe(409)
  })

  test('the built-in ones are listed with their next times, and what operators decided outlives a start', async () => {
    await using shop = await startShop()
    await signUp(shop, { zone: 'Australia/Lord_Howe' })
    const items = await eventually(async () => {
      const { body } = await shop.notifications.call(listSchedules, { as: admin })
      return body.items.length === 2 ? body.items : false
    })
    const [products, sales] = items
    expect(products).toMatchObject({ kind: 'new-products', status: 'active', zone: null })
    expect(sales).toMatchObject({ kind: 'daily-sales', status: 'active', zone: 'Europe/Berlin', roles: ['manager'] })
    expect(new Date(sales.nextAt) > shop.notifications.clock.now()).toBe(true)
    await shop.notifications.call(cancelSchedule, { params: { id: sales.id }, as: admin })
    // What configuration says is put right at the start; what operators said is not.
    await shop.database.query(`update schedule set cron = '0 8 * * *' where id = $1`, [sales.id])
    await shop.notifications.restart()
    await eventually(async () => (await read(shop, sales.id)).cron === '0 7 * * *')
    expect(await read(shop, sales.id)).toMatchObject({ status: 'cancelled' })
  })

  test('an impossible time and a blank text are refused with their place, and nobody but an administrator may ask', async () => {
    await using shop = await startShop()
    const params = { id: uuidv7() }
    const wrong = async (changes: object): Promise<unknown> => {
      const answer = await shop.notifications.call(putSchedule, { params, body: { ...daily, ...changes }, as: admin })
      return answer.status === 400 ? answer.body.errors[0].pointer : answer
    }
    expect(await wrong({ cron: '0 0 31 2 *' })).toBe('/cron')
    expect(await wrong({ zone: 'Mars/Olympus' })).toBe('/zone')
    expect(await wrong({ cron: undefined, at: '2099-02-30T08:00' })).toBe('/at')
    const blank = { ...daily.announcement, de: { title: ' ', text: 'Text' } }
    expect(await wrong({ announcement: blank })).toBe('/announcement/de/title')
    expect((await shop.notifications.call(getSchedule, { params, as: admin })).status).toBe(404)
    expect((await shop.notifications.call(listSchedules, { as: { roles: ['manager'] } })).status).toBe(403)
  })
})

describe('what services ask for', () => {
  test('is scheduled once an id, for whom they name; an impossible date is a dead letter and the rest flows on', async () => {
    await using shop = await startShop()
    const [ada, bob] = [await signUp(shop, { zone: 'UTC' }), await signUp(shop, { zone: 'UTC' })]
    const { ordersScheduleRequested } = scheduleEvents
    const { at: _, ...example } = ordersScheduleRequested.example
    const request = { ...example, cron: '0 9 * * *', zone: 'UTC', scheduleId: uuidv7(), userIds: [ada.userId] }
    const aggregate = (scheduleId: string) => ({ aggregateId: scheduleId })
    const impossible = { ...request, scheduleId: uuidv7(), zone: 'Mars/Olympus' }
    await shop.publisher.publish(ordersScheduleRequested, impossible, aggregate(impossible.scheduleId))
    await shop.publisher.publish(ordersScheduleRequested, request, aggregate(request.scheduleId))
    await shop.publisher.publish(ordersScheduleRequested, request, aggregate(request.scheduleId))
    const schedule = await eventually(async () => {
      const answer = await shop.notifications.call(getSchedule, { params: { id: request.scheduleId }, as: admin })
      return answer.status === 200 ? answer.body : false
    })
    expect(schedule).toMatchObject({ origin: 'event', name: 'Summer sale' })
    await shop.pass(new Date(schedule.nextAt))
    await eventually(() => shop.smtp.acceptedFor(ada.email).length === 1)
    expect(shop.smtp.acceptedFor(bob.email)).toHaveLength(0)
    const letters = await shop.notifications.call(operatorRoutes('notifications').listDeadLetters, { as: admin })
    expect(letters.body.items).toMatchObject([{ reason: expect.stringContaining('/zone must be an IANA time zone') }])
  })
})

describe('what configuration schedules', () => {
  test('managers get the sales of the day before, by the day of the shop', async () => {
    await using shop = await startShop()
    const manager = await signUp(shop, { roles: ['manager'], language: 'en' })
    const customer = await signUp(shop, {})
    const sales = await eventually(async () => {
      const { body } = await shop.notifications.call(listSchedules, { as: admin })
      return body.items.find(({ kind }: { kind: string }) => kind === 'daily-sales') ?? false
    })
    // The report of the second morning is about the day of the first; Berlin is at least an hour ahead of UTC.
    const morning = new Date(sales.nextAt)
    const midnight = new Date(morning.getTime() + 17 * HOUR_MS)
    const decide = async (at: Date, amount: number): Promise<ReturnType<typeof someOrder>> => {
      const order = someOrder(customer.userId, { decidedAt: at.toISOString(), total: { amount, currency: 'EUR' } })
      await shop.publisher.publish(ordersEvents.orderConfirmed, order)
      return order
    }
    const early = await decide(new Date(morning.getTime() + HOUR_MS), 1_000)
    await decide(new Date(midnight.getTime() - 1), 234)
    await decide(midnight, 99_999)
    await shop.publisher.publish(ordersEvents.orderCancelled, early)
    await eventually(() => shop.smtp.acceptedFor(customer.email).length === 4)
    await shop.pass(morning)
    await eventually(() => shop.smtp.acceptedFor(manager.email).length === 1)
    await shop.pass(DAY_MS)
    const report = await eventually(() => shop.smtp.acceptedFor(manager.email)[1] ?? false)
    expect(report.decoded).toContain('Orders confirmed: 2')
    expect(report.decoded).toContain('Revenue: €12.34')
    expect(report.decoded).toContain('Orders cancelled: 1')
    expect(report.decoded).toContain('4 × Green tea')
    expect(shop.smtp.acceptedFor(customer.email)).toHaveLength(4)
  })

  test('new products are mailed once a week, those that are gone left out; without any there is no mail', async () => {
    await using shop = await startShop()
    const user = await signUp(shop, { language: 'en', zone: 'UTC' })
    const [tea, gone] = [someProduct('Oolong'), someProduct('Short-lived')]
    for (const product of [tea, gone]) await shop.publisher.publish(productsEvents.productCreated, product, of(product))
    const { productChanged, productDeleted } = productsEvents
    await shop.publisher.publish(productDeleted, { ...gone, deleted: true }, of(gone))
    await shop.publisher.publish(productChanged, { ...tea, price: { amount: 999, currency: 'EUR' } }, of(tea))
    await eventually(
      async () => (await shop.database.query('select 1 from product_copy where version = 2')).length === 2,
    )
    const id = '01977c1e-6a00-7000-8000-00000000eee1'
    const active = await eventually(async () => {
      const answer = await shop.notifications.call(getSchedule, { params: { id }, as: admin })
      return answer.status === 200 && answer.body.nextAt !== null ? answer.body : false
    })
    await shop.pass(new Date(active.nextAt))
    const mail = await eventually(() => shop.smtp.acceptedFor(user.email)[0] ?? false)
    expect(mail.decoded).toContain('Oolong: €9.99')
    expect(mail.decoded).not.toContain('Short-lived')
    await shop.pass(7 * DAY_MS)
    await eventually(async () => {
      const done = await shop.database.query(`select 1 from fire where schedule_id = $1 and status = 'done'`, [id])
      return done.length === 2
    })
    expect(shop.smtp.accepted).toHaveLength(1)
  })
})

type Product = typeof productsEvents.productCreated.example
const someProduct = (name: string): Product => ({ ...productsEvents.productCreated.example, productId: uuidv7(), name })
const of = ({ productId }: Product) => ({ aggregateId: productId })

async function signUp(shop: Shop, changes: Parameters<typeof someUser>[0]): Promise<ReturnType<typeof someUser>> {
  const user = someUser(changes)
  await shop.publisher.publish(authEvents.userChanged, user)
  await eventually(
    async () => (await shop.database.query('select 1 from recipient where user_id = $1', [user.userId])).length === 1,
  )
  return user
}

async function read(shop: Shop, id: string) {
  return (await shop.notifications.call(getSchedule, { params: { id }, as: admin })).body
}
