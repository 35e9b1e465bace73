import { authEvents, ordersEvents, productsEvents, productsRoutes, type Product } from '@saas/contracts'
import { Database, sql } from '@saas/state'
import { eventually, testLog, type TestService } from '@saas/testing'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  create,
  manager,
  newProduct,
  OrdersSide,
  reservations,
  sentEvents,
  startPublisher,
  startShop,
  stockOf,
  stockViolations,
  type ReservationRow,
  type Wanted,
} from './fixtures.ts'

const { changeStock, deleteProduct, replaceProduct } = productsRoutes
const { stockReserved, stockRefused, stockReleased } = productsEvents

const lockProduct = sql('test.lock_product', 'select from product where id = $1 for no key update')

let shop: TestService
let orders: OrdersSide
beforeAll(async () => {
  shop = await startShop()
  orders = await OrdersSide.start(shop)
})
afterAll(async () => {
  await orders[Symbol.asyncDispose]()
  await shop[Symbol.asyncDispose]()
})

async function decided(orderId: string, state?: string): Promise<ReservationRow> {
  return await eventually(async () => {
    const row = (await reservations(shop.database)).get(orderId)
    return row !== undefined && (state === undefined || row.state === state) ? row : false
  })
}

async function place(lines: readonly Wanted[]): Promise<{ orderId: string; row: ReservationRow }> {
  const orderId = uuidv7()
  await orders.place({ orderId, lines })
  return { orderId, row: await decided(orderId) }
}

/** Until the consumer has nothing left to do. */
async function settled(service: TestService = shop): Promise<void> {
  const manager = await service.bus.manager()
  await eventually(async () => {
    const { num_pending, num_ack_pending } = await manager.consumers.info('messages', 'products')
    return num_pending === 0 && num_ack_pending === 0
  })
}

/** How many movements an order made. */
async function deltasOf(orderId: string): Promise<number[]> {
  const rows = await shop.database.query<{ delta: number }>(
    'select delta::int from stock_movement where order_id = $1 order by product_id, stock_version',
    [orderId],
  )
  return rows.map(({ delta }) => delta)
}

describe('an order is reserved whole or not at all', () => {
  test('all lines are taken when all can be', async () => {
    const [a, b] = [await create(shop, { stock: 5 }), await create(shop, { stock: 5 })]
    const lines = [
      { productId: a.id, quantity: 2 },
      { productId: b.id, quantity: 5 },
    ]
    const { orderId, row } = await place(lines)
    expect(row).toMatchObject({ state: 'reserved', version: 1 })
    expect([await stockOf(shop, a), await stockOf(shop, b)]).toEqual([3, 0])
    expect(await sentEvents(shop.database, orderId)).toEqual([
      { subject: stockReserved.subject, version: 1, data: { orderId, lines } },
    ])
  })

  test('one line too many refuses all of them, and names it', async () => {
    const [a, b] = [await create(shop, { stock: 5 }), await create(shop, { stock: 1 })]
    const { orderId, row } = await place([{ productId: a.id }, { productId: b.id, quantity: 2 }])
    expect(row).toMatchObject({ state: 'refused', refusal_reason: 'out-of-stock' })
    expect([await stockOf(shop, a), await stockOf(shop, b)]).toEqual([5, 1])
    expect(await sentEvents(shop.database, orderId)).toEqual([
      { subject: stockRefused.subject, version: 1, data: { orderId, reason: 'out-of-stock', productIds: [b.id] } },
    ])
    expect(await deltasOf(orderId)).toEqual([])
  })

  test('two lines of one product count together', async () => {
    const a = await create(shop, { stock: 3 })
    const line = { productId: a.id, quantity: 2 }
    expect((await place([line, line])).row).toMatchObject({ state: 'refused', refusal_reason: 'out-of-stock' })
    const { orderId } = await place([line, { ...line, quantity: 1 }])
    expect(await deltasOf(orderId)).toEqual([-3])
  })

  test('a deleted product and one that never was are gone', async () => {
    const [a, b] = [await create(shop), await create(shop)]
    await shop.call(deleteProduct, { params: { id: a.id }, headers: { 'if-match': '*' }, as: manager })
    const never = uuidv7()
    const { orderId, row } = await place([
      { productId: a.id },
      { productId: b.id, priceVersion: 9 },
      { productId: never },
    ])
    expect(row).toMatchObject({ state: 'refused', refusal_reason: 'product-gone' })
    expect(await sentEvents(shop.database, orderId)).toMatchObject([{ data: { productIds: [a.id, never] } }])
    expect((await place([{ productId: never }])).row).toMatchObject({ refusal_reason: 'product-gone' })
  })

  test('a price that is not the current one is refused, whether past or from the future', async () => {
    const a = await create(shop, { sku: 'PRICED' })
    const body = { sku: 'PRICED', name: 'Green tea', price: { amount: 1, currency: 'EUR' } }
    await shop.call(replaceProduct, { params: { id: a.id }, body, headers: { 'if-match': '*' }, as: manager })
    for (const priceVersion of [1, 3]) {
      const { row } = await place([{ productId: a.id, priceVersion }])
      expect(row).toMatchObject({ state: 'refused', refusal_reason: 'price-changed' })
    }
    expect((await place([{ productId: a.id, priceVersion: 2 }])).row).toMatchObject({ state: 'reserved' })
  })
})

