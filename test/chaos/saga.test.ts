import type { OrderStatus } from '@saas/contracts'
import { eventually } from '@saas/testing'
import { randomInt, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Shop, type Victim, type Wanted } from './shop.ts'

const ORDERS = 40
const CUSTOMERS = 4
/** Less than what is wanted, so that some orders are refused. */
const STOCK = 60
const DECIDED_WITHIN_MS = 30_000

let shop: Shop

beforeAll(async () => {
  shop = await Shop.start()
})
afterAll(async () => {
  await shop[Symbol.asyncDispose]()
})

interface DecidedOrder {
  readonly order_id: string
  readonly status: OrderStatus
  readonly units: number
}

/** What became of the orders of a product, by order id. */
async function ordersFor(productId: string): Promise<DecidedOrder[]> {
  return await shop.ordersDatabase.query<DecidedOrder>(
    `select order_id, status, quantity as units
     from orders
     join order_line using (order_id)
     where product_id = $1`,
    [productId],
  )
}

/** The stock of a product, and what its movements say it must be. */
async function stockOf(productId: string): Promise<{ available: number; explained: number }> {
  const [row] = await shop.productsDatabase.query<{ available: string; explained: string }>(
    `select available, (select sum(delta) from stock_movement where product_id = product.id) as explained
     from product
     where id = $1`,
    [productId],
  )
  return { available: Number(row?.available), explained: Number(row?.explained) }
}

/** Resolves when every message that was written has been published and applied by who consumes it. */
async function settled(productId: string): Promise<DecidedOrder[]> {
  return await eventually(
    async () => {
      const orders = await ordersFor(productId)
      expect(orders.filter(({ status }) => status === 'pending')).toEqual([])
      for (const database of [shop.ordersDatabase, shop.productsDatabase]) {
        expect(await database.query('select subject from outbox where published_at is null')).toEqual([])
      }
      const cancelled = orders.filter(({ status }) => status === 'cancelled').map(({ order_id }) => order_id)
      // One that products refused before it heard of the cancellation holds nothing either.
      const text = `select order_id from reservation where order_id = any($1) and state in ('released', 'refused')`
      expect(await shop.productsDatabase.query(text, [cancelled])).toHaveLength(cancelled.length)
      return orders
    },
    { timeoutMs: DECIDED_WITHIN_MS },
  )
}

test('an order that was placed is confirmed, and the stock goes down', async () => {
  const productId = await shop.sell(10, 490)
  const wanted = { userId: randomUUID(), key: 'k', lines: [{ productId, quantity: 3 }], waitSeconds: 30 }
  const order = await shop.place(wanted)
  expect(order).toMatchObject({ status: 'confirmed', total: { amount: 1_470, currency: 'EUR' } })
  expect(await stockOf(productId)).toEqual({ available: 7, explained: 7 })
})

test('an order of more than there is is rejected, and the stock stays', async () => {
  const productId = await shop.sell(2, 490)
  const wanted = { userId: randomUUID(), key: 'k', lines: [{ productId, quantity: 3 }], waitSeconds: 30 }
  expect(await shop.place(wanted)).toMatchObject({ status: 'rejected', reason: 'out-of-stock' })
  expect(await stockOf(productId)).toEqual({ available: 2, explained: 2 })
})

test('an order placed with a price that products no longer has is rejected', async () => {
  const productId = await shop.sell(5, 490)
  await shop.ordersDatabase.query('update product_copy set price_version = 7 where product_id = $1', [productId])
  const wanted = { userId: randomUUID(), key: 'k', lines: [{ productId, quantity: 1 }], waitSeconds: 30 }
  expect(await shop.place(wanted)).toMatchObject({ status: 'rejected', reason: 'price-changed' })
  expect(await stockOf(productId)).toEqual({ available: 5, explained: 5 })
})

test('a cancelled order gives its stock back once', async () => {
  const productId = await shop.sell(10, 490)
  const userId = randomUUID()
  const order = await shop.place({ userId, key: 'k', lines: [{ productId, quantity: 4 }], waitSeconds: 30 })
  expect((await stockOf(productId)).available).toBe(6)
  expect(await shop.cancel(userId, order.id)).toBe('cancelled')
  expect(await shop.cancel(userId, order.id)).toBe('cancelled')
  await settled(productId)
  expect(await stockOf(productId)).toEqual({ available: 10, explained: 10 })
})

test.for<Victim>(['orders', 'products', 'NATS', 'Postgres'])(
  'kill -9 of %s in the middle of many orders loses nothing and does nothing twice',
  async (victim, { expect }) => {
    const productId = await shop.sell(STOCK, 490)
    const killedAt = randomInt(ORDERS / 4, (ORDERS * 3) / 4)
    const wanted = Array.from({ length: ORDERS }, (): Wanted => ({
      userId: randomUUID(),
      key: randomUUID(),
      lines: [{ productId, quantity: randomInt(1, 4) }],
      waitSeconds: randomInt(0, 2),
    }))
    shop.refusals.clear()
    const acknowledged = new Map<string, string>()
    let repaired: Promise<void> = Promise.resolve()
    const queue = [...wanted.entries()]
    const customer = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const [number, order] = next
        const placing = shop.place(order)
        if (number === killedAt) repaired = shop.killAndRestart(victim)
        const { id } = await placing
        acknowledged.set(order.key, id)
        // Some change their mind, whatever has become of the order by then.
        if (number % 8 === 0) await shop.cancel(order.userId, id)
      }
    }
    await Promise.all(Array.from({ length: CUSTOMERS }, customer))
    await repaired

    const decided = await settled(productId)
    const about = `${victim} was killed at order ${killedAt}`
    // Whoever could not be served was told to come again, and never that something was wrong with the order.
    expect(
      [...shop.refusals].filter((status) => status !== 503),
      about,
    ).toEqual([])
    expect(decided.map(({ order_id }) => order_id).toSorted(), about).toEqual([...acknowledged.values()].toSorted())
    for (const order of wanted) {
      const replay = await shop.place({ ...order, waitSeconds: 0 })
      expect(replay.id, about).toBe(acknowledged.get(order.key))
    }
    const confirmed = decided.filter(({ status }) => status === 'confirmed')
    const sold = confirmed.reduce((sum, { units }) => sum + units, 0)
    expect(await stockOf(productId), about).toEqual({ available: STOCK - sold, explained: STOCK - sold })
    await expectWholeHistories(about)
  },
)

/** Each aggregate told its versions 1 to n, one event each, the last of which is its state; nothing was unintelligible. */
async function expectWholeHistories(about: string): Promise<void> {
  for (const database of [shop.ordersDatabase, shop.productsDatabase]) {
    const broken = await database.query(
      `select aggregate_type, aggregate_id
       from outbox
       group by 1, 2
       having count(*) <> max(aggregate_version) or count(distinct aggregate_version) <> count(*)`,
    )
    expect(broken, about).toEqual([])
    expect(await database.query('select subject, reason from dead_letter'), about).toEqual([])
  }
  const untold = await shop.ordersDatabase.query(
    `select order_id
     from orders
     where version <> (select max(aggregate_version) from outbox where aggregate_id = order_id::text)`,
  )
  expect(untold, about).toEqual([])
}
