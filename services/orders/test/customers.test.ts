import {
  authEvents,
  EXPORT_PART_ITEMS_MAX,
  exportEvents,
  LINES_MAX,
  ordersEvents,
  ordersRoutes,
  type DataOf,
  type Order,
} from '@saas/contracts'
import { eventually } from '@saas/testing'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sayAsAuth, startTestOrders, type TestOrders } from './fixtures.ts'

let orders: TestOrders
let productId: string
beforeAll(async () => {
  orders = await startTestOrders()
  productId = await orders.products.sell({ sku: 'TEA-1' })
})
afterAll(async () => {
  await orders[Symbol.asyncDispose]()
})

async function place(userId: string): Promise<Order> {
  const body = { lines: [{ productId, quantity: 1 }] }
  const headers = { prefer: 'wait=0', 'idempotency-key': uuidv7() }
  return (await orders.call<Order>(ordersRoutes.placeOrder, { userId, body, headers })).body
}

async function partsOf(exportId: string): Promise<DataOf<typeof exportEvents.ordersExportPartMade>[]> {
  const rows = await orders.query<{ data: DataOf<typeof exportEvents.ordersExportPartMade> }>(
    'select data from outbox where subject = $1 and aggregate_id = $2 order by aggregate_version',
    [exportEvents.ordersExportPartMade.subject, exportId],
  )
  return rows.map(({ data }) => data)
}

async function exported(userId: string): Promise<DataOf<typeof exportEvents.ordersExportPartMade>[]> {
  const exportId = uuidv7()
  await sayAsAuth(orders, authEvents.exportRequested, { exportId, userId, requestedAt: new Date().toISOString() })
  return await eventually(async () => {
    const parts = await partsOf(exportId)
    return parts.length > 0 && parts
  })
}

test('a customer who is gone has no cart, no keys and no orders; what was bought stays for the books, and what was not decided is cancelled', async () => {
  const userId = uuidv7()
  const [bought, pending] = [await place(userId), await place(userId)]
  await orders.products.reserve(bought)
  await orders.products.heard()
  const other = uuidv7()
  await place(other)
  await orders.call(ordersRoutes.putCartItem, { userId, params: { productId }, body: { quantity: 2 } })
  await sayAsAuth(orders, authEvents.userDeleted, { userId, deletedAt: new Date().toISOString() })
  await eventually(async () => (await orders.query('select 1 from orders where user_id = $1', [userId])).length === 0)
  for (const table of ['cart', 'idempotency']) {
    expect(await orders.query(`select 1 from ${table} where user_id = $1`, [userId]), table).toEqual([])
  }
  await orders.products.reserve(pending)
  await orders.products.heard()
  const kept = await orders.query(
    'select order_id as id, status, version from orders where order_id = any($1::uuid[]) order by order_id',
    [[bought.id, pending.id]],
  )
  expect(kept).toEqual([
    { id: bought.id, status: 'confirmed', version: 2 },
    { id: pending.id, status: 'cancelled', version: 2 },
  ])
  // With the id by which whoever mails knows that there is nobody to be told.
  const told = await orders.query(
    `select subject, data ->> 'userId' as "userId" from outbox where aggregate_id = $1 order by aggregate_version`,
    [pending.id],
  )
  expect(told).toEqual([
    { subject: ordersEvents.orderPlaced.subject, userId },
    { subject: ordersEvents.orderCancelled.subject, userId },
  ])
  expect(await orders.query('select 1 from orders where user_id = $1', [other])).toHaveLength(1)
})

test('an export has every order of the customer, the newest first, their cart, and nobody else’s', async () => {
  const userId = uuidv7()
  const placed = [await place(userId), await place(userId)]
  const other = uuidv7()
  await place(other)
  for (const [whose, quantity] of [
    [userId, 3],
    [other, 4],
  ] as const) {
    await orders.call(ordersRoutes.putCartItem, { userId: whose, params: { productId }, body: { quantity } })
  }
  const [part] = await exported(userId)
  expect(part?.cart).toMatchObject([{ productId, quantity: 3, unitPrice: { amount: 100, currency: 'EUR' } }])
  expect(part).toMatchObject({ userId, part: 1, parts: 1 })
  expect(part?.items.map(({ id }) => id)).toEqual(placed.map(({ id }) => id).toReversed())
  expect(part?.items[0]).toMatchObject({
    lines: [{ sku: 'TEA-1', quantity: 1 }],
    total: { amount: 100, currency: 'EUR' },
  })
})

test('who never ordered gets an answer too, and many orders come in parts that fit a message', async () => {
  expect(await exported(uuidv7())).toMatchObject([{ part: 1, parts: 1, items: [], cart: [] }])
  const userId = uuidv7()
  await orders.query(
    `with placed as (
       insert into orders (order_id, user_id, status, version, total_amount, currency, created_at, deadline_at)
       select uuidv7(), $1, 'pending', 1, 1, 'EUR', now(), now() from generate_series(1, ${EXPORT_PART_ITEMS_MAX + 1})
       returning order_id
     )
     insert into order_line (order_id, position, product_id, sku, name, quantity, unit_amount, price_version)
     select order_id, 0, uuidv7(), 'TEA-1', 'Tea', 1, 1, 1 from placed`,
    [userId],
  )
  const parts = await eventually(async () => {
    const made = await exported(userId)
    return made.length === 2 && made
  })
  expect(parts.map(({ part, parts: count, items }) => [part, count, items.length])).toEqual([
    [1, 2, EXPORT_PART_ITEMS_MAX],
    [2, 2, 1],
  ])
})

test('orders of a hundred lines come in parts that fit a message too', async () => {
  const userId = uuidv7()
  const [count, lines] = [110, LINES_MAX]
  await orders.query(
    `with placed as (
       insert into orders (order_id, user_id, status, version, total_amount, currency, created_at, deadline_at)
       select uuidv7(), $1, 'pending', 1, 1, 'EUR', now(), now() from generate_series(1, $2::int)
       returning order_id
     )
     insert into order_line (order_id, position, product_id, sku, name, quantity, unit_amount, price_version)
     select order_id, line, uuidv7(), 'TEA-' || line, repeat('茶', 200), 1, 1, 1
     from placed, generate_series(0, $3::int - 1) as line`,
    [userId, count, lines],
  )
  const parts = await exported(userId)
  expect(parts).toHaveLength(parts[0]?.parts ?? 0)
  const items = parts.flatMap((part) => part.items as Order[])
  expect(items).toHaveLength(count)
  expect(items.map(({ id }) => id)).toEqual(
    items
      .map(({ id }) => id)
      .toSorted()
      .toReversed(),
  )
  expect(items.at(-1)?.lines).toHaveLength(lines)
  expect(await orders.query('select 1 from dead_letter')).toEqual([])
})