describe('each order moves stock once', () => {
  test('a redelivered order.placed reserves once', async () => {
    const a = await create(shop, { stock: 10 })
    const lines = [{ productId: a.id, quantity: 2 }]
    const { orderId } = await place(lines)
    // As another message, which the inbox does not know …
    await orders.place({ orderId, lines })
    await settled()
    // … and as the same ones: a new durable gets the whole stream again.
    await (await shop.bus.manager()).consumers.delete('messages', 'products')
    const { orderId: last } = await place([{ productId: a.id }])
    expect(last).not.toBe(orderId)
    await settled()
    expect(await stockOf(shop, a)).toBe(7)
    expect(await sentEvents(shop.database, orderId)).toHaveLength(1)
  })

  test('a refused order stays refused when stock comes and the message comes again', async () => {
    const a = await create(shop, { stock: 0 })
    const lines = [{ productId: a.id }]
    const { orderId } = await place(lines)
    await shop.call(changeStock, { params: { id: a.id }, body: { delta: 5, reason: 'delivery' }, as: manager })
    await orders.place({ orderId, lines })
    await settled()
    expect((await reservations(shop.database)).get(orderId)).toMatchObject({ state: 'refused' })
    expect(await stockOf(shop, a)).toBe(5)
  })

  test('a cancelled order gives its stock back once', async () => {
    const a = await create(shop, { stock: 10 })
    const lines = [{ productId: a.id, quantity: 4 }]
    const { orderId } = await place(lines)
    await orders.cancel(orderId, lines)
    await decided(orderId, 'released')
    await orders.cancel(orderId, lines)
    await orders.reject(orderId, lines, 'deadline')
    await settled()
    expect(await stockOf(shop, a)).toBe(10)
    expect(await deltasOf(orderId)).toEqual([-4, 4])
    expect(await sentEvents(shop.database, orderId)).toMatchObject([
      { subject: stockReserved.subject, version: 1 },
      { subject: stockReleased.subject, version: 2, data: { orderId } },
    ])
  })

  test('stock of a product that was deleted meanwhile is given back too', async () => {
    const a = await create(shop, { stock: 10 })
    const lines = [{ productId: a.id, quantity: 4 }]
    const { orderId } = await place(lines)
    await shop.call(deleteProduct, { params: { id: a.id }, headers: { 'if-match': '*' }, as: manager })
    await orders.cancel(orderId, lines)
    await decided(orderId, 'released')
    expect(await deltasOf(orderId)).toEqual([-4, 4])
  })

  test('an order that nobody decided in time gives back what it may have reserved', async () => {
    const a = await create(shop, { stock: 10 })
    const lines = [{ productId: a.id, quantity: 4 }]
    const { orderId } = await place(lines)
    await orders.reject(orderId, lines, 'deadline')
    await decided(orderId, 'released')
    expect(await stockOf(shop, a)).toBe(10)
  })

  test('an order that was rejected because it was refused moves nothing', async () => {
    const a = await create(shop, { stock: 1 })
    const lines = [{ productId: a.id, quantity: 2 }]
    const { orderId } = await place(lines)
    await orders.reject(orderId, lines, 'out-of-stock')
    const unseen = uuidv7()
    await orders.reject(unseen, lines, 'out-of-stock')
    await settled()
    expect((await reservations(shop.database)).get(orderId)).toMatchObject({ state: 'refused', version: 1 })
    expect((await reservations(shop.database)).has(unseen)).toBe(false)
  })

  test.each(['cancelled', 'deadline'] as const)(
    'a late order.placed after its end (%s) reserves nothing',
    async (end) => {
      const a = await create(shop, { stock: 10 })
      const lines = [{ productId: a.id, quantity: 4 }]
      const orderId = uuidv7()
      await (end === 'cancelled' ? orders.cancel(orderId, lines) : orders.reject(orderId, lines, 'deadline'))
      expect(await decided(orderId)).toMatchObject({ state: 'released', version: 0 })
      await orders.place({ orderId, lines })
      await settled()
      expect((await reservations(shop.database)).get(orderId)).toMatchObject({ state: 'released', version: 0 })
      expect(await stockOf(shop, a)).toBe(10)
      expect(await sentEvents(shop.database, orderId)).toEqual([])
    },
  )
})

