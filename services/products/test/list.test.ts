import { readFile } from 'node:fs/promises'
import {
  PAGE_ITEMS_DEFAULT,
  productsRoutes,
  productSorts,
  type Product,
  type ProductFacets,
  type QueryOf,
} from '@saas/contracts'
import type { CallAnswer, TestService } from '@saas/testing'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { create, manager, startShop } from './fixtures.ts'

const { listProducts, changeStock, replaceProduct, deleteProduct } = productsRoutes
type Query = QueryOf<typeof listProducts>
const migrations = new URL('../migrations/', import.meta.url)

let shop: TestService
beforeAll(async () => {
  shop = await startShop()
})
afterAll(async () => {
  await shop[Symbol.asyncDispose]()
})

async function list(query: Query): Promise<CallAnswer> {
  return await shop.call(listProducts, { query })
}

async function namesOf(query: Query): Promise<string[]> {
  const { body } = await list(query)
  return (body.items as Product[]).map(({ name }) => name)
}

async function allPages(query: Query): Promise<Product[]> {
  const products: Product[] = []
  for (let cursor: string | null | undefined; cursor !== null;) {
    const { status, body } = await list(cursor === undefined ? query : { ...query, cursor })
    expect(status).toBe(200)
    expect(body.items.length).toBeLessThanOrEqual(query.limit ?? PAGE_ITEMS_DEFAULT)
    products.push(...(body.items as Product[]))
    cursor = body.next as string | null
  }
  return products
}

describe('pages', () => {
  const category = 'Paged'
  let made: Product[]
  beforeAll(async () => {
    made = []
    for (let index = 0; index < 23; index += 1) {
      made.push(
        await create(shop, {
          name: `${index % 4 === 0 ? 'äpfel' : 'Birne'} ${index % 7}`,
          category,
          tags: [index % 2 === 0 ? 'even' : 'odd'],
          price: { amount: (index % 5) * 100, currency: 'EUR' },
          stock: index % 3,
        }),
      )
    }
  })

  const folded = (name: string) => name.normalize('NFD').replaceAll(/\p{M}/gu, '').toLowerCase()
  const byText = (a: string, b: string) => (a < b ? -1 : Number(a > b))
  const orders: Record<(typeof productSorts)[number], (a: Product, b: Product) => number> = {
    newest: (a, b) => byText(b.id, a.id),
    relevance: (a, b) => byText(b.id, a.id),
    name: (a, b) => byText(folded(a.name), folded(b.name)) || byText(a.id, b.id),
    price: (a, b) => a.price.amount - b.price.amount || byText(a.id, b.id),
    '-price': (a, b) => b.price.amount - a.price.amount || byText(b.id, a.id),
  }

  test.each(productSorts)('sorted by %s, every product stands on exactly one page, in order', async (sort) => {
    const listed = await allPages({ category, sort, limit: 4 })
    expect(listed.map(({ id }) => id)).toEqual(made.toSorted(orders[sort]).map(({ id }) => id))
  })

  test('filters are combined', async () => {
    const listed = await allPages({ category, tag: 'even', inStock: true, sort: 'price', limit: 3 })
    const expected = made.filter(({ tags, stock }) => tags.includes('even') && stock > 0).toSorted(orders.price)
    expect(listed.map(({ id }) => id)).toEqual(expected.map(({ id }) => id))
    const soldOut = await allPages({ category, inStock: false })
    expect(soldOut).toHaveLength(made.filter(({ stock }) => stock === 0).length)
  })

  test('a page goes on where it was, although products came and went', async () => {
    const first = await list({ category, sort: 'name', limit: 10 })
    const newcomer = await create(shop, { category, name: 'aaa' })
    const [gone] = made.toSorted(orders.name).slice(9)
    await shop.call(deleteProduct, { params: { id: gone?.id ?? '' }, headers: { 'if-match': '*' }, as: manager })
    const rest = await allPages({ category, sort: 'name', limit: 10, cursor: first.body.next })
    const expected = made.toSorted(orders.name).slice(10)
    expect(rest.map(({ id }) => id)).toEqual(expected.map(({ id }) => id))
    await shop.call(deleteProduct, { params: { id: newcomer.id }, headers: { 'if-match': '*' }, as: manager })
  })

  test('a cursor from another list is refused', async () => {
    const { body } = await list({ category, sort: 'price', limit: 2 })
    const cursor = body.next as string
    expect(await list({ category, sort: 'price', limit: 5, cursor })).toMatchObject({ status: 200 })
    for (const other of [
      { category, sort: 'name' },
      { category, sort: '-price' },
      { sort: 'price' },
      { category, sort: 'price', inStock: true },
      { category, sort: 'price', tag: 'even' },
      { category, sort: 'price', q: 'birne' },
    ] as const) {
      expect(await list({ ...other, cursor })).toMatchObject({
        status: 400,
        body: { type: expect.stringContaining('/problems/invalid-request'), errors: [{ pointer: '/query/cursor' }] },
      })
    }
  })

  test('a forged cursor is refused, whatever is in it', async () => {
    const { body } = await list({ category, sort: 'price', limit: 2 })
    const genuine = JSON.parse(Buffer.from(body.next as string, 'base64url').toString()) as unknown[]
    const forge = (parts: unknown) => Buffer.from(JSON.stringify(parts)).toString('base64url')
    const [digest, key, id] = genuine
    for (const cursor of [
      'x',
      'bnVsbA',
      forge({}),
      forge([]),
      forge([digest, 'text', id]),
      forge([digest, 1.5, id]),
      forge([digest, 1e300, id]),
      forge([digest, null, id]),
      forge([digest, key, 'x']),
      forge([digest, key, `${String(id)}'`]),
      forge([digest, key, [id]]),
      forge([[digest], key, id]),
    ]) {
      expect(await list({ category, sort: 'price', cursor }), cursor).toMatchObject({
        status: 400,
        body: { errors: [{ pointer: '/query/cursor' }] },
      })
    }
    const named = await list({ category, sort: 'name', limit: 2 })
    const [nameDigest, , nameId] = JSON.parse(
      Buffer.from(named.body.next as string, 'base64url').toString(),
    ) as unknown[]
    for (const text of ['\0', '\ud800']) {
      const cursor = forge([nameDigest, text, nameId])
      expect(await list({ category, sort: 'name', cursor })).toMatchObject({ status: 400 })
    }
  })

  test('a cursor fits its own limit, however long and odd the names are', async () => {
    for (const name of ['\u{1f375}'.repeat(100), '"\\'.repeat(100), '\ufdfa'.repeat(200), 'ß…'.repeat(100)]) {
      await create(shop, { category: 'Odd', name })
    }
    expect(await allPages({ category: 'Odd', sort: 'name', limit: 1 })).toHaveLength(4)
  })

  test.each([
    [{ limit: 0 }, 'limit'],
    [{ limit: 101 }, 'limit'],
    [{ limit: 1.5 }, 'limit'],
    [{ sort: 'colour' }, 'sort'],
    [{ q: '' }, 'q'],
    [{ inStock: 'maybe' }, 'inStock'],
    [{ colour: 'green' }, 'colour'],
  ])('%j is refused', async (query, name) => {
    const refused = await list(query as Query)
    expect(refused).toMatchObject({ status: 400, body: { errors: [{ pointer: `/query/${name}` }] } })
  })
})

