import { eventually } from '@saas/testing'
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { brokenPromises, Ledger } from './checkers/index.ts'
import { newDice } from './stage/dice.ts'
import { drained, evidenceOf } from './stage/evidence.ts'
import { shopUntil } from './stage/load.ts'
import { introduce } from './stage/recipients.ts'
import { direct, Shopper } from './stage/shopper.ts'
import { sized } from './stage/size.ts'
import { Stack } from './stage/stack.ts'

const WAIT_SECONDS = 30
const SHOPPERS = 4
const DELETIONS = sized(2, 20)
const ORDERS_BETWEEN = 10
const TIMEOUT_MS = sized(60_000, 600_000)

let stack: Stack
let manager: Shopper
const ledger = new Ledger()

beforeAll(async () => {
  stack = await Stack.start({ services: ['orders', 'products', 'notifications'] })
  const managerId = randomUUID()
  manager = new Shopper(managerId, direct(stack, managerId, ['manager']), ledger)
})
afterAll(async () => {
  await stack[Symbol.asyncDispose]()
})

async function newShopper(): Promise<Shopper> {
  const userId = randomUUID()
  await introduce(stack.databases.notifications, [userId])
  return new Shopper(userId, direct(stack, userId), ledger)
}

/** A product that orders knows too. */
async function newProduct(stock: number): Promise<string> {
  const productId = await manager.sell(stock, 490)
  const text = 'select 1 from product_copy where product_id = $1'
  await eventually(async () => (await stack.databases.orders?.query(text, [productId]))?.length === 1)
  return productId
}

/** The stock of a product, and what its movements say it must be. */
async function stockOf(productId: string): Promise<unknown> {
  const rows = await stack.databases.products?.query(
    `select available::int, (select sum(delta)::int from stock_movement where product_id = product.id) as explained
     from product
     where id = $1`,
    [productId],
  )
  return rows?.[0]
}

test('an order that was placed is confirmed, and the stock goes down', async () => {
  const productId = await newProduct(10)
  const order = await (await newShopper()).place([{ productId, quantity: 3 }], 'k', WAIT_SECONDS)
  expect(order).toMatchObject({ status: 'confirmed', total: { amount: 1_470, currency: 'EUR' } })
  expect(await stockOf(productId)).toEqual({ available: 7, explained: 7 })
})

test('an order of more than there is is rejected, and the stock stays', async () => {
  const productId = await newProduct(2)
  const order = await (await newShopper()).place([{ productId, quantity: 3 }], 'k', WAIT_SECONDS)
  expect(order).toMatchObject({ status: 'rejected', reason: 'out-of-stock' })
  expect(await stockOf(productId)).toEqual({ available: 2, explained: 2 })
})

test('a cancelled order gives its stock back once', async () => {
  const productId = await newProduct(10)
  const shopper = await newShopper()
  const order = await shopper.place([{ productId, quantity: 4 }], 'k', WAIT_SECONDS)
  expect(await stockOf(productId)).toEqual({ available: 6, explained: 6 })
  await shopper.cancel(order?.id ?? '')
  await shopper.cancel(order?.id ?? '')
  await drained(stack)
  expect(await stockOf(productId)).toEqual({ available: 10, explained: 10 })
})

test(
  'deleting the whole stream while people order loses nothing and does nothing twice',
  { timeout: TIMEOUT_MS },
  async () => {
    const dice = newDice()
    const shoppers = await Promise.all(Array.from({ length: SHOPPERS }, newShopper))
    const products = await Promise.all([newProduct(300), newProduct(20)])
    const stopped = new AbortController()
    const shopping = shopUntil(stopped.signal, { manager, shoppers, cartShoppers: [] }, products, dice)
    for (let deletion = 0; deletion < DELETIONS; deletion += 1) {
      const before = ledger.placed.length
      await eventually(() => ledger.placed.length >= before + ORDERS_BETWEEN)
      // The services may not have noticed the last one yet.
      await eventually(() => stack.bus.deleteStream())
    }
    stopped.abort()
    await shopping
    await drained(stack)
    expect(await brokenPromises(await evidenceOf(stack, ledger)), `CHAOS_SEED=${dice.seed}`).toBe('')
  },
)

test('an order placed with a price that products no longer has is rejected', async () => {
  const productId = await newProduct(5)
  await stack.databases.orders?.query('update product_copy set price_version = 7 where product_id = $1', [productId])
  const order = await (await newShopper()).place([{ productId, quantity: 1 }], 'k', WAIT_SECONDS)
  expect(order).toMatchObject({ status: 'rejected', reason: 'price-changed' })
  expect(await stockOf(productId)).toEqual({ available: 5, explained: 5 })
})
