import { ordersEvents } from '@saas/contracts'
import { Database, sql } from '@saas/state'
import { cloneDatabase, testLog, type TestDatabase } from '@saas/testing'
import * as fc from 'fast-check'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { applyOrderEvents, type OrderMessage } from '../src/reservations.ts'
import { crossingViolations, customer, placedData, stockViolations } from './fixtures.ts'

const RUNS = 60
const PRODUCTS = 3
const NOW = new Date('2026-01-15T12:00:00.000Z')

let testDatabase: TestDatabase
let database: Database
beforeAll(async () => {
  testDatabase = await cloneDatabase('products')
  const { logger } = testLog('products')
  database = new Database({ url: testDatabase.url, service: 'products', timeoutMs: 5_000, logger })
})
afterAll(async () => {
  await database[Symbol.asyncDispose]()
  await testDatabase[Symbol.asyncDispose]()
})

interface Scenario {
  readonly stocks: readonly number[]
  /** For each order the quantity of each product; 0 leaves it out. */
  readonly orders: readonly (readonly number[])[]
  /** Which orders end, and how. */
  readonly ends: readonly ('cancelled' | 'deadline' | undefined)[]
  /** The messages, shuffled, some of them several times: the number of an order, and whether it is its end. */
  readonly deliveries: readonly { readonly order: number; readonly isEnd: boolean }[]
  readonly batchSizes: readonly number[]
}

const quantities = fc.array(fc.integer({ min: 0, max: 4 }), { minLength: PRODUCTS, maxLength: PRODUCTS })

const scenario: fc.Arbitrary<Scenario> = fc
  .record({
    stocks: fc.array(fc.integer({ min: 0, max: 12 }), { minLength: PRODUCTS, maxLength: PRODUCTS }),
    orders: fc.array(
      quantities.filter((line) => line.some((quantity) => quantity > 0)),
      { minLength: 1, maxLength: 12 },
    ),
  })
  .chain(({ stocks, orders }) => {
    const { length } = orders
    const ends = fc.array(fc.constantFrom('cancelled' as const, 'deadline' as const, undefined), {
      minLength: length,
      maxLength: length,
    })
    return ends.chain((ended) => {
      const messages = orders.flatMap((_, order) => [
        { order, isEnd: false },
        ...(ended[order] === undefined ? [] : [{ order, isEnd: true }]),
      ])
      const repeated = fc.array(fc.constantFrom(...messages), { maxLength: 10 })
      return fc.record({
        stocks: fc.constant(stocks),
        orders: fc.constant(orders),
        ends: fc.constant(ended),
        deliveries: repeated.chain((more) =>
          fc.shuffledSubarray([...messages, ...more.map((message) => ({ ...message }))], {
            minLength: messages.length + more.length,
          }),
        ),
        batchSizes: fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 5 }),
      })
    })
  })

const insertProducts = sql(
  'test.insert_products',
  `with saved as (
     insert into product (id, sku, name, description, price_amount, price_currency, price_version, tags, attributes,
       available, low_stock_threshold, stock_version, version, created_at, updated_at)
     select id, id::text, 'Tea', '', 100, 'EUR', 1, '{}', '{}', available, 4, 1, 1, $3, $3
     from unnest($1::uuid[], $2::bigint[]) as made(id, available)
     returning *
   ), moved as (
     insert into stock_movement (product_id, stock_version, kind, delta, available_after, changed_by, source, created_at)
     select id, 1, 'initial', available, available, $4::uuid, 'test', $3
     from saved
   )
   insert into price_change (product_id, price_version, amount, currency, changed_by, source, created_at)
   select id, 1, price_amount, price_currency, $4::uuid, 'test', $3
   from saved`,
)

async function prepare({ stocks, orders, ends, deliveries }: Scenario) {
  const productIds = stocks.map(() => uuidv7())
  await database.write(insertProducts, [productIds, stocks, NOW, customer.userId])
  const orderIds = orders.map(() => uuidv7())
  const messages = deliveries.map(({ order, isEnd }): OrderMessage => {
    const orderId = orderIds[order] ?? ''
    const lines = (orders[order] ?? []).flatMap((quantity, product) =>
      quantity === 0 ? [] : [{ productId: productIds[product] ?? '', quantity }],
    )
    const data = placedData(orderId, lines)
    const envelope = { id: uuidv7(), aggregateId: orderId, time: NOW, traceParent: undefined }
    const decidedAt = NOW.toISOString()
    const { orderPlaced, orderCancelled, orderRejected } = ordersEvents
    if (!isEnd) return { ...envelope, event: orderPlaced, subject: orderPlaced.subject, aggregateVersion: 1, data }
    const end = { ...envelope, aggregateVersion: 2 }
    return ends[order] === 'cancelled'
      ? { ...end, event: orderCancelled, subject: orderCancelled.subject, data: { ...data, decidedAt } }
      : {
          ...end,
          event: orderRejected,
          subject: orderRejected.subject,
          data: { ...data, decidedAt, reason: 'deadline' },
        }
  })
  return { productIds, orderIds, messages }
}

