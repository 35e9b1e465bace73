import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cloneDirectory, pgbenchBinary, provisionOf, run } from '@saas/devstack'
import { provisionService, runMigrations } from '@saas/state'

import type { Stage } from '../frame/stage.ts'

const CLIENTS = [8, 32, 128] as const
const THREADS = 2

/**
 * What a service that commits an order at a time could do at the very best: pgbench writes the rows of `POST /order` (order, line,
 * idempotency record, outbox row) in one statement and one commit, with no HTTP, no validation and no program in between.
 */
const SCRIPT = `
with placed as (
  insert into orders (order_id, user_id, status, version, total_amount, currency, created_at, deadline_at)
  values (uuidv7(), gen_random_uuid(), 'pending', 1, 4200, 'EUR', now(), now() + interval '15 minutes')
  returning order_id, user_id, created_at, deadline_at
),
lined as (
  insert into order_line (order_id, position, product_id, sku, name, quantity, unit_amount, price_version)
  select order_id, 1, product_id, 'SKU-0001', 'A tin of green tea', 2, 2100, 1
  from placed, (values ('0198f0a0-0000-7000-8000-000000000001'::uuid)) as product (product_id)
),
claimed as (
  insert into idempotency (user_id, key, fingerprint, order_id, created_at)
  select user_id, order_id::text, 'XQ2Wb4lqnHs1eTDtVG3RTNKjvTjaaFu6j3b5EZq0i_0', order_id, created_at
  from placed
)
insert into outbox (id, aggregate_type, aggregate_id, aggregate_version, subject, data, trace_parent, created_at)
select
  uuidv7(), 'order', order_id::text, 1, 'msg.orders.order.placed',
  jsonb_build_object(
    'orderId', order_id,
    'userId', user_id,
    'lines', jsonb_build_array(jsonb_build_object(
      'productId', '0198f0a0-0000-7000-8000-000000000001',
      'sku', 'SKU-0001',
      'name', 'A tin of green tea',
      'quantity', 2,
      'unitPrice', jsonb_build_object('amount', 2100, 'currency', 'EUR'),
      'priceVersion', 1
    )),
    'total', jsonb_build_object('amount', 4200, 'currency', 'EUR'),
    'placedAt', created_at,
    'deadlineAt', deadline_at
  ),
  '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', created_at
from placed;
`

export type Limit = Readonly<Record<`pgbench -c ${(typeof CLIENTS)[number]}`, () => Promise<number>>>

/** Transactions a second with each number of clients, on a database like that of orders, which no service works on. */
export async function limitOf(stage: Stage, seconds: number): Promise<Limit> {
  const { path, environment } = await pgbenchBinary()
  const script = join(stage.directory, 'limit.sql')
  writeFileSync(script, SCRIPT)
  const database = await databaseOfLimit(stage)
  const measure = async (clients: number): Promise<number> => {
    const jobs = ['-j', String(THREADS), '-c', String(clients), '-T', String(seconds)]
    const output = await run(path, ['-n', '-M', 'prepared', ...jobs, '-f', script, database], { environment })
    const rate = /tps = ([\d.]+)/.exec(output)?.[1]
    if (rate === undefined) throw new Error(`pgbench printed no rate: ${output}`)
    return Number(rate)
  }
  return Object.fromEntries(CLIENTS.map((clients) => [`pgbench -c ${clients}`, () => measure(clients)])) as Limit
}

async function databaseOfLimit(stage: Stage): Promise<string> {
  const provision = { ...provisionOf('orders', stage.secrets), database: 'limit' }
  const { adminUrl } = stage.servers.postgres
  await provisionService(adminUrl, provision)
  const as = (user: string, password: string): string => {
    const url = new URL(adminUrl)
    url.pathname = `/${provision.database}`
    url.username = user
    url.password = password
    return url.href
  }
  await runMigrations({
    service: 'orders',
    directory: join(cloneDirectory, 'services/orders/migrations'),
    url: as(provision.migratorRole, provision.migratorPassword),
    report: () => undefined,
  })
  return as(provision.role, provision.rolePassword)
}
