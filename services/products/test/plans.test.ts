import { Database, type Statement } from '@saas/state'
import { cloneDatabase, testLog, type TestDatabase } from '@saas/testing'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Position } from '../src/cursor.ts'
import { listStatement, sorts, type ListQuery } from '../src/list-statement.ts'
import { ProductList, type ProductPage } from '../src/product-list.ts'
import { resolveSearch } from '../src/search.ts'
import { manager } from './fixtures.ts'

const PRODUCTS = 6_000
const PAGE_ITEMS = 5

let testDatabase: TestDatabase
let database: Database
beforeAll(async () => {
  testDatabase = await cloneDatabase('products')
  // With millions of products Postgres would not read all of them to find some; with so few it might.
  await testDatabase.query(`alter database "${testDatabase.name}" set enable_seqscan = off`)
  await testDatabase.query(`alter database "${testDatabase.name}" set random_page_cost = 1.1`)
  const { logger } = testLog('products')
  database = new Database({ url: testDatabase.url, service: 'products', timeoutMs: 30_000, logger })
  // Every fourth is sold out; each has the word "ordinary" and the tag "all", few have "rareword" and the tag "few". Of the words that many have
  // "vintage" stands in the oldest only, "late" in the newest, which are the dearest, and "zebra" in those that come last by name.
  await testDatabase.query(
    `with saved as (
       insert into product (id, sku, name, description, price_amount, price_currency, price_version, category, tags,
         attributes, available, stock_version, version, created_at, updated_at)
       select uuidv7(), 'SKU-' || i, case when i % 4 = 1 then 'Zebra ' else 'Thing ' end || i,
         case when i % 1500 = 0 then 'rareword' else 'ordinary thing' end || case when i <= 2000 then ' vintage' when i > 4000 then ' late' else '' end,
         i * 7919 % 10007 + case when i > 4000 then 20000 else 0 end, 'EUR', 1, 'Category ' || i % 100, case when i % 1500 = 0 then '{few}' else '{all}' end::text[],
         '{}', i % 4, 1, 1, now(), now()
       from generate_series(1, $1::integer) as i
       returning *
     ), priced as (
       insert into price_change (product_id, price_version, amount, currency, changed_by, source, created_at)
       select id, 1, price_amount, price_currency, $2::uuid, 'test', created_at from saved
     )
     insert into stock_movement (product_id, stock_version, kind, delta, available_after, changed_by, source, created_at)
     select id, 1, 'initial', available, available, $2::uuid, 'test', created_at from saved`,
    [PRODUCTS, manager.userId],
  )
  await testDatabase.query('vacuum analyze product')
})
afterAll(async () => {
  await database[Symbol.asyncDispose]()
  await testDatabase[Symbol.asyncDispose]()
})

async function planOf(query: ListQuery, options = 'costs off'): Promise<string> {
  const words = query.q === undefined ? undefined : await resolveSearch(database, query.q)
  const sort = query.sort ?? (words === undefined ? 'newest' : 'relevance')
  const keys: Record<string, Position['key']> = { none: null, text: 'thing 3', integer: 5_000, number: 0.5 }
  const after: Position = { key: keys[sorts[sort].kind] ?? null, id: uuidv7() }
  const { statement, values } = listStatement(query, sort, words, after)
  const explain: Statement<{ 'QUERY PLAN': string }> = { name: '', text: `explain (${options}) ${statement.text}` }
  const rows = await database.read(explain, [PAGE_ITEMS, ...values])
  return rows.map((row) => row['QUERY PLAN']).join('\n')
}

describe('every list reads its page from an index, in order, wherever the page is', () => {
  test.each<[ListQuery, string]>([
    [{}, 'product_by_newest|product_pkey'],
    [{ sort: 'name' }, 'product_by_name'],
    [{ sort: 'price' }, 'product_by_price'],
    [{ sort: '-price' }, 'product_by_price'],
    [{ category: 'Category 3' }, 'product_in_category_by_newest'],
    [{ category: 'Category 3', sort: 'name' }, 'product_in_category_by_name'],
    [{ category: 'Category 3', sort: '-price' }, 'product_in_category_by_price'],
    [{ inStock: true }, 'product_in_stock_by_newest|product_by_newest|product_pkey'],
    [{ inStock: true, sort: 'name' }, 'product_in_stock_by_name|product_by_name'],
    [{ inStock: true, sort: 'price' }, 'product_in_stock_by_price|product_by_price'],
    [{ tag: 'all', sort: 'price' }, 'product_by_price'],
  ])('%j', async (query, index) => {
    const plan = await planOf(query)
    expect(plan).toMatch(new RegExp(`Index Scan (Backward )?using (${index}) on product`))
    expect(plan).not.toContain('Sort')
  })
})

/** How many rows of the table all parts of the plan looked at. */
function rowsRead(plan: string): number {
  const scans = [...plan.matchAll(/Scan[^\n]* on product(?: \w+)? \(actual rows=([\d.]+) loops=(\d+)\)/g)]
  const removed = [...plan.matchAll(/Rows Removed by [^:]*: (\d+)/g)]
  return [...scans, ...removed].reduce((sum, [, rows, loops = '1']) => sum + Number(rows) * Number(loops), 0)
}