function batchesOf(messages: readonly OrderMessage[], sizes: readonly number[]): OrderMessage[][] {
  const batches: OrderMessage[][] = []
  for (let start = 0; start < messages.length;) {
    const size = sizes[batches.length % sizes.length] ?? 1
    batches.push(messages.slice(start, start + size))
    start += size
  }
  return batches
}

const apply = (batch: readonly OrderMessage[]) => database.transaction((tx) => applyOrderEvents(tx, batch, NOW))

interface Outcome {
  readonly stocks: readonly number[]
  readonly states: readonly (string | undefined)[]
}

async function outcomeOf(productIds: readonly string[], orderIds: readonly string[]): Promise<Outcome> {
  const stocks = await testDatabase.query<{ id: string; available: number }>(
    'select id, available::int from product where id = any($1)',
    [productIds],
  )
  const states = await testDatabase.query<{ order_id: string; state: string }>(
    'select order_id, state from reservation where order_id = any($1)',
    [orderIds],
  )
  return {
    stocks: productIds.map((id) => stocks.find((row) => row.id === id)?.available ?? -1),
    states: orderIds.map((id) => states.find((row) => row.order_id === id)?.state),
  }
}

/** The rule in its shortest form: an order is decided by whichever of its messages comes first, and ends once. */
function modelOf({ stocks, orders, deliveries }: Scenario): Outcome {
  const left = [...stocks]
  const states: (string | undefined)[] = orders.map(() => undefined)
  const add = (order: number, sign: 1 | -1) => {
    for (const [product, quantity] of (orders[order] ?? []).entries()) {
      left[product] = (left[product] ?? 0) + sign * quantity
    }
  }
  for (const { order, isEnd } of deliveries) {
    const state = states[order]
    if (!isEnd && state === undefined) {
      const fits = (orders[order] ?? []).every((quantity, product) => quantity <= (left[product] ?? 0))
      states[order] = fits ? 'reserved' : 'refused'
      if (fits) add(order, -1)
    }
    if (isEnd && state !== 'refused') {
      states[order] = 'released'
      if (state === 'reserved') add(order, 1)
    }
  }
  return { stocks: left, states }
}

test('whatever comes, twice and in whatever order, stock is what the simplest model says', async () => {
  await fc.assert(
    fc.asyncProperty(scenario, async (given) => {
      const { productIds, orderIds, messages } = await prepare(given)
      for (const batch of batchesOf(messages, given.batchSizes)) await apply(batch)
      expect(await outcomeOf(productIds, orderIds)).toEqual(modelOf(given))
    }),
    { numRuns: RUNS },
  )
  expect(await stockViolations(testDatabase)).toEqual([])
})

test('batches that run at the same time never oversell, deadlock or move stock twice', async () => {
  await fc.assert(
    fc.asyncProperty(scenario, async (given) => {
      const { productIds, orderIds, messages } = await prepare(given)
      await Promise.all(batchesOf(messages, given.batchSizes).map(apply))
      const { stocks, states } = await outcomeOf(productIds, orderIds)
      for (const [order, state] of states.entries()) {
        const end = given.ends[order]
        expect(end === undefined ? ['reserved', 'refused'] : ['released', 'refused']).toContain(state)
      }
      for (const [product, stock] of stocks.entries()) {
        const reserved = given.orders.map((quantities, order) =>
          states[order] === 'reserved' ? (quantities[product] ?? 0) : 0,
        )
        expect(stock).toBe((given.stocks[product] ?? 0) - reserved.reduce((sum, quantity) => sum + quantity, 0))
      }
    }),
    { numRuns: RUNS },
  )
  expect(await stockViolations(testDatabase)).toEqual([])
})

test('each time a stock ran low was told once, also where it rose and fell within a batch', async () => {
  expect(await crossingViolations(testDatabase)).toEqual([])
  const told = await testDatabase.query(`select from outbox where aggregate_type = 'stock-level'`)
  expect(told.length).toBeGreaterThan(0)
})

test('the events of an order are numbered without a gap', async () => {
  const gaps = await testDatabase.query(
    `select aggregate_id
     from outbox
     where aggregate_type = 'reservation'
     group by aggregate_id
     having max(aggregate_version) <> count(*)`,
  )
  expect(gaps).toEqual([])
})
