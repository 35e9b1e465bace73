import { AMOUNT_MAX, LINES_MAX, ordersRoutes, QUANTITY_MAX, type Order } from '@saas/contracts'
import { Database, type CoalescedWriteOptions } from '@saas/state'
import { eventually } from '@saas/testing'
import { array, assert, asyncProperty, integer } from 'fast-check'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Orders } from '../src/orders.ts'
import { startTestOrders, type TestOrders } from './fixtures.ts'

let shop: TestOrders
let tea: string
let cake: string

beforeAll(async () => {
  shop = await startTestOrders()
  tea = await shop.products.sell({ sku: 'TEA', amount: 490 })
  cake = await shop.products.sell({ sku: 'CAKE', amount: 1_250 })
})
afterAll(async () => {
  await shop[Symbol.asyncDispose]()
})

/** Places without waiting for a decision, which nobody makes here. */
async function place(userId: string, body: unknown, key?: string, headers: Record<string, string> = {}) {
  return await shop.call<Order>(ordersRoutes.placeOrder, {
    userId,
    body,
    headers: { prefer: 'wait=0', ...(key === undefined ? {} : { 'idempotency-key': key }), ...headers },
  })
}

/** Calls of one cart go one by one; who waits for more than a second gets 503, which changed nothing, and asks again. */
async function placeAmongMany(userId: string, body: unknown, key?: string) {
  return await eventually(async () => {
    const answer = await place(userId, body, key)
    return answer.status !== 503 && answer
  })
}

async function putIntoCart(userId: string, productId: string, quantity: number): Promise<void> {
  const { status } = await shop.call(ordersRoutes.putCartItem, { userId, params: { productId }, body: { quantity } })
  expect(status).toBe(200)
}

async function ordersOf(userId: string): Promise<number> {
  const [row] = await shop.query<{ count: number }>('select count(*) from orders where user_id = $1', [userId])
  return row?.count ?? 0
}

describe('idempotency', () => {
  test('one idempotency key makes one order, however often and however concurrently it is sent', async () => {
    const userId = uuidv7()
    const body = { lines: [{ productId: tea, quantity: 1 }] }
    const answers = await Promise.all(Array.from({ length: 40 }, () => place(userId, body, 'same')))
    const last = await place(userId, body, 'same')
    expect(new Set([...answers, last].map(({ status }) => status))).toEqual(new Set([201]))
    expect(new Set([...answers, last].map((answer) => answer.body.id)).size).toBe(1)
    expect(new Set([...answers, last].map(({ headers }) => headers['location']))).toEqual(
      new Set([`/order/${last.body.id}`]),
    )
    expect(answers.filter(({ headers }) => headers['idempotency-replayed'] === undefined)).toHaveLength(1)
    expect(await ordersOf(userId)).toBe(1)
  })

  test('a replay answers the same order with its status as it is now', async () => {
    const userId = uuidv7()
    const body = { lines: [{ productId: cake, quantity: 2 }] }
    const first = await place(userId, body, 'k')
    await shop.products.change(cake, { amount: 9_999 })
    await shop.call(ordersRoutes.cancelOrder, { userId, params: { id: first.body.id } })
    const replay = await place(userId, body, 'k')
    await shop.products.change(cake, { amount: 1_250 })
    expect(replay.status).toBe(201)
    expect(replay.headers['idempotency-replayed']).toBe('true')
    expect(replay.headers['location']).toBe(first.headers['location'])
    expect(first.headers['idempotency-replayed']).toBeUndefined()
    const { status, decidedAt, ...unchanged } = replay.body
    expect(status).toBe('cancelled')
    expect(decidedAt).toBeDefined()
    expect({ ...unchanged, status: 'pending' }).toEqual(first.body)
  })

  test('a key that was used for another body is refused, and the first order stays', async () => {
    const userId = uuidv7()
    await place(userId, { lines: [{ productId: tea, quantity: 1 }] }, 'k')
    for (const body of [{ lines: [{ productId: tea, quantity: 2 }] }, {}]) {
      const answer = await place(userId, body, 'k')
      expect([answer.status, answer.problem]).toEqual([422, 'idempotency-key-reused'])
    }
    expect(await ordersOf(userId)).toBe(1)
  })

  test('the same body written differently is the same request', async () => {
    const userId = uuidv7()
    const first = await place(userId, { lines: [{ productId: tea, quantity: 1 }] }, 'k')
    const second = await place(userId, { lines: [{ quantity: 1, productId: tea.toUpperCase() }] }, 'k')
    expect(second.body.id).toBe(first.body.id)
  })

  test('a refusal is not stored: the key works once the reason is gone', async () => {
    const userId = uuidv7()
    expect((await place(userId, {}, 'k')).problem).toBe('cart-empty')
    await putIntoCart(userId, tea, 1)
    const answer = await place(userId, {}, 'k')
    expect([answer.status, answer.headers['idempotency-replayed']]).toEqual([201, undefined])
  })

  test('a key belongs to one user', async () => {
    const body = { lines: [{ productId: tea, quantity: 1 }] }
    const [a, b] = await Promise.all([place(uuidv7(), body, 'shared'), place(uuidv7(), body, 'shared')])
    expect([a.status, b.status]).toEqual([201, 201])
    expect(a.body.id).not.toBe(b.body.id)
  })
})