describe('asking by ids', () => {
  test('answers in the order asked, each once, and leaves out what is not there', async () => {
    const [a, b, gone] = [await create(shop), await create(shop), await create(shop)]
    await shop.call(deleteProduct, { params: { id: gone.id }, headers: { 'if-match': '*' }, as: manager })
    const ids = [b.id, uuidv7(), a.id.toUpperCase(), gone.id, b.id].join(',')
    const { body } = await list({ ids })
    expect(body).toMatchObject({ items: [{ id: b.id }, { id: a.id }], next: null })
    expect(body.items).toHaveLength(2)
  })

  test.each([
    ['no ids', { ids: '' }, 'ids'],
    ['what is no id', { ids: 'x' }, 'ids'],
    ['an id and something more', { ids: `${uuidv7()},` }, 'ids'],
    ['too many', { ids: Array.from({ length: 101 }, () => uuidv7()).join(',') }, 'ids'],
    ['another filter', { ids: uuidv7(), q: 'tea' }, 'q'],
    ['a sort', { ids: uuidv7(), sort: 'name' as const }, 'sort'],
  ])('refuses %s', async (_, query, name) => {
    const refused = await list(query)
    expect(refused).toMatchObject({ status: 400, body: { errors: [{ pointer: `/query/${name}` }] } })
  })
})