test('PUT never overwrites a reservation', async () => {
  const a = await create(shop, { stock: 500 })
  const orderIds = Array.from({ length: 100 }, () => uuidv7())
  const placing = orderIds.map((orderId) => orders.place({ orderId, lines: [{ productId: a.id, quantity: 3 }] }))
  const writing = Array.from({ length: 60 }, async (_, index) => {
    const { stock: _stock, ...body } = newProduct({ sku: a.sku, name: `Green tea ${index}` })
    await shop.call(replaceProduct, { params: { id: a.id }, body, headers: { 'if-match': '*' }, as: manager })
    await shop.call(changeStock, { params: { id: a.id }, body: { delta: 1, reason: 'found one' }, as: manager })
  })
  await Promise.all([...placing, ...writing])
  await eventually(async () => {
    const known = await reservations(shop.database)
    return orderIds.every((orderId) => known.has(orderId))
  })
  expect(await stockOf(shop, a)).toBe(500 + 60 - 300)
  expect(await stockViolations(shop.database)).toEqual([])
})

describe('with two replicas', () => {
  let second: TestService
  beforeAll(async () => {
    second = await startShop({ database: shop.database, bus: shop.bus, objects: shop.objects })
  })
  afterAll(async () => {
    await second[Symbol.asyncDispose]()
  })

  test('1,000 orders for 100 units: exactly 100 are reserved', async () => {
    const a = await create(shop, { stock: 100 })
    const placed = Array.from({ length: 1_000 }, () => ({ orderId: uuidv7(), lines: [{ productId: a.id }] }))
    await orders.place(...placed)
    const states = await eventually(async () => {
      const known = await reservations(shop.database)
      const rows = placed.map(({ orderId }) => known.get(orderId))
      return rows.includes(undefined) ? false : rows
    })
    expect(states.filter((row) => row?.state === 'reserved')).toHaveLength(100)
    expect(states.filter((row) => row?.refusal_reason === 'out-of-stock')).toHaveLength(900)
    expect(await stockOf(shop, a)).toBe(0)
  })

  test('whoever waits for a product holds those before it and none after it', async () => {
    const { logger } = testLog('products')
    await using database = new Database({ url: shop.database.adminUrl, service: 'test', timeoutMs: 30_000, logger })
    const productIds = (await Promise.all(Array.from({ length: 8 }, async () => (await create(shop)).id))).toSorted()
    const [orderId, lines] = [uuidv7(), productIds.toReversed().map((productId) => ({ productId }))]
    await database.transaction(async (tx) => {
      await tx.query(lockProduct, [productIds[4]])
      await orders.place({ orderId, lines })
      await eventually(async () => {
        const free = await shop.database.query<{ id: string }>(
          'select id from product where id = any($1) order by id for no key update skip locked',
          [productIds],
        )
        expect(free.map(({ id }) => id)).toEqual(productIds.slice(5))
      })
    })
    expect((await decided(orderId)).state).toBe('reserved')
  })

  test('orders of many products in every order lock nobody out', async () => {
    const products: Product[] = []
    for (let index = 0; index < 8; index += 1) products.push(await create(shop, { stock: 10_000 }))
    const placed = Array.from({ length: 600 }, (_, index) => ({
      orderId: uuidv7(),
      lines: products.map((_, line) => ({ productId: products[(index * 3 + line * 5) % 8]?.id ?? '' })),
    }))
    await Promise.all(Array.from({ length: 12 }, (_, part) => orders.place(...placed.slice(part * 50, part * 50 + 50))))
    await eventually(async () => {
      const known = await reservations(shop.database)
      return placed.every(({ orderId }) => known.get(orderId)?.state === 'reserved')
    })
    for (const product of products) expect(await stockOf(shop, product)).toBe(9_400)
    // On a busy machine half a second is soon over, and then a batch that waits its turn goes on one by one.
    const failed = [...shop.log.lines, ...second.log.lines].filter(
      (line) => line.message.includes('batch failed') && !JSON.stringify(line).includes('due to lock timeout'),
    )
    expect(failed).toEqual([])
  })

  test('orders cancelled the moment they are placed end with their stock back', async () => {
    const a = await create(shop, { stock: 1_000 })
    const lines = [{ productId: a.id }]
    const orderIds = Array.from({ length: 300 }, () => uuidv7())
    await Promise.all(
      orderIds.flatMap((orderId, index) => {
        const steps = [() => orders.place({ orderId, lines }), () => orders.cancel(orderId, lines)]
        return (index % 2 === 0 ? steps : steps.toReversed()).map((step) => step())
      }),
    )
    await eventually(async () => {
      const known = await reservations(shop.database)
      return orderIds.every((orderId) => known.get(orderId)?.state === 'released')
    })
    await settled()
    expect(await stockOf(shop, a)).toBe(1_000)
    expect(await stockViolations(shop.database)).toEqual([])
  })
})

