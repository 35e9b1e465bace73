import { productsRoutes, type ProductFacets, type QueryOf } from '@saas/contracts'
import type { TestService } from '@saas/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { create, manager, startShop } from './fixtures.ts'

const { countFacets, deleteProduct } = productsRoutes

let shop: TestService
beforeAll(async () => {
  shop = await startShop()
  const made = [
    { category: 'Tea', tags: ['green', 'gift'], name: 'Sencha' },
    { category: 'Tea', tags: ['black'], name: 'Assam', stock: 0 },
    { category: 'Cups', tags: ['gift'], name: 'Cup for Sencha' },
    { category: null, tags: ['gift'], name: 'Voucher' },
  ]
  for (const fields of made) await create(shop, fields)
  const { id } = await create(shop, { category: 'Gone', tags: ['gone'] })
  await shop.call(deleteProduct, { params: { id }, headers: { 'if-match': '*' }, as: manager })
})
afterAll(async () => {
  await shop[Symbol.asyncDispose]()
})

async function counted(query: QueryOf<typeof countFacets>): Promise<Record<keyof ProductFacets, unknown>> {
  const { status, body } = await shop.call(countFacets, { query })
  expect(status).toBe(200)
  const pairs = (facets: ProductFacets['tags']) => facets.map(({ name, count }) => [name, count])
  const { categories, tags } = body as ProductFacets
  expect([...categories, ...tags].some(({ more }) => more)).toBe(false)
  return { categories: pairs(categories), tags: pairs(tags) }
}

test.each<[string, QueryOf<typeof countFacets>, [string, number][], [string, number][]]>([
  [
    'nothing asked',
    {},
    [
      ['Tea', 2],
      ['Cups', 1],
    ],
    [
      ['gift', 3],
      ['black', 1],
      ['green', 1],
    ],
  ],
  [
    'in stock',
    { inStock: true },
    [
      ['Cups', 1],
      ['Tea', 1],
    ],
    [
      ['gift', 3],
      ['green', 1],
    ],
  ],
  [
    'a category',
    { category: 'Tea' },
    [
      ['Tea', 2],
      ['Cups', 1],
    ],
    [
      ['black', 1],
      ['gift', 1],
      ['green', 1],
    ],
  ],
  [
    'a tag',
    { tag: 'gift' },
    [
      ['Cups', 1],
      ['Tea', 1],
    ],
    [
      ['gift', 3],
      ['black', 1],
      ['green', 1],
    ],
  ],
  [
    'mistyped words',
    { q: 'senccha' },
    [
      ['Cups', 1],
      ['Tea', 1],
    ],
    [
      ['gift', 2],
      ['green', 1],
    ],
  ],
  [
    'words and a category',
    { q: 'sencha', category: 'Cups' },
    [
      ['Cups', 1],
      ['Tea', 1],
    ],
    [['gift', 1]],
  ],
  ['what nothing has', { q: 'qqqqqq' }, [], []],
])(
  'facets of %s: each kind is counted without its own filter, deleted products never',
  async (_, query, categories, tags) => {
    expect(await counted(query)).toEqual({ categories, tags })
  },
)

test('a small category is found among more products than are counted, and what is not whole says so', async () => {
  await shop.database.query(
    `with saved as (
       insert into product (id, sku, name, description, price_amount, price_currency, price_version, category, tags,
         attributes, available, stock_version, version, created_at, updated_at)
       select uuidv7(), 'MANY-' || i, 'Many', '', 1, 'EUR', 1, 'Many', '{}', '{}', 1, 1, 1, now(), now()
       from generate_series(1, 10000) as i
       returning *
     ), priced as (
       insert into price_change (product_id, price_version, amount, currency, changed_by, source, created_at)
       select id, 1, price_amount, price_currency, $1::uuid, 'test', created_at from saved
     )
     insert into stock_movement (product_id, stock_version, kind, delta, available_after, changed_by, source, created_at)
     select id, 1, 'initial', available, available, $1::uuid, 'test', created_at from saved`,
    [manager.userId],
  )
  const { body } = await shop.call(countFacets, { query: {} })
  expect((body as ProductFacets).categories).toEqual([
    { name: 'Many', count: 1_000, more: true },
    { name: 'Tea', count: 2, more: false },
    { name: 'Cups', count: 1, more: false },
  ])
})