describe('an answer that is lost after the commit', () => {
  /** Sends every write twice and loses the first answer, as a connection that breaks in between does. */
  class ForgetfulDatabase extends Database {
    /** What happens between the two. */
    meanwhile = async (): Promise<void> => {}

    override coalescedWrite<Call, Row extends { n: number }>(options: CoalescedWriteOptions<Call, Row>) {
      const write = super.coalescedWrite(options)
      const send = write.call.bind(write)
      write.call = async (call) => {
        await send(call)
        await this.meanwhile()
        return await send(call)
      }
      return write
    }
  }

  test('makes no second order, also of a cart that was filled again, and the order is answered as the new one it is', async () => {
    const { clock, log, database } = shop.service
    await using forgetful = new ForgetfulDatabase({
      url: database.url,
      service: 'orders',
      timeoutMs: 5_000,
      logger: log.logger,
    })
    const orders = new Orders({ database: forgetful, bus: { nudge: () => undefined }, clock })
    const lines = [{ productId: tea, quantity: 2 }]
    for (const call of [
      { key: 'k', lines },
      { key: 'k2', lines: undefined },
      { key: undefined, lines: undefined },
    ]) {
      const userId = uuidv7()
      await putIntoCart(userId, tea, 2)
      forgetful.meanwhile = async () => await putIntoCart(userId, cake, 1)
      const { order, replayed } = await orders.place({ userId, traceParent: '', ...call })
      expect(replayed).toBe(false)
      expect(order).toMatchObject({ status: 'pending', lines, total: { amount: 980 } })
      expect(await ordersOf(userId)).toBe(1)
      const cart = await shop.call<{ items: { productId: string }[] }>(ordersRoutes.getCart, { userId })
      expect(cart.body.items.map(({ productId }) => productId)).toContain(cake)
    }
  })
})

