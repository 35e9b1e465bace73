import { LINES_MAX, ordersRoutes, QUANTITY_MAX, type Cart } from '@saas/contracts'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestOrders, type TestOrders } from './fixture.ts'

let shop: TestOrders
let tea: string
let cake: string

beforeAll(async () => {
  shop = await startTestOrders()
  tea = await shop.products.sell({ name: 'Tea', amount: 490 })
  cake = await shop.products.sell({ name: 'Cake', amount: 1_250 })
})
afterAll(async () => {
  await shop[Symbol.asyncDispose]()
})

const put = async (userId: string, productId: string, quantity: unknown) =>
  await shop.call<Cart>(ordersRoutes.putCartItem, { userId, params: { productId }, body: { quantity } })
const get = async (userId: string) => await shop.call<Cart>(ordersRoutes.getCart, { userId })
const remove = async (userId: string, productId: string) =>
  await shop.call<Cart>(ordersRoutes.deleteCartItem, { userId, params: { productId } })
const merge = async (userId: string, lines: readonly object[]) =>
  await shop.call<Cart>(ordersRoutes.mergeCart, { userId, body: { lines } })
const quantitiesOf = (cart: Cart) => cart.items.map(({ productId, quantity }) => [productId, quantity])

/** Gives the user a cart of so many different products, which nobody sells. */
async function fillCart(userId: string, products: number): Promise<void> {
  const lines = Array.from({ length: products }, () => ({ productId: uuidv7(), quantity: 1 }))
  await shop.query(
    `insert into product_copy select ("productId")::uuid, 's', 'n', 1, 'EUR', 1, false, 1
     from jsonb_to_recordset($1) as l ("productId" text)`,
    [JSON.stringify(lines)],
  )
  await shop.query('insert into cart values ($1, $2, 1, now())', [userId, JSON.stringify(lines)])
}

test('a cart shows what was put into it, in that order, with prices as they are now', async () => {
  const userId = uuidv7()
  const dear = await shop.products.sell({ name: 'Before', amount: 100 })
  await put(userId, dear, 2)
  await put(userId, tea, 1)
  await put(userId, dear, 3)
  await shop.products.change(dear, { name: 'After', amount: 150 })
  expect((await get(userId)).body).toEqual({
    items: [
      { productId: dear, name: 'After', quantity: 3, unitPrice: { amount: 150, currency: 'EUR' }, available: true },
      { productId: tea, name: 'Tea', quantity: 1, unitPrice: { amount: 490, currency: 'EUR' }, available: true },
    ],
    total: { amount: 940, currency: 'EUR' },
  })
})

test('every change answers the cart as it then is', async () => {
  const userId = uuidv7()
  expect((await get(userId)).body).toEqual({ items: [], total: null })
  expect(quantitiesOf((await put(userId, tea, 1)).body)).toEqual([[tea, 1]])
  expect(quantitiesOf((await put(userId, cake, 1)).body)).toEqual([
    [tea, 1],
    [cake, 1],
  ])
  expect(quantitiesOf((await remove(userId, tea)).body)).toEqual([[cake, 1]])
  const emptied = await remove(userId, cake)
  expect([emptied.status, emptied.body]).toEqual([200, { items: [], total: null }])
})

test('taking out what is not in the cart changes nothing, even without a cart', async () => {
  const userId = uuidv7()
  expect((await remove(userId, tea)).body.items).toEqual([])
  await put(userId, cake, 1)
  expect(quantitiesOf((await remove(userId, tea)).body)).toEqual([[cake, 1]])
})

test('a product that was deleted stays in the cart, not available and not counted', async () => {
  const userId = uuidv7()
  const doomed = await shop.products.sell({ amount: 7 })
  await put(userId, doomed, 1)
  await put(userId, tea, 2)
  await shop.products.remove(doomed)
  const { body } = await get(userId)
  expect(body.items.map(({ available }) => available)).toEqual([false, true])
  expect(body.total).toEqual({ amount: 980, currency: 'EUR' })
  expect((await put(userId, doomed, 2)).problem).toBe('product-not-for-sale')
  expect(quantitiesOf((await remove(userId, doomed)).body)).toEqual([[tea, 2]])
})

test('a cart of two currencies has no total', async () => {
  const userId = uuidv7()
  await put(userId, tea, 1)
  expect((await put(userId, await shop.products.sell({ currency: 'USD' }), 1)).body.total).toBeNull()
})

test('two tabs never lose each other’s change', async () => {
  const userId = uuidv7()
  const products = await Promise.all(Array.from({ length: 12 }, () => shop.products.sell({})))
  await Promise.all(products.map((productId) => put(userId, productId, 2)))
  const { body } = await get(userId)
  expect(body.items.map(({ productId }) => productId).toSorted()).toEqual(products.toSorted())
})

test('nobody sees or changes another’s cart', async () => {
  const [userId, other] = [uuidv7(), uuidv7()]
  await put(userId, tea, 1)
  await remove(other, tea)
  expect((await get(other)).body.items).toEqual([])
  expect(quantitiesOf((await get(userId)).body)).toEqual([[tea, 1]])
})

