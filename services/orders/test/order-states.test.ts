import { ordersRoutes, productsEvents, rejectionReasons, type Order, type OrderStatus } from '@saas/contracts'
import { eventually } from '@saas/testing'
import { array, assert, asyncProperty, boolean, constantFrom } from 'fast-check'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expire } from '../src/decisions.ts'
import { applyEvents } from '../src/events.ts'
import { startTestOrders, type TestOrders } from './fixtures.ts'

let shop: TestOrders
let tea: string

beforeAll(async () => {
  shop = await startTestOrders()
  tea = await shop.products.sell({ amount: 490 })
})
afterAll(async () => {
  await shop[Symbol.asyncDispose]()
})

async function place(userId: string): Promise<Order> {
  const body = { lines: [{ productId: tea, quantity: 2 }] }
  const headers = { prefer: 'wait=0', 'idempotency-key': uuidv7() }
  const answer = await shop.call<Order>(ordersRoutes.placeOrder, { userId, body, headers })
  expect(answer.status).toBe(201)
  return answer.body
}

async function read(userId: string, id: string): Promise<Order> {
  return (await shop.call<Order>(ordersRoutes.getOrder, { userId, params: { id } })).body
}

async function cancel(userId: string, id: string) {
  return await shop.call<Order>(ordersRoutes.cancelOrder, { userId, params: { id } })
}

async function becomes(userId: string, id: string, status: OrderStatus): Promise<Order> {
  return await eventually(async () => {
    const order = await read(userId, id)
    expect(order.status).toBe(status)
    return order
  })
}

/** Lets time pass until the order is rejected: whoever looks for deadlines may still have been looking when it passed before. */
async function rejectedInTime(userId: string, id: string): Promise<Order> {
  return await eventually(async () => {
    shop.service.clock.advance(1_001)
    const order = await read(userId, id)
    expect(order.status).toBe('rejected')
    return order
  })
}

interface Told {
  readonly aggregate_version: number
  readonly subject: string
  readonly data: Record<string, unknown>
}

/** What the order's events say, oldest first. */
async function eventsOf(id: string): Promise<Told[]> {
  return await shop.query<Told>(
    'select aggregate_version, subject, data from outbox where aggregate_id = $1 order by aggregate_version',
    [id],
  )
}

const verbsOf = (events: readonly Told[]): string[] => events.map(({ subject }) => subject.split('.').at(-1) ?? '')

describe('decisions', () => {
  test('an order is confirmed when its stock was reserved', async () => {
    const userId = uuidv7()
    const order = await place(userId)
    await shop.products.reserve(order)
    const confirmed = await becomes(userId, order.id, 'confirmed')
    expect(confirmed).toEqual({ ...order, status: 'confirmed', decidedAt: confirmed.decidedAt })
    const events = await eventsOf(order.id)
    expect(verbsOf(events)).toEqual(['placed', 'confirmed'])
    const { placedAt: _placed, deadlineAt: _deadline, ...said } = events[0]?.data ?? {}
    expect(events[1]?.data).toEqual({ ...said, decidedAt: confirmed.decidedAt })
  })

  test.for(rejectionReasons.filter((reason) => reason !== 'deadline'))(
    'an order that products refuses is rejected: %s',
    async (reason, { expect }) => {
      const userId = uuidv7()
      const order = await place(userId)
      await shop.products.refuse(order, reason)
      const rejected = await becomes(userId, order.id, 'rejected')
      expect(rejected.reason).toBe(reason)
      const [, event] = await eventsOf(order.id)
      expect(event?.data).toMatchObject({ orderId: order.id, userId, reason, lines: [{ productId: tea, quantity: 2 }] })
    },
  )

  test('the second of two contradicting decisions changes nothing', async () => {
    const userId = uuidv7()
    const order = await place(userId)
    await shop.products.refuse(order, 'out-of-stock')
    await becomes(userId, order.id, 'rejected')
    await shop.products.reserve(order)
    await shop.products.heard()
    expect(await read(userId, order.id)).toMatchObject({ status: 'rejected', reason: 'out-of-stock' })
    expect(verbsOf(await eventsOf(order.id))).toEqual(['placed', 'rejected'])
  })

  test('a decision about an order that is not there is no error and blocks nobody', async () => {
    const userId = uuidv7()
    const order = await place(userId)
    await shop.products.reserve({ ...order, id: uuidv7() })
    await shop.products.reserve(order)
    await becomes(userId, order.id, 'confirmed')
    expect(await shop.query('select 1 from dead_letter')).toEqual([])
  })
})