describe('the cart', () => {
  test('one cart becomes at most one order, with and without keys', async () => {
    for (let round = 0; round < 10; round += 1) {
      const keyOf = (tab: number) => (round % 2 === 0 ? undefined : `tab-${tab}`)
      const userId = uuidv7()
      await putIntoCart(userId, tea, 3)
      const answers = await Promise.all(Array.from({ length: 12 }, (_, tab) => placeAmongMany(userId, {}, keyOf(tab))))
      expect(answers.filter(({ status }) => status === 201)).toHaveLength(1)
      expect(new Set(answers.filter(({ status }) => status !== 201).map(({ problem }) => problem))).toEqual(
        new Set(['cart-empty']),
      )
      expect(await ordersOf(userId)).toBe(1)
    }
  })

  test('an order of the cart empties it; explicit lines leave it alone', async () => {
    const userId = uuidv7()
    await putIntoCart(userId, tea, 2)
    await place(userId, { lines: [{ productId: cake, quantity: 1 }] }, 'k')
    const kept = await shop.call<{ items: unknown[] }>(ordersRoutes.getCart, { userId })
    expect(kept.body.items).toHaveLength(1)
    const { body } = await place(userId, {})
    expect(body.lines.map(({ sku, quantity }) => [sku, quantity])).toEqual([['TEA', 2]])
    const emptied = await shop.call<{ items: unknown[] }>(ordersRoutes.getCart, { userId })
    expect(emptied.body).toEqual({ items: [], total: null })
  })

  test('what is put into the cart while it is ordered is in the order or in the cart, never lost and never twice', async () => {
    for (let round = 0; round < 10; round += 1) {
      const userId = uuidv7()
      await putIntoCart(userId, tea, 1)
      const [order] = await Promise.all([place(userId, {}), putIntoCart(userId, cake, 1)])
      const cart = await shop.call<{ items: { productId: string }[] }>(ordersRoutes.getCart, { userId })
      const everything = [...order.body.lines, ...cart.body.items].map(({ productId }) => productId)
      expect(everything.toSorted()).toEqual([tea, cake].toSorted())
    }
  })

  test('a product deleted since it was put into the cart stops the order and stays visible', async () => {
    const userId = uuidv7()
    const doomed = await shop.products.sell({})
    await putIntoCart(userId, tea, 1)
    await putIntoCart(userId, doomed, 1)
    await shop.products.remove(doomed)
    const answer = await place(userId, {})
    expect([answer.status, answer.problem]).toEqual([422, 'product-not-for-sale'])
    expect(answer.errors).toEqual([{ pointer: '', detail: `The cart holds ${doomed}, which is not for sale` }])
  })
})