describe('merging the browser’s cart', () => {
  test('quantities are summed up to the largest, and what is not for sale is left out', async () => {
    const userId = uuidv7()
    const gone = await shop.products.sell({})
    await shop.products.remove(gone)
    await put(userId, tea, 2)
    const answer = await merge(userId, [
      { productId: cake, quantity: QUANTITY_MAX },
      { productId: uuidv7(), quantity: 1 },
      { productId: gone, quantity: 1 },
      { productId: tea.toUpperCase(), quantity: 3 },
    ])
    expect(quantitiesOf(answer.body)).toEqual([
      [tea, 5],
      [cake, QUANTITY_MAX],
    ])
    const again = await merge(userId, [{ productId: cake, quantity: 1 }])
    expect(quantitiesOf(again.body).at(-1)).toEqual([cake, QUANTITY_MAX])
  })

  test('a cart that was never used takes it as it is, and nothing merges into nothing', async () => {
    const userId = uuidv7()
    expect((await merge(userId, [])).body).toEqual({ items: [], total: null })
    expect(quantitiesOf((await merge(uuidv7(), [{ productId: tea, quantity: 4 }])).body)).toEqual([[tea, 4]])
  })

  test('sent again under its key adds nothing, whatever happened to the cart since', async () => {
    const userId = uuidv7()
    const keyed = async (quantity: number, key: string) =>
      await shop.call<Cart>(ordersRoutes.mergeCart, {
        userId,
        body: { lines: [{ productId: tea, quantity }] },
        headers: { 'idempotency-key': key },
      })
    const answers = await Promise.all(Array.from({ length: 5 }, () => keyed(2, 'first')))
    expect(answers.map(({ body }) => quantitiesOf(body))).toEqual(answers.map(() => [[tea, 2]]))
    expect(answers.filter(({ headers }) => headers['idempotency-replayed'] === 'true')).toHaveLength(4)
    expect((await keyed(3, 'first')).problem).toBe('idempotency-key-reused')
    await remove(userId, tea)
    expect((await keyed(2, 'first')).body.items).toEqual([])
    // Another browser's cart is another key; of many, the newest are remembered.
    for (let merge = 0; merge < 25; merge += 1) await keyed(1, `key-${merge}`)
    expect(quantitiesOf((await keyed(1, 'key-24')).body)).toEqual([[tea, 25]])
    expect((await keyed(1, 'with space')).status).toBe(400)
  })

  test('a refusal does not use up its key', async () => {
    const userId = uuidv7()
    await fillCart(userId, LINES_MAX)
    const again = async () =>
      await shop.call<Cart>(ordersRoutes.mergeCart, {
        userId,
        body: { lines: [{ productId: tea, quantity: 1 }] },
        headers: { 'idempotency-key': 'kept' },
      })
    expect((await again()).problem).toBe('cart-full')
    await remove(userId, (await get(userId)).body.items[0]?.productId ?? '')
    expect((await again()).body.items).toHaveLength(LINES_MAX)
  })

  test('too many products are refused as a whole', async () => {
    const userId = uuidv7()
    await fillCart(userId, LINES_MAX - 1)
    const answer = await merge(
      userId,
      [tea, cake].map((productId) => ({ productId, quantity: 1 })),
    )
    expect([answer.status, answer.problem]).toEqual([422, 'cart-full'])
    expect((await get(userId)).body.items).toHaveLength(LINES_MAX - 1)
  })

  test('one product twice is refused', async () => {
    const line = { productId: tea, quantity: 1 }
    const answer = await merge(uuidv7(), [line, line])
    expect([answer.status, answer.errors?.[0]?.pointer]).toEqual([400, '/lines/1/productId'])
  })
})

describe('bad input', () => {
  test.for([0, -1, 1.5, QUANTITY_MAX + 1, '2', null])('a quantity of %j is refused', async (quantity, { expect }) => {
    const userId = uuidv7()
    const answer = await put(userId, tea, quantity)
    expect([answer.status, answer.errors?.[0]?.pointer]).toEqual([400, '/quantity'])
    expect((await get(userId)).body.items).toEqual([])
  })

  test('a product that nobody heard of is not for sale', async () => {
    const answer = await put(uuidv7(), uuidv7(), 1)
    expect([answer.status, answer.problem]).toEqual([422, 'product-not-for-sale'])
    expect(answer.errors?.[0]?.pointer).toBe('/params/productId')
  })

  test('a full cart takes no further product, but another quantity', async () => {
    const userId = uuidv7()
    await put(userId, cake, 1)
    await shop.query('delete from cart where user_id = $1', [userId])
    await fillCart(userId, LINES_MAX)
    const answer = await put(userId, tea, 1)
    expect([answer.status, answer.problem]).toEqual([422, 'cart-full'])
    const first = (await get(userId)).body.items[0]?.productId ?? ''
    const changed = await put(userId, first, 5)
    expect([changed.status, changed.body.items.length, changed.body.items[0]?.quantity]).toEqual([200, LINES_MAX, 5])
  })
})