test('a message that says nothing sensible blocks nobody', async () => {
  const a = await create(shop)
  const nonsense = uuidv7()
  await orders.send({ event: ordersEvents.orderPlaced, orderId: nonsense, version: 1, data: { orderId: nonsense } })
  expect((await place([{ productId: a.id }])).row).toMatchObject({ state: 'reserved' })
  const dead = await eventually(async () => {
    const rows = await shop.database.query('select reason from dead_letter')
    return rows.length === 0 ? false : rows
  })
  expect(dead).toHaveLength(1)
})

test('what nobody could apply about somebody is emptied when the account is deleted, and what concerns others stays', async () => {
  const [gone, other] = [uuidv7(), uuidv7()]
  const bodyOf = async (userId: string) =>
    await shop.database.query(`select 1 from dead_letter where position($1 in convert_from(body, 'UTF8')) > 0`, [
      userId,
    ])
  for (const userId of [gone, other]) {
    await orders.send({ event: ordersEvents.orderPlaced, orderId: userId, version: 1, data: { userId } })
    await eventually(async () => (await bodyOf(userId)).length === 1)
  }
  await using auth = await startPublisher(shop, 'auth')
  await auth.send(authEvents.userDeleted, gone, { userId: gone, deletedAt: new Date().toISOString() })
  await eventually(async () => (await bodyOf(gone)).length === 0)
  expect(await bodyOf(other)).toHaveLength(1)
})

test('after all of this the ledger adds up', async () => {
  await settled()
  expect(await stockViolations(shop.database)).toEqual([])
})