describe('the total', () => {
  test('the total is the sum of quantity × unit price as read at checkout', async () => {
    const prices = await Promise.all([0, 1, 333, 10_000].map((amount) => shop.products.sell({ amount })))
    const quantities = array(integer({ min: 1, max: 50 }), { minLength: prices.length, maxLength: prices.length })
    await assert(
      asyncProperty(quantities, async (counts) => {
        const lines = prices.map((productId, index) => ({ productId, quantity: counts[index] ?? 1 }))
        const { status, body } = await place(uuidv7(), { lines }, 'k')
        expect(status).toBe(201)
        const sum = body.lines.reduce((total, line) => total + line.quantity * line.unitPrice.amount, 0)
        expect(body.total).toEqual({ amount: sum, currency: 'EUR' })
        expect(body.lines.map(({ unitPrice }) => unitPrice.amount)).toEqual([0, 1, 333, 10_000])
        expect(body.lines.map(({ quantity }) => quantity)).toEqual(counts)
      }),
      { numRuns: 25 },
    )
  })

  test('a price that changes later changes no order', async () => {
    const userId = uuidv7()
    const productId = await shop.products.sell({ amount: 100, name: 'Before' })
    const { body } = await place(userId, { lines: [{ productId, quantity: 1 }] }, 'k')
    await shop.products.change(productId, { amount: 200, name: 'After' })
    const read = await shop.call<Order>(ordersRoutes.getOrder, { userId, params: { id: body.id } })
    expect(read.body).toEqual(body)
    const later = await place(userId, { lines: [{ productId, quantity: 1 }] }, 'k2')
    expect(later.body.total.amount).toBe(200)
  })

  test('an order that names the total that was shown is placed at that one or not at all', async () => {
    const [userId, other] = [uuidv7(), uuidv7()]
    const productId = await shop.products.sell({ amount: 100 })
    await putIntoCart(userId, productId, 3)
    const shown = { amount: 300, currency: 'EUR' }
    await shop.products.change(productId, { amount: 101 })
    const dearer = await place(userId, { total: shown }, 'k')
    expect(dearer).toMatchObject({
      status: 409,
      problem: 'total-changed',
      errors: [{ pointer: '/total', detail: 'is 303 EUR now, in minor units' }],
    })
    expect(await ordersOf(userId)).toBe(0)
    const abroad = await place(userId, { total: { amount: 303, currency: 'USD' } }, 'k')
    expect(abroad.problem).toBe('total-changed')
    const now = { amount: 303, currency: 'EUR' }
    expect((await place(userId, { total: now }, 'k')).body.total).toEqual(now)
    // Whoever asks again after a lost answer gets the order, whatever it would cost by now.
    await shop.products.change(productId, { amount: 500 })
    expect((await place(userId, { total: now }, 'k')).body.total).toEqual(now)
    expect((await place(userId, { total: shown }, 'k')).problem).toBe('idempotency-key-reused')
    expect((await place(userId, {}, 'k')).problem).toBe('idempotency-key-reused')
    const lines = [{ productId, quantity: 1 }]
    expect((await place(other, { lines, total: now }, 'k')).problem).toBe('total-changed')
    expect((await place(other, { lines, total: { amount: 500, currency: 'EUR' } }, 'k')).status).toBe(201)
    expect((await place(other, { lines, total: { amount: 500, currency: 'EUR' } }, 'k')).status).toBe(201)
    expect(await ordersOf(other)).toBe(1)
  })

  test('the largest sum is exact and one above it is refused', async () => {
    const half = await shop.products.sell({ amount: AMOUNT_MAX / 2 })
    const cent = await shop.products.sell({ amount: 1 })
    const exact = await place(uuidv7(), { lines: [{ productId: half, quantity: 2 }] }, 'k')
    expect(exact.body.total.amount).toBe(AMOUNT_MAX)
    const lines = [
      { productId: half, quantity: 2 },
      { productId: cent, quantity: 1 },
    ]
    const above = await place(uuidv7(), { lines }, 'k')
    expect([above.status, above.problem]).toEqual([422, 'total-too-large'])
    const dearest = await shop.products.sell({ amount: AMOUNT_MAX })
    const largest = await place(uuidv7(), { lines: [{ productId: dearest, quantity: QUANTITY_MAX }] }, 'k')
    expect(largest.problem).toBe('total-too-large')
  })
})

test('a placed order tells products what to reserve, at which price versions, and until when', async () => {
  const userId = uuidv7()
  const productId = await shop.products.sell({ amount: 100 })
  await shop.products.change(productId, { amount: 300 })
  const { body } = await place(userId, { lines: [{ productId, quantity: 4 }] }, 'k')
  const [row] = await shop.query<{ data: unknown; aggregate_version: number }>(
    `select data, aggregate_version from outbox where aggregate_id = $1`,
    [body.id],
  )
  const placedAt = new Date(body.createdAt)
  expect(row?.aggregate_version).toBe(1)
  expect(row?.data).toEqual({
    orderId: body.id,
    userId,
    lines: [{ ...body.lines[0], priceVersion: 2 }],
    total: { amount: 1_200, currency: 'EUR' },
    placedAt: placedAt.toISOString(),
    deadlineAt: new Date(placedAt.getTime() + 15 * 60_000).toISOString(),
  })
})

