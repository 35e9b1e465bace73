import { ordersRoutes, ProblemError, type Order } from '@saas/contracts'
import { Database } from '@saas/state'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Carts } from '../src/carts.ts'
import { Orders } from '../src/orders.ts'
import { startTestOrders, type TestOrders } from './fixtures.ts'

let shop: TestOrders
let tea: string
let cake: string

beforeAll(async () => {
  shop = await startTestOrders()
  tea = await shop.products.sell({ amount: 490 })
  cake = await shop.products.sell({ amount: 1_250 })
})
afterAll(async () => {
  await shop[Symbol.asyncDispose]()
})

test('orders that share a statement each get their own answer, and a refused one refuses nobody else', async () => {
  const dollars = await shop.products.sell({ currency: 'USD' })
  const dear = await shop.products.sell({ amount: 1_000_000_000_000 })
  const line = (productId: string, quantity = 1) => ({ productId, quantity })
  const kinds: readonly (readonly [body: object, answer: string])[] = [
    [{ lines: [line(tea)] }, '201'],
    [{}, 'cart-empty'],
    [{ lines: [line(tea), line(uuidv7())] }, 'product-not-for-sale'],
    [{ lines: [line(tea), line(dollars)] }, 'mixed-currencies'],
    [{ lines: [line(dear, 10_000)] }, 'total-too-large'],
    [{ lines: [line(cake, 3), line(tea, 2)] }, '201'],
    [{ lines: [line(tea)], total: { amount: 489, currency: 'EUR' } }, 'total-changed'],
    [{ lines: [line(tea)], total: { amount: 490, currency: 'EUR' } }, '201'],
  ]
  const answers = await Promise.all(
    Array.from({ length: 120 }, async (_, index) => {
      const [body, expected] = kinds[index % kinds.length] ?? [{}, '']
      const headers = { prefer: 'wait=0', 'idempotency-key': uuidv7() }
      const answer = await shop.call<Order>(ordersRoutes.placeOrder, { userId: uuidv7(), body, headers })
      const lines =
        answer.status === 201 ? answer.body.lines.map(({ productId, quantity }) => ({ productId, quantity })) : []
      return { expected, got: answer.problem ?? String(answer.status), lines, body }
    }),
  )
  expect(answers.map(({ got }) => got)).toEqual(answers.map(({ expected }) => expected))
  const placed = answers.filter(({ got }) => got === '201')
  expect(placed.map(({ lines }) => ({ lines }))).toMatchObject(
    placed.map(({ body }) => ({ lines: 'lines' in body && body.lines })),
  )
})

test('replicas that fight for the same carts and keys deadlock never, double nothing and lose nothing', async () => {
  const { clock, log, database } = shop.service
  const users = Array.from({ length: 6 }, () => uuidv7())
  const replicas = Array.from({ length: 3 }, () => {
    const own = new Database({ url: database.url, service: 'orders', timeoutMs: 5_000, logger: log.logger })
    return {
      own,
      orders: new Orders({ database: own, bus: { nudge: () => undefined }, clock }),
      carts: new Carts({ database: own, bus: { nudge: () => undefined }, clock }),
    }
  })
  try {
    let put = 0
    const refusals = new Map<string, number>()
    const attempt = async (work: Promise<unknown>): Promise<boolean> => {
      try {
        await work
        return true
      } catch (error) {
        if (!(error instanceof ProblemError)) throw error
        refusals.set(error.problem.name, (refusals.get(error.problem.name) ?? 0) + 1)
        return false
      }
    }
    for (let round = 0; round < 15; round += 1) {
      await Promise.all(
        replicas.flatMap(({ orders, carts }, replica) =>
          users
            .toSorted(() => Math.random() - 0.5)
            .flatMap((userId) => [
              attempt(carts.merge({ userId, traceParent: '' }, [{ productId: tea, quantity: 1 }], undefined)).then(
                (isIn) => (put += isIn ? 1 : 0),
              ),
              attempt(orders.place({ userId, key: undefined, lines: undefined, traceParent: '' })),
              attempt(orders.place({ userId, key: `${round}`, lines: undefined, traceParent: '' })),
              attempt(
                orders.place({
                  userId,
                  key: `line-${round % 5}`,
                  lines: [{ productId: cake, quantity: 1 + (replica % 2) }],
                  traceParent: '',
                }),
              ),
            ]),
        ),
      )
    }
    const isOurs = 'user_id = any($1::uuid[])'
    const [units] = await shop.query<{ ordered: number; waiting: number }>(
      `select
         (select coalesce(sum(quantity), 0)::int from order_line join orders using (order_id)
          where ${isOurs} and product_id = $2) as ordered,
         (select coalesce(sum((line ->> 'quantity')::int), 0)::int from cart, jsonb_array_elements(lines) as l (line)
          where ${isOurs}) as waiting`,
      [users, tea],
    )
    expect((units?.ordered ?? 0) + (units?.waiting ?? 0)).toBe(put)
    const [keyed] = await shop.query<{ orders: number; keys: number }>(
      `select
         (select count(*) from orders join order_line using (order_id) where ${isOurs} and product_id = $2) as orders,
         (select count(*) from idempotency where ${isOurs} and key like 'line-%') as keys`,
      [users, cake],
    )
    expect(keyed).toEqual({ orders: users.length * 5, keys: users.length * 5 })
    // Nobody was told to come again: every refusal is one of the shop's own.
    expect([...refusals.keys()].toSorted()).toEqual(['cart-empty', 'idempotency-key-reused'])
  } finally {
    await Promise.all(replicas.map(({ own }) => own[Symbol.asyncDispose]()))
  }
})