describe('cancelling', () => {
  test('a pending and a confirmed order can be cancelled, and products is told', async () => {
    for (const isConfirmed of [false, true]) {
      const userId = uuidv7()
      const order = await place(userId)
      if (isConfirmed) {
        await shop.products.reserve(order)
        await becomes(userId, order.id, 'confirmed')
      }
      const answer = await cancel(userId, order.id)
      expect([answer.status, answer.body.status]).toEqual([200, 'cancelled'])
      expect(answer.body.lines).toEqual(order.lines)
      const last = (await eventsOf(order.id)).at(-1)
      expect(last?.subject).toBe('msg.orders.order.cancelled')
      expect(last?.data).toMatchObject({ orderId: order.id, lines: [{ productId: tea, quantity: 2 }] })
    }
  })

  test('a cancelled order never becomes confirmed', async () => {
    const userId = uuidv7()
    const order = await place(userId)
    await cancel(userId, order.id)
    await shop.products.reserve(order)
    await shop.products.heard()
    expect((await read(userId, order.id)).status).toBe('cancelled')
    expect(verbsOf(await eventsOf(order.id))).toEqual(['placed', 'cancelled'])
  })

  test('cancelling again answers the cancelled order and tells nobody twice', async () => {
    const userId = uuidv7()
    const order = await place(userId)
    const answers = await Promise.all(Array.from({ length: 8 }, () => cancel(userId, order.id)))
    expect(new Set(answers.map(({ status, body }) => `${status} ${body.status}`))).toEqual(new Set(['200 cancelled']))
    expect(verbsOf(await eventsOf(order.id))).toEqual(['placed', 'cancelled'])
  })

  test('a rejected order cannot be cancelled', async () => {
    const userId = uuidv7()
    const order = await place(userId)
    await shop.products.refuse(order, 'product-gone')
    await becomes(userId, order.id, 'rejected')
    const answer = await cancel(userId, order.id)
    expect([answer.status, answer.problem]).toEqual([409, 'order-not-cancellable'])
    expect(verbsOf(await eventsOf(order.id))).toEqual(['placed', 'rejected'])
  })
})

