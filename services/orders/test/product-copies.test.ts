import { ordersRoutes, productsEvents, type Cart } from '@saas/contracts'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestOrders, type TestOrders } from './fixtures.ts'

let shop: TestOrders

beforeAll(async () => {
  shop = await startTestOrders()
})
afterAll(async () => {
  await shop[Symbol.asyncDispose]()
})

const { productCreated, productChanged, productDeleted } = productsEvents

function stateOf(productId: string, version: number) {
  const price = { amount: version * 100, currency: 'EUR' }
  return {
    productId,
    sku: 'S',
    name: `Version ${version}`,
    price,
    priceVersion: version,
    category: null,
    deleted: false,
  }
}

async function copyOf(productId: string): Promise<unknown> {
  const text = 'select name, amount, price_version, deleted, version from product_copy where product_id = $1'
  const [row] = await shop.query<Record<string, unknown>>(text, [productId])
  return row
}

test('an event that comes after a newer one changes nothing', async () => {
  const productId = uuidv7()
  await shop.products.say(productChanged, productId, 3, stateOf(productId, 3))
  await shop.products.heard()
  await shop.products.say(productCreated, productId, 1, stateOf(productId, 1))
  await shop.products.say(productChanged, productId, 2, stateOf(productId, 2))
  await shop.products.heard()
  expect(await copyOf(productId)).toEqual({
    name: 'Version 3',
    amount: 300,
    price_version: 3,
    deleted: false,
    version: 3,
  })
})

test('a deletion that comes before the creation leaves the product deleted', async () => {
  const productId = uuidv7()
  await shop.products.say(productDeleted, productId, 2, { ...stateOf(productId, 2), deleted: true })
  await shop.products.heard()
  await shop.products.say(productCreated, productId, 1, stateOf(productId, 1))
  await shop.products.heard()
  expect(await copyOf(productId)).toMatchObject({ deleted: true, version: 2 })
  const body = { quantity: 1 }
  const answer = await shop.call<Cart>(ordersRoutes.putCartItem, { userId: uuidv7(), params: { productId }, body })
  expect(answer.problem).toBe('product-not-for-sale')
})

test('many products arrive as one batch and all are known', async () => {
  const ids = Array.from({ length: 300 }, () => uuidv7())
  await shop.products.sayAll(
    productCreated,
    ids.map((id) => ({ aggregateId: id, version: 1, data: stateOf(id, 1) })),
  )
  await shop.products.heard()
  const [row] = await shop.query<{ count: number }>('select count(*) from product_copy where product_id = any($1)', [
    ids,
  ])
  expect(row?.count).toBe(300)
})