describe('a search reads a bounded number of products, however its words are spread', () => {
  test.each(
    ['ordinary', 'vintage', 'late', 'zebra', '4711'].flatMap((q) =>
      (['relevance', 'price', '-price', 'name', 'newest'] as const).flatMap((sort) => [
        { q, sort },
        { q, sort, category: 'Category 11' },
        { q, sort, tag: 'all', inStock: true },
      ]),
    ),
  )('%j', async (query) => {
    const plan = await planOf(query, 'analyze, costs off, timing off, summary off, buffers off')
    expect(rowsRead(plan)).toBeLessThan(5_000)
  })
})

test('what was written a moment ago is not read again with each look-up of a search', async () => {
  const pagesRead = async (): Promise<number> => {
    const plan = await planOf({ q: 'nowhere' }, 'analyze, costs off, timing off, summary off')
    return Number(/Buffers: shared hit=(\d+)/.exec(plan)?.[1])
  }
  const before = await pagesRead()
  await testDatabase.query(`update product set description = description || ' again' where price_amount < 2000`)
  expect((await pagesRead()) - before).toBeLessThan(50)
})

describe('pages of a search by another sort are those of all that fit', () => {
  test.each<[ListQuery, string]>([
    // More than are sorted, evenly spread.
    [{ q: 'ordinary', sort: 'price' }, 'price_amount, id'],
    [{ q: 'ordinary', sort: '-price', inStock: true }, 'price_amount desc, id desc'],
    [{ q: 'zebra ordinary', sort: 'newest' }, 'id desc'],
    // Fewer.
    [{ q: 'rareword', sort: 'price' }, 'price_amount, id'],
    [{ q: 'vintage', sort: 'name', category: 'Category 11' }, 'name_key, id'],
    [{ q: '47', sort: 'name' }, 'name_key, id'],
  ])('%j', async (query, order) => {
    const words = await resolveSearch(database, query.q ?? '')
    const fits = await testDatabase.query<{ id: string }>(
      `select id from product
       where words @@ $1::tsquery and ($2::boolean is null or in_stock = $2) and ($3::text is null or category = $3)
       order by ${order}
       limit 100`,
      [words?.query, query.inStock ?? null, query.category ?? null],
    )
    expect((await allPages(query, 2)).slice(0, 100)).toEqual(fits.map(({ id }) => id))
  })

  test('of words that only the dearest have, which are more than are sorted, a page is full and in order', async () => {
    const { items } = await new ProductList(database).listProducts({ q: 'late', sort: 'price', limit: 50 })
    const prices = items.map(({ price }) => price.amount)
    expect(prices).toHaveLength(50)
    expect(prices).toEqual(prices.toSorted((a, b) => a - b))
  })
})

describe('what few products have is looked up in its own index', () => {
  test.each<[ListQuery, string]>([
    [{ tag: 'few' }, 'product_by_tag'],
    [{ tag: 'few', sort: 'name' }, 'product_by_tag'],
  ])('%j', async (query, index) => {
    expect(await planOf(query)).toContain(`Bitmap Index Scan on ${index}`)
  })
})

describe.each([
  ['in the eras of now', undefined],
  ['in eras that are long past', 100 * 4_096],
  ['in no era, because they were there before', null],
])('a search finds the newest that fit, page by page: %s', (_, number) => {
  beforeAll(async () => {
    if (number === undefined) return
    const newest = 'select id from product order by id desc limit 1'
    if (number === null) await testDatabase.query(`update product set number = null where id <> (${newest})`)
    else await testDatabase.query(`update product set number = $1 where id = (${newest})`, [number])
  })

  test.each<ListQuery>([
    { q: 'ordinary' },
    { q: 'ordinary', inStock: true },
    { q: 'rareword' },
    { q: 'SKU-47' },
    { q: '4711' },
  ])('%j', async (query) => {
    const words = await resolveSearch(database, query.q ?? '')
    const fits = await testDatabase.query<{ id: string }>(
      `select id from product where words @@ $1::tsquery and ($2::boolean is null or in_stock = $2) order by id desc limit 240`,
      [words?.query, query.inStock ?? null],
    )
    expect((await allPages(query)).toSorted()).toEqual(fits.map(({ id }) => id).toSorted())
  })
})

async function allPages(query: ListQuery, pagesMax = Number.POSITIVE_INFINITY): Promise<string[]> {
  const list = new ProductList(database)
  const ids: string[] = []
  let cursor: string | null = ''
  for (let pages = 0; cursor !== null && pages < pagesMax; pages += 1) {
    const page: ProductPage = await list.listProducts({ ...query, limit: 50, ...(cursor === '' ? {} : { cursor }) })
    ids.push(...page.items.map(({ id }) => id))
    cursor = page.next
  }
  return ids
}
