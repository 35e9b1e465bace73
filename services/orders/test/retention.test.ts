import { ordersRoutes, type Order } from '@saas/contracts'
import { Database, type Statement } from '@saas/state'
import { eventually } from '@saas/testing'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { forgetOldKeys } from '../src/retention.ts'
import { startTestOrders, type TestOrders } from './fixtures.ts'

const DAY_MS = 86_400_000

let shop: TestOrders
let tea: string
beforeAll(async () => {
  shop = await startTestOrders()
  tea = await shop.products.sell({})
})
afterAll(async () => {
  await shop[Symbol.asyncDispose]()
})

const place = async (userId: string, key: string) =>
  await shop.call<Order>(ordersRoutes.placeOrder, {
    userId,
    body: { lines: [{ productId: tea, quantity: 1 }] },
    headers: { prefer: 'wait=0', 'idempotency-key': key },
  })

const keys = async () =>
  (await shop.query<{ key: string }>('select key from idempotency order by key')).map(({ key }) => key)

test('a key is remembered for seven days and then forgotten, in any number; its order stays', async () => {
  const { clock } = shop.service
  const userId = uuidv7()
  const old = await place(userId, 'old')
  await shop.query(
    `insert into idempotency select uuidv7(), 'many ' || n, '', uuidv7(), $1::text::timestamptz from generate_series(1, 2500) as n`,
    [clock.now().toISOString()],
  )
  clock.advance(6 * DAY_MS)
  const young = await place(userId, 'young')
  expect((await place(userId, 'old')).body.id).toBe(old.body.id)
  expect(await keys()).toHaveLength(2_502)
  clock.advance(2 * DAY_MS)
  await eventually(async () => (await keys()).length === 1)
  expect(await keys()).toEqual(['young'])
  expect((await place(userId, 'young')).body.id).toBe(young.body.id)
  const again = await place(userId, 'old')
  expect([again.status, again.body.id === old.body.id]).toEqual([201, false])
  expect((await shop.call(ordersRoutes.getOrder, { userId, params: { id: old.body.id } })).status).toBe(200)
})

test('a service that stops forgets no more keys than the statement that is under way', async () => {
  const { clock, database, log } = shop.service
  const stopped = new AbortController()
  class StoppedDatabase extends Database {
    override async write<Row>(statement: Statement<Row>, values?: readonly unknown[]): Promise<Row[]> {
      const rows = await super.write(statement, values)
      stopped.abort()
      return rows
    }
  }
  const options = { url: database.url, service: 'orders', timeoutMs: 5_000, logger: log.logger }
  await using stopping = new StoppedDatabase(options)
  const before = await keys()
  await shop.query(
    `insert into idempotency select uuidv7(), 'stop ' || n, '', uuidv7(), $1::text::timestamptz from generate_series(1, 2500) as n`,
    [new Date(clock.now().getTime() - 8 * DAY_MS).toISOString()],
  )
  expect(await forgetOldKeys(stopping, clock, stopped.signal)).toBe(1_000)
  expect(await keys()).toHaveLength(before.length + 1_500)
})

test('old keys are found by an index, however many young ones there are', async () => {
  await shop.query(
    `insert into idempotency select uuidv7(), 'n' || n, '', uuidv7(), now() from generate_series(1, 5000) as n`,
  )
  await shop.query('analyze idempotency')
  const plan = await shop.query<{ 'QUERY PLAN': string }>(
    `explain select user_id, key from idempotency where created_at < now() - interval '7 days'
     order by created_at limit 1000 for update skip locked`,
  )
  expect(plan.map((row) => row['QUERY PLAN']).join('\n')).toContain('idempotency_by_age')
})
