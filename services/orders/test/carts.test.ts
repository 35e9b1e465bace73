import { LINES_MAX, ordersRoutes, QUANTITY_MAX, type Cart, type DataOf, type ordersEvents } from '@saas/contracts'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestOrders, type TestOrders } from './fixtures.ts'

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
      {
        productId: dear,
        name: 'After',
        quantity: 3,
        unitPrice: { amount: 150, currency: 'EUR' },
        priceWas: { amount: 100, currency: 'EUR' },
        available: true,
      },
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

test('a line says what it was put in at until the customer changes it at the new price', async () => {
  const userId = uuidv7()
  const product = await shop.products.sell({ amount: 100 })
  const pricesOf = ({ items }: Cart) => items.map(({ unitPrice, priceWas }) => [unitPrice.amount, priceWas?.amount])
  expect(pricesOf((await put(userId, product, 1)).body)).toEqual([[100, undefined]])
  await shop.products.change(product, { amount: 120 })
  expect(pricesOf((await put(userId, tea, 1)).body)).toEqual([
    [120, 100],
    [490, undefined],
  ])
  expect(pricesOf((await put(userId, product, 1)).body)[0]).toEqual([120, undefined])
  await shop.products.change(product, { amount: 90 })
  await shop.products.remove(product)
  const [gone] = (await get(userId)).body.items
  expect(gone).toMatchObject({ available: false, unitPrice: { amount: 90 }, priceWas: { amount: 120 } })
})

describe('each change of a cart is told, with what is in it then', () => {
  interface CartEvent {
    readonly version: number
    readonly lines: [string, number, number][]
  }
  const eventsOf = async (userId: string): Promise<CartEvent[]> => {
    const rows = await shop.query<{ version: number; data: DataOf<typeof ordersEvents.cartChanged> }>(
      `select aggregate_version::int as version, data
       from outbox
       where aggregate_type = 'cart' and aggregate_id = $1
       order by aggregate_version`,
      [userId],
    )
    return rows.map(({ version, data }) => ({
      version,
      lines: data.lines.map(({ productId, quantity, unitPrice }) => [productId, quantity, unitPrice.amount]),
    }))
  }

  test('when something is put in, changed, taken out, merged and ordered', async () => {
    const userId = uuidv7()
    await put(userId, tea, 1)
    await put(userId, tea, 3)
    await put(userId, cake, 1)
    await remove(userId, cake)
    await remove(userId, cake)
    await merge(userId, [{ productId: cake, quantity: 2 }])
    await shop.call(ordersRoutes.placeOrder, { userId, body: {}, headers: { prefer: 'wait=0' } })
    expect(await eventsOf(userId)).toEqual([
      { version: 1, lines: [[tea, 1, 490]] },
      { version: 2, lines: [[tea, 3, 490]] },
      {
        version: 3,
        lines: [
          [tea, 3, 490],
          [cake, 1, 1_250],
        ],
      },
      { version: 4, lines: [[tea, 3, 490]] },
      {
        version: 5,
        lines: [
          [tea, 3, 490],
          [cake, 2, 1_250],
        ],
      },
      { version: 6, lines: [] },
    ])
  })

  test('not when it is read, refused, or explicit lines are ordered', async () => {
    const userId = uuidv7()
    await get(userId)
    await put(userId, uuidv7(), 1)
    await put(userId, tea, 0)
    await shop.call(ordersRoutes.placeOrder, { userId, body: {}, headers: { prefer: 'wait=0' } })
    await shop.call(ordersRoutes.placeOrder, {
      userId,
      body: { lines: [{ productId: tea, quantity: 1 }] },
      headers: { prefer: 'wait=0', 'idempotency-key': uuidv7() },
    })
    expect(await eventsOf(userId)).toEqual([])
  })

  test('numbered without a gap, whatever two tabs and two orders do at once', async () => {
    const userId = uuidv7()
    await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        index % 5 === 4
          ? shop.call(ordersRoutes.placeOrder, { userId, body: {}, headers: { prefer: 'wait=0' } })
          : put(userId, index % 2 === 0 ? tea : cake, index + 1),
      ),
    )
    const events = await eventsOf(userId)
    expect(events.map(({ version }) => version)).toEqual(events.map((_, index) => index + 1))
    const last = (await get(userId)).body.items.map(({ productId, quantity }) => [productId, quantity])
    expect(events.at(-1)?.lines.map(([productId, quantity]) => [productId, quantity])).toEqual(last)
  })

  test('and without what is not for sale any more', async () => {
    const userId = uuidv7()
    const doomed = await shop.products.sell({})
    await put(userId, doomed, 1)
    await shop.products.remove(doomed)
    await put(userId, tea, 1)
    expect((await eventsOf(userId)).at(-1)?.lines).toEqual([[tea, 1, 490]])
  })

  test('with the prices of that time, and when it was', async () => {
    const userId = uuidv7()
    const dearer = await shop.products.sell({ amount: 100 })
    await put(userId, dearer, 1)
    await shop.products.change(dearer, { amount: 120 })
    shop.service.clock.advance(60_000)
    const now = shop.service.clock.now().toISOString()
    await put(userId, tea, 1)
    const events = await eventsOf(userId)
    expect(events.map(({ lines }) => lines)).toEqual([
      [[dearer, 1, 100]],
      [
        [dearer, 1, 120],
        [tea, 1, 490],
      ],
    ])
    const at = `select data ->> 'changedAt' as at from outbox where aggregate_id = $1 and aggregate_version = 2`
    expect(await shop.query(at, [userId])).toEqual([{ at: now }])
  })
})

describe('merging the browser’s cart', () => {
  test('the sum stays within the stock that the browser saw', async () => {
    const userId = uuidv7()
    await put(userId, tea, 3)
    await put(userId, cake, 2)
    const coffee = await shop.products.sell({})
    const answer = await merge(userId, [
      { productId: tea, quantity: 4, stock: 5 },
      // Sold out: nothing is added, and nothing is taken from what the customer had.
      { productId: cake, quantity: 1, stock: 0 },
      { productId: coffee, quantity: 9, stock: 2 },
      { productId: await shop.products.sell({}), quantity: 1, stock: 0 },
    ])
    expect(quantitiesOf(answer.body)).toEqual([
      [tea, 5],
      [cake, 2],
      [coffee, 2],
    ])
    // A later merge is not held to what an earlier one saw.
    expect(quantitiesOf((await merge(userId, [{ productId: tea, quantity: 4, stock: 50 }])).body)[0]).toEqual([tea, 9])
  })

  test('of two at once neither loses the other’s lines, on a cart that was never used', async () => {
    for (let round = 0; round < 10; round += 1) {
      const userId = uuidv7()
      await Promise.all([tea, cake].map((productId) => merge(userId, [{ productId, quantity: 1, stock: 10 }])))
      const { items } = (await get(userId)).body
      expect(new Map(items.map(({ productId, quantity }) => [productId, quantity]))).toEqual(
        new Map([
          [tea, 1],
          [cake, 1],
        ]),
      )
    }
  })

  test('a price that changed since the browser saw it is flagged', async () => {
    const userId = uuidv7()
    const { body } = await merge(userId, [
      { productId: tea, quantity: 1, unitPrice: { amount: 400, currency: 'EUR' } },
      { productId: cake, quantity: 1, unitPrice: { amount: 1_250, currency: 'EUR' } },
    ])
    expect(body.items.map(({ priceWas }) => priceWas)).toEqual([{ amount: 400, currency: 'EUR' }, undefined])
  })

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
