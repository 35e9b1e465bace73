import { Client } from 'pg'
import type { Stage } from '../frame/stage.ts'

const ROWS_PER_STATEMENT = 50_000
/** Whose history is read; every customer has as many orders, so a larger shop has more customers. */
const ORDERS_PER_USER = 50

/** Words of product names; each stands in a twentieth of all products. */
const ADJECTIVES = `'{amber,brisk,calm,dusky,early,faded,gentle,hollow,ivory,jolly,keen,late,misty,noble,olive,pale,quiet,rustic,silver,tender}'::text[]`
const NOUNS = `'{kettle,lantern,basket,candle,drawer,fabric,garland,hammer,inkwell,jug,ladder,mirror,needle,ottoman,pillow,quilt,ribbon,saddle,teapot,vase}'::text[]`

const insertProducts = `
insert into product (id, sku, name, description, price_amount, price_currency, price_version, category, tags, attributes,
  available, stock_version, version, created_at, updated_at)
select
  uuidv7(), 'BULK-' || i, initcap((${ADJECTIVES})[1 + i % 20] || ' ' || (${NOUNS})[1 + i / 20 % 20]) || ' model' || i,
  'Made to be used every day and to be looked at while it is not.', 100 + i * 7919 % 100003, 'EUR', 1,
  'Category ' || i % 100, array['tag' || i % 50], '{"colour": "green"}', i % 40, 1, 1, now(), now()
from generate_series($1::bigint, $2::bigint) as i`

const insertOrders = `
with placed as (
  insert into orders (order_id, user_id, status, version, total_amount, currency, created_at, deadline_at, decided_at)
  select uuidv7(), ('00000000-0000-4000-8000-' || lpad(to_hex(i / ${ORDERS_PER_USER}), 12, '0'))::uuid, 'confirmed', 2,
    4200, 'EUR', now(), now(), now()
  from generate_series($1::bigint, $2::bigint) as i
  returning order_id
)
insert into order_line (order_id, position, product_id, sku, name, quantity, unit_amount, price_version)
select order_id, 1, '0198f0a0-0000-7000-8000-000000000001', 'SKU-0001', 'A tin of green tea', 2, 2100, 1
from placed`

/** A customer that there is in a shop of every size. */
export const KNOWN_USER = '00000000-0000-4000-8000-000000000001'

/** Fills up to this many products and orders. What explains a stock or a price is left out: nothing here changes either. */
export async function fill(stage: Stage, from: number, to: number): Promise<void> {
  await fillTable(stage, 'products', 'product', insertProducts, from, to)
  await fillTable(stage, 'orders', 'orders', insertOrders, from, to)
  const words = `insert into search_word (word)
    select unnest(${ADJECTIVES} || ${NOUNS} || '{model,made,used,every,day,looked,while,green}'::text[])
    union
    select 'model' || digit from generate_series(0, 9) as digit
    on conflict do nothing`
  await stage.query('products', words)
}

/** Indexes are made again after the rows, which is quicker than row by row. */
async function fillTable(
  stage: Stage,
  database: 'products' | 'orders',
  table: string,
  statement: string,
  from: number,
  to: number,
): Promise<void> {
  const client = new Client({ connectionString: stage.databaseUrl(database), application_name: 'bench' })
  await client.connect()
  try {
    await client.query(
      `set session_replication_role = replica; set synchronous_commit = off; set maintenance_work_mem = '512MB'`,
    )
    const { rows: indexes } = await client.query<{ indexname: string; indexdef: string }>(
      `select indexname, indexdef from pg_indexes
       where tablename = $1 and indexname not in (select conname from pg_constraint)`,
      [table],
    )
    for (const { indexname } of indexes) await client.query(`drop index ${indexname}`)
    for (let first = from; first < to; first += ROWS_PER_STATEMENT) {
      await client.query(statement, [first, Math.min(to, first + ROWS_PER_STATEMENT) - 1])
    }
    for (const { indexdef } of indexes) await client.query(indexdef)
    await client.query('reset session_replication_role')
    await client.query('vacuum analyze')
  } finally {
    await client.end()
  }
}
