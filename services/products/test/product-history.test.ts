import { authEvents, exportEvents, productsRoutes, type Product, type ProductChanges } from '@saas/contracts'
import { Database, provisionService, sql } from '@saas/state'
import { eventually, testLog, type TestService } from '@saas/testing'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { create, customer, manager, OrdersSide, startPublisher, startShop, stockOf } from './fixtures.ts'

const { changeStock, deleteProduct, readHistory, replaceProduct } = productsRoutes

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

const read = async ({ id }: Pick<Product, 'id'>, query = {}) =>
  await shop.call(readHistory, { params: { id }, query, as: manager })
const historyOf = async (product: Product, query = {}) => (await read(product, query)).body as ProductChanges

async function withHistory(): Promise<Product> {
  const product = await create(shop, { stock: 10 })
  const { id, sku, name } = product
  const other = { ...manager, userId: uuidv7() }
  shop.clock.advance(1_000)
  const headers = { 'if-match': '*' }
  const body = { sku, name, price: { amount: 520, currency: 'EUR' } }
  await shop.call(replaceProduct, { params: { id }, headers, body, as: other })
  shop.clock.advance(1_000)
  await shop.call(changeStock, { params: { id }, body: { delta: -2, reason: 'breakage' }, as: other })
  shop.clock.advance(1_000)
  const lines = [{ productId: id, quantity: 3, priceVersion: 2 }]
  const orderId = uuidv7()
  await orders.place({ orderId, lines })
  await eventually(async () => (await stockOf(shop, product)) === 5)
  return product
}

test('managers read who changed price and stock, when, why and by what, newest first', async () => {
  const product = await withHistory()
  const { items, next } = await historyOf(product)
  expect(next).toBeNull()
  expect(items).toMatchObject([
    { kind: 'stock', movement: 'reservation', delta: -3, stock: 5, changedBy: null, source: 'msg.orders.order.placed' },
    { kind: 'stock', movement: 'change', delta: -2, stock: 8, reason: 'breakage', source: changeStock.id },
    { kind: 'price', price: { amount: 520, currency: 'EUR' }, source: replaceProduct.id },
    { kind: 'stock', movement: 'initial', delta: 10, stock: 10, changedBy: manager.userId },
    { kind: 'price', price: product.price, changedBy: manager.userId, source: productsRoutes.createProduct.id },
  ])
  expect(items[1]?.changedBy).toBe(items[2]?.changedBy)
  expect(items.map(({ at }) => at)).toEqual(
    items
      .map(({ at }) => at)
      .toSorted()
      .toReversed(),
  )
})

test('its pages hold every entry once, whatever their size, also when clocks disagree', async () => {
  const product = await withHistory()
  shop.clock.advance(-3_600_000)
  await shop.call(changeStock, { params: product, body: { delta: 1, reason: 'found' }, as: manager })
  shop.clock.advance(3_600_000)
  const whole = await historyOf(product)
  expect(whole.items).toHaveLength(6)
  for (const limit of [1, 2, 5]) {
    const read: ProductChanges['items'] = []
    for (let cursor: string | null | undefined; cursor !== null;) {
      const page = await historyOf(product, { limit, ...(cursor === undefined ? {} : { cursor }) })
      read.push(...page.items)
      cursor = page.next
    }
    expect(read).toEqual(whole.items)
  }
})

test('a deleted product keeps its history; a product that never was has none', async () => {
  const product = await create(shop)
  await shop.call(deleteProduct, { params: product, headers: { 'if-match': '*' }, as: manager })
  expect((await historyOf(product)).items).toHaveLength(2)
  expect((await read({ id: uuidv7() })).status).toBe(404)
})

test('customers do not read it, and a cursor of another product’s history is refused', async () => {
  const [product, other] = [await withHistory(), await withHistory()]
  expect((await shop.call(readHistory, { params: product, as: customer })).status).toBe(403)
  const { next } = await historyOf(product, { limit: 1 })
  expect(await read(other, { cursor: next })).toMatchObject({
    status: 400,
    body: { errors: [{ pointer: '/query/cursor' }] },
  })
})

/** What every start of a stack does: it repairs what differs. */
async function provisionAgain(): Promise<void> {
  const { adminUrl, url, migrateUrl } = shop.database
  const [service, migrator] = [new URL(url), new URL(migrateUrl)]
  await provisionService(adminUrl, {
    database: service.pathname.slice(1),
    role: service.username,
    rolePassword: service.password,
    migratorRole: migrator.username,
    migratorPassword: migrator.password,
  })
}

test('the service itself may neither change nor delete what stands in the ledgers, however often it is provisioned', async () => {
  await provisionAgain()
  const { logger } = testLog('products')
  await using service = new Database({ url: shop.database.url, service: 'products', timeoutMs: 5_000, logger })
  for (const text of [
    `update stock_movement set reason = 'other'`,
    'delete from stock_movement',
    'update price_change set amount = 1',
    'delete from price_change',
    'truncate stock_movement',
  ]) {
    await expect(service.write(sql(`test.${text.slice(0, 12)}${text.length}`, text))).rejects.toThrow(
      'permission denied',
    )
  }
})

test('an export names what somebody changed in the catalogue, newest first, and nothing of others', async () => {
  await using auth = await startPublisher(shop, 'auth')
  const person = { ...manager, userId: uuidv7() }
  const other = { ...manager, userId: uuidv7() }
  const { id, sku, name } = await create(shop, { stock: 10 })
  const steps = [
    { as: person, body: { delta: -2, reason: 'breakage' } },
    { as: other, body: { delta: 5, reason: 'found' } },
  ]
  for (const step of steps) await shop.call(changeStock, { params: { id }, ...step })
  shop.clock.advance(1_000)
  const headers = { 'if-match': '*' }
  const price = { amount: 520, currency: 'EUR' }
  await shop.call(replaceProduct, { params: { id }, headers, body: { sku, name, price }, as: person })
  shop.clock.advance(1_000)
  await shop.call(deleteProduct, { params: { id }, headers, as: person })

  const itemsOf = async (userId: string): Promise<unknown[]> => {
    const exportId = uuidv7()
    const request = { exportId, userId, requestedAt: new Date().toISOString() }
    await auth.send(authEvents.exportRequested, exportId, request)
    return await eventually(async () => {
      const [row] = await shop.database.query<{ data: { parts: number; items: unknown[] } }>(
        'select data from outbox where subject = $1 and aggregate_id = $2 and aggregate_version = 1',
        [exportEvents.productsExportPartMade.subject, exportId],
      )
      return row?.data.parts === 1 && row.data.items
    })
  }
  const at = expect.any(String)
  expect(await itemsOf(person.userId)).toEqual([
    { kind: 'deleted', at, productId: id, sku },
    { kind: 'price', at, productId: id, sku, price, source: replaceProduct.id },
    {
      kind: 'stock',
      at,
      productId: id,
      sku,
      movement: 'change',
      delta: -2,
      stock: 8,
      reason: 'breakage',
      source: changeStock.id,
    },
  ])
  expect(await itemsOf(customer.userId)).toEqual([])
})
