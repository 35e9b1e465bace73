import { productsRoutes, type ProductFacets, type QueryOf } from '@saas/contracts'
import type { TestService } from '@saas/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
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

async function counted(query: QueryOf<typeof countFacets>): Promise<Record<'categories' | 'tags', unknown>> {
  const { status, body } = await shop.call(countFacets, { query })
  expect(status).toBe(200)
  const pairs = (facets: ProductFacets['tags']) => facets.map(({ name, count }) => [name, count])
  const { categories, tags, moreCategories, moreTags } = body as ProductFacets
  expect([...categories, ...tags].some(({ more }) => more) || moreCategories || moreTags).toBe(false)
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

async function createMany(count: number, category: string, available = 1): Promise<void> {
  await shop.database.query(
    `with saved as (
       insert into product (id, sku, name, description, price_amount, price_currency, price_version, category, tags,
         attributes, available, stock_version, version, created_at, updated_at)
       select uuidv7(), 'MANY-' || nextval('product_number'), 'Many', '', 1, 'EUR', 1, replace($3, '{i}', i::text), '{}', '{}', $4, 1, 1,
         now(), now()
       from generate_series(1, $2::integer) as i
       returning *
     ), priced as (
       insert into price_change (product_id, price_version, amount, currency, changed_by, source, created_at)
       select id, 1, price_amount, price_currency, $1::uuid, 'test', created_at from saved
     )
     insert into stock_movement (product_id, stock_version, kind, delta, available_after, changed_by, source, created_at)
     select id, 1, 'initial', available, available, $1::uuid, 'test', created_at from saved`,
    [manager.userId, count, category, available],
  )
}

describe('what is counted up to a limit says so', () => {
  const facets = async (query: QueryOf<typeof countFacets>) =>
    (await shop.call(countFacets, { query })).body as ProductFacets

  test('a small category is found among more products than are counted', async () => {
    await createMany(10_000, 'Many')
    expect(await facets({})).toEqual({
      categories: [
        { name: 'Many', count: 6_666, more: true },
        { name: 'Tea', count: 2, more: false },
        { name: 'Cups', count: 1, more: false },
      ],
      moreCategories: false,
      // Those of older products are not seen.
      tags: [],
      moreTags: true,
    })
    expect(await facets({ q: 'many' })).toMatchObject({ moreCategories: true, moreTags: true })
    expect(await facets({ tag: 'gift' })).toMatchObject({ moreCategories: false, moreTags: true })
    expect(await facets({ q: 'sencha' })).toMatchObject({ moreCategories: false, moreTags: false })
  })

  test('a category whose newest products are all sold out may have older ones that are not', async () => {
    expect(await facets({ inStock: true })).toMatchObject({ moreCategories: false })
    await createMany(6_666, 'Many', 0)
    const { categories, moreCategories } = await facets({ inStock: true })
    expect([categories.map(({ name }) => name), moreCategories]).toEqual([['Cups', 'Tea'], true])
  })

  test('of more categories than are listed those of most products are, and that there are others is said', async () => {
    await createMany(201, 'One {i}')
    const { categories, moreCategories } = await facets({ tag: 'gift' })
    expect([categories.length, moreCategories]).toEqual([2, false])
    expect(await facets({})).toMatchObject({
      categories: expect.objectContaining({ length: 50 }),
      moreCategories: true,
    })
  })
})