describe('the deadline', () => {
  test('an order not decided by its deadline is rejected, one a moment before is not', async () => {
    const userId = uuidv7()
    const order = await place(userId)
    shop.service.clock.advance(15 * 60_000 - 1)
    await shop.products.heard()
    expect((await read(userId, order.id)).status).toBe('pending')
    const rejected = await rejectedInTime(userId, order.id)
    expect(rejected.reason).toBe('deadline')
    expect(verbsOf(await eventsOf(order.id))).toEqual(['placed', 'rejected'])
  })

  test('a reservation that comes after the deadline changes nothing; the rejection tells products to give it back', async () => {
    const userId = uuidv7()
    const order = await place(userId)
    shop.service.clock.advance(15 * 60_000)
    await rejectedInTime(userId, order.id)
    await shop.products.reserve(order)
    await shop.products.heard()
    expect(await read(userId, order.id)).toMatchObject({ status: 'rejected', reason: 'deadline' })
    expect((await eventsOf(order.id)).at(-1)?.data).toMatchObject({ orderId: order.id, reason: 'deadline' })
  })

  test('many orders past their deadline are each rejected once, though several look for them', async () => {
    const userId = uuidv7()
    await Promise.all(Array.from({ length: 600 }, () => place(userId)))
    const { database } = shop
    const later = new Date(shop.service.clock.now().getTime() + 16 * 60_000)
    const found = await Promise.all(Array.from({ length: 6 }, () => expire(database, later)))
    expect(found.flat().length).toBe(new Set(found.flat().map(({ order_id }) => order_id)).size)
    shop.service.clock.set(later)
    await eventually(async () => {
      shop.service.clock.advance(1_001)
      const rows = await shop.query<{ status: string; version: number; count: number }>(
        'select status, version, count(*) from orders where user_id = $1 group by 1, 2',
        [userId],
      )
      expect(rows).toEqual([{ status: 'rejected', version: 2, count: 600 }])
    })
    const [told] = await shop.query<{ count: number }>(
      `select count(*) from outbox where subject = 'msg.orders.order.rejected' and data ->> 'userId' = $1`,
      [userId],
    )
    expect(told?.count).toBe(600)
  })
})

/** What may happen to an order, in any order and any number of times. */
type Step = 'reserved' | 'refused' | 'cancel' | 'deadline'
const steps = array(constantFrom<Step>('reserved', 'refused', 'cancel', 'deadline'), {
  minLength: 1,
  maxLength: 6,
})

const nextStatus: Readonly<Record<OrderStatus, Partial<Record<Step, OrderStatus>>>> = {
  pending: { reserved: 'confirmed', refused: 'rejected', cancel: 'cancelled', deadline: 'rejected' },
  confirmed: { cancel: 'cancelled' },
  rejected: {},
  cancelled: {},
}

test('whatever is said, however often and in whatever order, an order’s history is a path of the state graph', async () => {
  const { database } = shop
  const { clock } = shop.service
  const userId = uuidv7()

  const tell = async (orderId: string, step: 'reserved' | 'refused'): Promise<void> => {
    const common = {
      id: uuidv7(),
      aggregateId: orderId,
      aggregateVersion: 1,
      time: clock.now(),
      traceParent: undefined,
    }
    const { stockReserved, stockRefused } = productsEvents
    const message =
      step === 'reserved'
        ? { ...common, event: stockReserved, subject: stockReserved.subject, data: { orderId, lines: [] } }
        : {
            ...common,
            event: stockRefused,
            subject: stockRefused.subject,
            data: { orderId, reason: 'out-of-stock' as const, productIds: [] },
          }
    await database.transaction((tx) => applyEvents(tx, [message], clock))
  }

  await assert(
    asyncProperty(steps, boolean(), async (history, isConcurrent) => {
      const { id } = await place(userId)
      const take = async (step: Step): Promise<void> => {
        if (step === 'cancel') await cancel(userId, id)
        else if (step === 'deadline') await expire(database, new Date(clock.now().getTime() + 16 * 60_000))
        else await tell(id, step)
      }
      if (isConcurrent) await Promise.all(history.map(take))
      else for (const step of history) await take(step)

      const order = await read(userId, id)
      const events = await eventsOf(id)
      expect(events.map(({ aggregate_version }) => aggregate_version)).toEqual(events.map((_, index) => index + 1))
      const told = verbsOf(events).map((verb) => (verb === 'placed' ? 'pending' : verb)) as OrderStatus[]
      expect(told[0]).toBe('pending')
      for (const [index, status] of told.slice(1).entries()) {
        expect(Object.values(nextStatus[told[index] ?? 'pending'])).toContain(status)
      }
      expect(order.status).toBe(told.at(-1))
      const expected = history.reduce<OrderStatus>((status, step) => nextStatus[status][step] ?? status, 'pending')
      expect(isConcurrent ? expected : order.status).toBe(expected)
    }),
    { numRuns: 100 },
  )
})