describe('search', () => {
  beforeAll(async () => {
    await create(shop, { name: 'Sencha', description: 'A green tea from Uji', category: 'Drinks' })
    await create(shop, { name: 'Grüntee', description: 'aus Japan', category: 'Drinks' })
    await create(shop, {
      name: 'Mechanical keyboard',
      sku: 'KEY-77',
      tags: ['clicky'],
      attributes: { layout: 'Colemak' },
    })
    await create(shop, { name: 'Dark chocolate', description: 'with sea salt' })
    await create(shop, { name: 'Chocolate box', description: 'milk and dark' })
    await create(shop, { name: 'Straßenkreide', description: 'bunt' })
    for (const name of ['Tür aus Eiche', 'The lamp', 'Chair']) await create(shop, { name })
    await create(shop, { name: '100% O’Neil: a|b & !c', description: "it's (fine)" })
    await create(shop, { name: '«Petit prince»', description: '<cable USB to HDMI>' })
    for (const name of ['Docking GTX4090ti', 'iPhone15', 'Case for iphone 15', 'PS5', 'Чайник'])
      await create(shop, { name })
  })

  test.each([
    ['sencha', ['Sencha']],
    ['SENCHA', ['Sencha']],
    ['uji', ['Sencha']],
    ['key-77', ['Mechanical keyboard']],
    ['clicky', ['Mechanical keyboard']],
    ['colemak', ['Mechanical keyboard']],
    ['dark choco', ['Dark chocolate', 'Chocolate box']],
    ['strassenkreide', ['Straßenkreide']],
    ['gruntee', ['Grüntee']],
    ['GRÜNTEE japan', ['Grüntee']],
    ['petit prince', ['«Petit prince»']],
    ['usb <HDMI>', ['«Petit prince»']],
    ['sencha keyboard', []],
    ['gtx', ['Docking GTX4090ti']],
    ['dock gtx40', ['Docking GTX4090ti']],
    ['gtx 4090', ['Docking GTX4090ti']],
    ['ps', ['PS5']],
    ['ps 5', ['PS5']],
    ['ihpone', ['Case for iphone 15', 'iPhone15']],
    ['iph', ['Case for iphone 15', 'iPhone15']],
    ['iphone15', ['iPhone15', 'Case for iphone 15']],
    ['iphone 15', ['Case for iphone 15', 'iPhone15']],
    ['iphone 15 case', ['Case for iphone 15']],
    ['case iphone15', ['Case for iphone 15']],
    ['iphone16', []],
    ['Чайник'.normalize('NFD'), ['Чайник']],
  ])('%j finds %j', async (q, names) => {
    expect(await namesOf({ q })).toEqual(names)
  })

  test.each([
    ['keybaord', 'Mechanical keyboard'],
    ['keybord', 'Mechanical keyboard'],
    ['mecanical', 'Mechanical keyboard'],
    ['mechanical kebyoard', 'Mechanical keyboard'],
    ['choclate box', 'Chocolate box'],
    ['schokolate', 'Chocolate box'],
    ['sensha', 'Sencha'],
    ['grüntea', 'Grüntee'],
    ['strasenkreide', 'Straßenkreide'],
    ['gruentee', 'Grüntee'],
    ['tuer', 'Tür aus Eiche'],
    ['teh', 'The lamp'],
    ['lapm', 'The lamp'],
    ['lanp', 'The lamp'],
    ['chiar', 'Chair'],
  ])('the typo in %j is forgiven', async (q, name) => {
    expect(await namesOf({ q })).toContain(name)
  })

  test('what has the letters of a known word is that word and none that is like it', async () => {
    await create(shop, { name: 'Chain' })
    expect(await namesOf({ q: 'chari' })).toEqual(['Chair'])
  })

  test('the ending of a compound word is found', async () => {
    expect(await namesOf({ q: 'kreide' })).toEqual(['Straßenkreide'])
    expect(await namesOf({ q: 'tee' })).toContain('Grüntee')
  })

  test.each([
    '!',
    "'",
    '\\',
    '%',
    '_',
    '100%',
    "o'neil",
    'a|b',
    '!c',
    ':*',
    '((',
    '<->',
    'it’s',
    '\u{1f375}',
    ' ',
    'x'.repeat(200),
  ])('the text %j is only text', async (q) => {
    expect(await list({ q })).toMatchObject({ status: 200 })
  })

  test('the best fit comes first: words of the name before words of the description', async () => {
    await create(shop, { name: 'Something else', description: 'for people who like porcelain', category: 'Ranked' })
    await create(shop, { name: 'Porcelain', description: 'white', category: 'Ranked' })
    expect(await namesOf({ q: 'porcelain', category: 'Ranked' })).toEqual(['Porcelain', 'Something else'])
    expect(await namesOf({ q: 'porcelain', category: 'Ranked', sort: 'newest' })).toEqual([
      'Porcelain',
      'Something else',
    ])
    expect(await namesOf({ q: 'porcelain', category: 'Ranked', sort: 'name' })).toEqual(['Porcelain', 'Something else'])
  })

  test('pages of a search hold every fit once', async () => {
    for (let index = 0; index < 9; index += 1) {
      await create(shop, {
        name: index % 2 ? 'Zebra' : 'Horse',
        description: index % 3 ? 'zebra' : 'a zebra and a zebra',
      })
    }
    const all = await list({ q: 'zebra', limit: 100 })
    const paged = await allPages({ q: 'zebra', limit: 2 })
    expect(paged.map(({ id }) => id)).toEqual((all.body.items as Product[]).map(({ id }) => id))
    expect(paged).toHaveLength(9)
  })

  test('what a product says now is found, what it said before is not', async () => {
    const { id, sku } = await create(shop, { name: 'Umbrella' })
    const body = { sku, name: 'Parasol', price: { amount: 1, currency: 'EUR' } }
    await shop.call(replaceProduct, { params: { id }, body, headers: { 'if-match': '*' }, as: manager })
    expect(await namesOf({ q: 'parasol' })).toEqual(['Parasol'])
    expect(await namesOf({ q: 'umbrella' })).toEqual([])
  })

  test('words in angle brackets of products that were there before they were read are found, too', async () => {
    await shop.database.query(
      `create or replace function search_words(value text) returns tsvector
       language sql immutable parallel safe strict
       return to_tsvector('pg_catalog.simple'::regconfig, translate(folded(value), '-./_@:+&~#', '          '))`,
    )
    const name = '«Vol de nuit»'
    const { version } = await create(shop, { name })
    expect(await namesOf({ q: 'nuit' })).toEqual([])
    await shop.database.query(await readFile(new URL('0006_words_in_angle_brackets.sql', migrations), 'utf8'))
    expect(await namesOf({ q: 'nuit' })).toEqual([name])
    expect(await namesOf({ q: 'niut' })).toEqual([name])
    expect((await list({ q: 'nuit' })).body.items).toMatchObject([{ version }])
  })

  test('beginnings of words with digits and texts in another form of products that were there before are found, too', async () => {
    const decomposed = { name: 'Тройник'.normalize('NFD'), category: 'Й'.normalize('NFD') }
    const { id, sku, version } = await create(shop, { name: 'WLAN7', category: 'x' })
    await shop.database.query(
      `update product set name = name || ' ' || $2, category = $3, tags = $4, attributes = $5 where id = $1`,
      [id, decomposed.name, decomposed.category, ['й'.normalize('NFD'), 'a', 'й'], { a: 'й'.normalize('NFD'), n: 1 }],
    )
    await shop.database.query(`delete from search_word where word ~ '^wlan'`)
    expect([await namesOf({ q: 'wlan' }), await namesOf({ q: 'тройник' })]).toEqual([[], []])
    for (const name of ['0007_letters_and_digits', '0008_composed_texts']) {
      await shop.database.query(await readFile(new URL(`${name}.sql`, migrations), 'utf8'))
    }
    const found = { sku, version, name: 'WLAN7 Тройник', tags: ['й', 'a'], attributes: { a: 'й', n: 1 } }
    for (const query of [{ q: 'wlan' }, { q: 'тройник' }, { q: 'тройинк' }, { category: 'Й' }]) {
      expect((await list(query)).body.items, JSON.stringify(query)).toMatchObject([found])
    }
  })

  test('names that are still in another form lead to their own products, and to those in the form that is kept', async () => {
    const [kept, old] = ['Öle'.normalize('NFC'), 'Öle'.normalize('NFD')]
    await create(shop, { name: 'New', category: kept, tags: [kept] })
    const { id } = await create(shop, { name: 'Old', category: 'x' })
    await shop.database.query('update product set category = $2, tags = array[$2] where id = $1', [id, old])
    const facetsOf = async (query: QueryOf<typeof productsRoutes.countFacets>) =>
      (await shop.call(productsRoutes.countFacets, { query })).body as ProductFacets
    const { categories, tags } = await facetsOf({})
    for (const facets of [categories, tags]) {
      const alike = facets
        .filter(({ name }) => name.normalize() === kept)
        .map(({ name, count }) => [name, count] as const)
      expect(new Map(alike)).toEqual(new Map([kept, old].map((name) => [name, 1])))
    }
    for (const sort of ['newest', 'price', 'name', 'relevance'] as const) {
      for (const filter of ['category', 'tag'] as const) {
        const found = async (name: string) => (await namesOf({ sort, [filter]: name })).toSorted()
        expect([await found(kept), await found(old)], `${filter} ${sort}`).toEqual([['New'], ['New', 'Old']])
      }
    }
    expect(await namesOf({ q: 'old', category: old, tag: old })).toEqual(['Old'])
    expect((await facetsOf({ category: old })).tags.map(({ name }) => name).toSorted()).toEqual([kept, old].toSorted())
  })

  test('what is sold out is left out on request, at once', async () => {
    const { id } = await create(shop, { name: 'Rarity', stock: 1 })
    expect(await namesOf({ q: 'rarity', inStock: true })).toEqual(['Rarity'])
    await shop.call(changeStock, { params: { id }, body: { delta: -1, reason: 'sold' }, as: manager })
    expect(await namesOf({ q: 'rarity', inStock: true })).toEqual([])
    expect(await namesOf({ q: 'rarity', inStock: false })).toEqual(['Rarity'])
  })
})
