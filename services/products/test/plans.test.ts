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
  const { logger } = testLog('products')
  database = new Database({ url: testDatabase.url, service: 'products', timeoutMs: 30_000, logger })
  // Every fourth is sold out; each has the word "ordinary" and the tag "all", few have "rareword" and the tag "few".
  await testDatabase.query(
    `with saved as (
       insert into product (id, sku, name, description, price_amount, price_currency, price_version, category, tags,
         attributes, available, stock_version, version, created_at, updated_at)
       select uuidv7(), 'SKU-' || i, 'Thing ' || i, case when i % 1500 = 0 then 'rareword' else 'ordinary thing' end,
         i * 7919 % 10007, 'EUR', 1, 'Category ' || i % 100, case when i % 1500 = 0 then '{few}' else '{all}' end::text[],
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

test('a search for words begins with the newest of them', async () => {
  expect(await planOf({ q: 'ordinary thing' })).toContain('Bitmap Index Scan on product_by_words_of_era')
})

describe('words by another sort are looked for in its order when many have them, and looked up when few have', () => {
  test.each<[ListQuery, boolean]>([
    [{ q: 'ordinary', sort: 'price' }, true],
    [{ q: 'ordinary', sort: 'newest' }, true],
    [{ q: 'ordinary', sort: 'name', inStock: true }, true],
    [{ q: 'rareword', sort: 'price' }, false],
    // As beginnings Postgres would take them for more frequent than they are.
    [{ q: '4711', sort: 'name' }, false],
    [{ q: '4711', sort: '-price', category: 'Category 11' }, false],
  ])('%j', async (query, areMany) => {
    const plan = await planOf(query, 'analyze, costs off, timing off, summary off, buffers off')
    const [inOrder = '', lookedUp = ''] = plan.split('->  Limit').filter((part) => part.includes('One-Time Filter'))
    expect([inOrder, lookedUp].map((part) => !part.includes('never executed'))).toEqual([areMany, !areMany])
    expect(areMany ? inOrder : lookedUp).toMatch(
      areMany ? /Index Scan (Backward )?using/ : 'Bitmap Index Scan on product_by_words',
    )
  })
})

describe('what few products have is looked up in its own index', () => {
  test.each<[ListQuery, string]>([
    [{ tag: 'few' }, 'product_by_tag'],
    [{ tag: 'few', sort: 'name' }, 'product_by_tag'],
    [{ q: 'rareword', sort: 'price' }, 'product_by_words'],
    [{ q: 'rareword' }, 'product_by_words'],
    [{ q: 'SKU-4711' }, 'product_by_words'],
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

async function allPages(query: ListQuery): Promise<string[]> {
  const list = new ProductList(database)
  const ids: string[] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const page: ProductPage = await list.listProducts({ ...query, limit: 50, ...(cursor === '' ? {} : { cursor }) })
    ids.push(...page.items.map(({ id }) => id))
    cursor = page.next
  }
  return ids
}