describe('bad input', () => {
  const unknown = '01977c1e-6a00-7000-8000-0000000000ff'
  const line = (productId: unknown, quantity: unknown) => ({ lines: [{ productId, quantity }] })

  test.for<[name: string, body: () => unknown, status: number, problem: string, pointer?: string]>([
    ['a quantity of zero', () => line(tea, 0), 400, 'invalid-request', '/lines/0/quantity'],
    ['a negative quantity', () => line(tea, -1), 400, 'invalid-request', '/lines/0/quantity'],
    ['a huge quantity', () => line(tea, QUANTITY_MAX + 1), 400, 'invalid-request', '/lines/0/quantity'],
    ['a quantity beyond exact numbers', () => line(tea, 1e300), 400, 'invalid-request', '/lines/0/quantity'],
    ['a fractional quantity', () => line(tea, 1.5), 400, 'invalid-request', '/lines/0/quantity'],
    ['a quantity as text', () => line(tea, '1'), 400, 'invalid-request', '/lines/0/quantity'],
    ['an id that is no UUID', () => line('x', 1), 400, 'invalid-request', '/lines/0/productId'],
    ['an id as a URN', () => line(`urn:uuid:${tea}`, 1), 400, 'invalid-request', '/lines/0/productId'],
    ['a line without product', () => ({ lines: [{ quantity: 1 }] }), 400, 'invalid-request', '/lines/0/productId'],
    ['an unknown field', () => ({ ...line(tea, 1), coupon: 'X' }), 400, 'invalid-request', '/coupon'],
    ['no lines at all', () => ({ lines: [] }), 400, 'invalid-request', '/lines'],
    ['an array', () => [], 400, 'invalid-request', ''],
    [
      'too many lines',
      () => ({ lines: Array.from({ length: LINES_MAX + 1 }, () => ({ productId: uuidv7(), quantity: 1 })) }),
      400,
      'invalid-request',
      '/lines',
    ],
    [
      'one product twice',
      () => ({ lines: [...line(tea, 1).lines, ...line(cake, 1).lines, ...line(tea.toUpperCase(), 2).lines] }),
      400,
      'invalid-request',
      '/lines/2/productId',
    ],
    [
      'an unknown product among known ones',
      () => ({ lines: [...line(tea, 1).lines, ...line(unknown, 1).lines] }),
      422,
      'product-not-for-sale',
      '/lines/1/productId',
    ],
    ['an empty cart', () => ({}), 422, 'cart-empty'],
  ])('%s is refused and nothing is stored', async ([, body, status, problem, pointer], { expect }) => {
    const userId = uuidv7()
    const answer = await place(userId, body(), 'k')
    expect([answer.status, answer.problem]).toEqual([status, problem])
    if (pointer !== undefined) expect(answer.errors?.map((error) => error.pointer)).toContain(pointer)
    expect(await ordersOf(userId)).toBe(0)
    const [row] = await shop.query<{ count: number }>('select count(*) from idempotency where user_id = $1', [userId])
    expect(row?.count).toBe(0)
  })

  test('a deleted product is not for sale, by its line', async () => {
    const gone = await shop.products.sell({})
    await shop.products.remove(gone)
    const answer = await place(uuidv7(), { lines: [...line(tea, 1).lines, ...line(gone, 1).lines] }, 'k')
    expect([answer.status, answer.problem]).toEqual([422, 'product-not-for-sale'])
    expect(answer.errors?.map(({ pointer }) => pointer)).toEqual(['/lines/1/productId'])
  })

  test('two currencies do not make one order', async () => {
    const dollars = await shop.products.sell({ amount: 1, currency: 'USD' })
    const answer = await place(uuidv7(), { lines: [...line(tea, 1).lines, ...line(dollars, 1).lines] }, 'k')
    expect([answer.status, answer.problem]).toEqual([422, 'mixed-currencies'])
  })

  test('explicit lines need a key', async () => {
    const answer = await place(uuidv7(), line(tea, 1))
    expect([answer.status, answer.problem]).toEqual([400, 'idempotency-key-missing'])
  })

  test.for([
    ['an empty key', ''],
    ['a key with a space', 'two words'],
    ['a key that is not ASCII', 'ü'],
    ['a key of 256 characters', 'x'.repeat(256)],
  ] as const)('%s is refused', async ([, key], { expect }) => {
    const answer = await place(uuidv7(), line(tea, 1), key)
    expect([answer.status, answer.problem]).toEqual([400, 'invalid-request'])
    expect(answer.errors?.map(({ pointer }) => pointer)).toEqual(['/headers/idempotency-key'])
  })
})
