import { productsEvents, productsRoutes, type Product } from '@saas/contracts'
import { eventually, type TestService } from '@saas/testing'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { create, manager, newProduct, OrdersSide, reservations, sentEvents, startShop, stockOf } from './fixtures.ts'

const { changeStock, deleteProduct, replaceProduct } = productsRoutes
const { stockRanLow } = productsEvents

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

const change = async (id: string, delta: number) =>
  await shop.call(changeStock, { params: { id }, body: { delta, reason: 'count' }, as: manager })

/** What was sent about a product's stock, oldest first. */
async function crossings({ id }: Pick<Product, 'id'>): Promise<{ version: number; available: unknown }[]> {
  const events = await sentEvents(shop.database, id)
  return events
    .filter(({ subject }) => subject === stockRanLow.subject)
    .map(({ version, data }) => ({ version, available: data['available'] }))
}

async function settled(count: number): Promise<void> {
  await eventually(async () => (await reservations(shop.database)).size === count)
}

describe('managers are told that a product runs low', () => {
  test('when its stock falls from above the threshold to it, with all they need to know', async () => {
    const product = await create(shop, { stock: 6, lowStockThreshold: 5 })
    expect(product.lowStockThreshold).toBe(5)
    await change(product.id, -1)
    const [event, ...others] = (await sentEvents(shop.database, product.id)).filter(
      ({ subject }) => subject === stockRanLow.subject,
    )
    expect(others).toEqual([])
    expect(event).toEqual({
      subject: stockRanLow.subject,
      version: 1,
      data: {
        productId: product.id,
        sku: product.sku,
        name: product.name,
        available: 5,
        threshold: 5,
        crossedAt: shop.clock.now().toISOString(),
      },
    })
  })

  test('once a crossing: not again while it stays low, and again after it rose above', async () => {
    const product = await create(shop, { stock: 10, lowStockThreshold: 5 })
    for (const delta of [-7, -1, 3, -2, 1]) await change(product.id, delta)
    expect(await crossings(product)).toEqual([{ version: 1, available: 3 }])
    for (const delta of [2, -6]) await change(product.id, delta)
    expect(await crossings(product)).toEqual([
      { version: 1, available: 3 },
      { version: 2, available: 0 },
    ])
  })

  test('once, however many take from it at the same time', async () => {
    const product = await create(shop, { stock: 20, lowStockThreshold: 12 })
    await Promise.all(Array.from({ length: 20 }, () => change(product.id, -1)))
    expect(await stockOf(shop, product)).toBe(0)
    expect(await crossings(product)).toEqual([{ version: 1, available: 12 }])
  })

  test('when an order took it, and again after an order that was cancelled gave it back', async () => {
    const product = await create(shop, { stock: 10, lowStockThreshold: 0 })
    const before = (await reservations(shop.database)).size
    const [first, second] = [uuidv7(), uuidv7()]
    const lines = [{ productId: product.id, quantity: 10 }]
    await orders.place({ orderId: first, lines })
    await settled(before + 1)
    expect(await crossings(product)).toEqual([{ version: 1, available: 0 }])
    await orders.cancel(first, lines)
    await eventually(async () => (await stockOf(shop, product)) === 10)
    await orders.place({ orderId: second, lines })
    await settled(before + 2)
    expect(await crossings(product)).toEqual([
      { version: 1, available: 0 },
      { version: 2, available: 0 },
    ])
  })

  test('not by setting a threshold: whoever sets it sees the stock', async () => {
    const product = await create(shop, { stock: 4 })
    expect(product.lowStockThreshold).toBeNull()
    await change(product.id, -1)
    const { stock: _, ...said } = newProduct({ sku: product.sku, lowStockThreshold: 5 })
    const set = { params: { id: product.id }, headers: { 'if-match': '*' }, as: manager }
    expect(await shop.call(replaceProduct, { ...set, body: said })).toMatchObject({
      status: 200,
      body: { lowStockThreshold: 5 },
    })
    await change(product.id, -1)
    expect(await crossings(product)).toEqual([])
    await shop.call(deleteProduct, set)
  })

  test.each([-1, 0.5, 1_000_000_001, '5'])('a threshold of %s is refused', async (lowStockThreshold) => {
    const body = newProduct({ lowStockThreshold: lowStockThreshold as number })
    expect(await shop.call(productsRoutes.createProduct, { body, as: manager })).toMatchObject({
      status: 400,
      body: { errors: [{ pointer: '/lowStockThreshold' }] },
    })
  })

  test('a change that is sent again under its key tells nothing twice', async () => {
    const product = await create(shop, { stock: 6, lowStockThreshold: 5 })
    const headers = { 'idempotency-key': 'once' }
    const body = { delta: -3, reason: 'count' }
    const keyed = () => shop.call(changeStock, { params: { id: product.id }, body, headers, as: manager })
    await Promise.all([keyed(), keyed(), keyed()])
    expect(await crossings(product)).toEqual([{ version: 1, available: 3 }])
  })
})
