import type { OrderStatus } from '@saas/contracts'
import { Database, firstIdAt, type Statement } from '@saas/state'
import { cloneDatabase, testLog, type TestDatabase } from '@saas/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decideOrders } from '../src/decisions.ts'
import { historyStatement } from '../src/history.ts'
import { placing } from '../src/place-order.ts'

const ORDERS = 60_000
const WAITING = 20_000
const PRODUCTS = 60_000
const USER = '01977c1e-6a00-7000-8000-000000000007'
const FROM = '2026-01-02T00:00:00.000Z'

let testDatabase: TestDatabase
let database: Database
beforeAll(async () => {
  testDatabase = await cloneDatabase('orders')
  const { logger } = testLog('orders')
  database = new Database({ url: testDatabase.url, service: 'orders', timeoutMs: 30_000, logger })
  // One every four seconds by 600 customers; most confirmed, the newest pending, and all rejected ones long ago.
  await testDatabase.query(
    `insert into orders (order_id, user_id, status, version, reason, total_amount, currency, created_at, deadline_at, decided_at)
     select
       (substr(lpad(to_hex(ms), 12, '0'), 1, 8) || '-' || substr(lpad(to_hex(ms), 12, '0'), 9, 4) || '-7000-8000-'
         || lpad(to_hex(i), 12, '0'))::uuid,
       (left($1, 24) || lpad(to_hex(i % 600), 12, '0'))::uuid, status, 1,
       case when status = 'rejected' then 'out-of-stock' end, 100, 'EUR', at, at + interval '15 minutes',
       case when status <> 'pending' then at end
     from generate_series(1, $2::integer) as i
     cross join lateral (select timestamptz '2026-01-01 00:00:00Z' + i * interval '4 seconds' as at) as moment
     cross join lateral (select (extract(epoch from at) * 1000)::bigint as ms) as milliseconds
     cross join lateral (
       select case when i > $2::integer - 20 then 'pending' when i < 300 then 'rejected' when i % 100 = 0 then 'cancelled'
         else 'confirmed' end as status
     ) as decided`,
    [USER, ORDERS],
  )
  await testDatabase.query('vacuum analyze orders')
})
afterAll(async () => {
  await database[Symbol.asyncDispose]()
  await testDatabase[Symbol.asyncDispose]()
})

interface Filters {
  readonly userId?: string
  readonly status?: OrderStatus
  readonly from?: string
}

/** The plan for what is asked now, and the one that Postgres keeps for whatever will be asked. */
async function plansOf({ userId, status, from }: Filters): Promise<string[]> {
  const { statement, values } = historyStatement({ userId, status, from })
  const before = firstIdAt(Date.parse('2026-01-03T00:00:00.000Z'))
  const explained: Statement<{ 'QUERY PLAN': string }> = { name: '', text: `explain (costs off) ${statement.text}` }
  const now = await database.read(explained, [before, 25, ...values])
  const kept = await testDatabase.query<{ 'QUERY PLAN': string }>(
    `explain (costs off, generic_plan) ${statement.text.replaceAll('order_id < $1', 'order_id < $1::uuid')}`,
  )
  return [now, kept].map((rows) => rows.map((row) => row['QUERY PLAN']).join('\n'))
}

describe('every page of every list of orders comes from an index, however many orders there are', () => {
  test.each<[Filters, string]>([
    [{ userId: USER }, 'orders_by_user'],
    [{ userId: USER, from: FROM }, 'orders_by_user'],
    [{ userId: USER, status: 'confirmed' }, 'orders_by_user|orders_by_user_and_status'],
    [{ userId: USER, status: 'pending' }, 'orders_by_user_and_status|orders_by_user|orders_undecided'],
    [{}, 'orders_pkey'],
    [{ from: FROM }, 'orders_pkey'],
    [{ status: 'confirmed' }, 'orders_pkey'],
    [{ status: 'rejected' }, 'orders_rejected'],
    [{ status: 'cancelled', from: FROM }, 'orders_cancelled'],
    [{ status: 'pending' }, 'orders_undecided'],
  ])('%j', async (filters, index) => {
    for (const plan of await plansOf(filters)) {
      expect(plan).toMatch(new RegExp(`(Index Scan|Bitmap Index Scan).*(${index})\\b`))
      expect(plan).not.toContain('Seq Scan on orders')
      // The lines of each order are sorted below, and are few.
      const [ofOrders] = plan.split('SubPlan')
      // Those who wait are few, and there is no index that has them by id.
      const isSorted = ofOrders?.includes('Sort') === true
      expect(isSorted && filters.status !== 'pending').toBe(false)
    }
  })
})

test('a batch of decisions finds its orders by their ids, however many others wait', async () => {
  await testDatabase.query(
    `insert into orders (order_id, user_id, status, version, total_amount, currency, created_at, deadline_at)
     select uuidv7(), uuidv7(), 'pending', 1, 100, 'EUR', now(), now() from generate_series(1, $1::integer)`,
    [WAITING],
  )
  for (const analysed of [false, true]) {
    if (analysed) await testDatabase.query('analyze orders')
    const rows = await testDatabase.query<{ 'QUERY PLAN': string }>(
      `explain (costs off, generic_plan) ${decideOrders.text}`,
    )
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
    expect(plan).toContain('orders_pkey')
    expect(plan).not.toMatch(/orders_undecided|Seq Scan on orders/)
  }
})

test('a batch of orders finds its products by their ids, however many there are', async () => {
  await testDatabase.query(
    `insert into product_copy (product_id, sku, name, amount, currency, price_version, deleted, version)
     select uuidv7(), 'sku-' || i, 'Tea', 100, 'EUR', 1, false, 1 from generate_series(1, $1::integer) as i`,
    [PRODUCTS],
  )
  await testDatabase.query('analyze product_copy')
  const rows = await testDatabase.query<{ 'QUERY PLAN': string }>(
    `explain (costs off, generic_plan) ${placing.statement.text}`,
  )
  const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
  // Without a condition the whole index would be read.
  expect(plan).toMatch(/product_copy_pkey.*\n\s+Index Cond: \(product_id = ANY/)
  expect(plan).not.toMatch(/Seq Scan on product_copy/)
})
