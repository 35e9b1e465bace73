import { operatorRoutes, productsEvents, productsRoutes, STOCK_MAX, type NewProduct } from '@saas/contracts'
import type { TestService } from '@saas/testing'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { create, customer, manager, movementsOf, newProduct, sentEvents, startShop } from './fixtures.ts'

const { createProduct, getProduct, replaceProduct, deleteProduct, changeStock, listProducts } = productsRoutes

let shop: TestService
beforeAll(async () => {
  shop = await startShop()
})
afterAll(async () => {
  await shop[Symbol.asyncDispose]()
})

async function replace(id: string, ifMatch: string | undefined, fields: Partial<NewProduct> = {}) {
  const { stock: _, ...body } = newProduct(fields)
  return await shop.call(replaceProduct, {
    params: { id },
    body,
    as: manager,
    ...(ifMatch === undefined ? {} : { headers: { 'if-match': ifMatch } }),
  })
}

describe('creating a product', () => {
  test('a new product is answered whole, with its place and its entity tag', async () => {
    const body = newProduct({
      description: 'First flush',
      category: 'Tea',
      tags: ['green', 'japan'],
      attributes: { grams: 100, organic: true, origin: 'Uji' },
    })
    const created = await shop.call(createProduct, { body, as: manager })
    expect(created.status).toBe(201)
    expect(created.body).toMatchObject({ ...body, version: 1 })
    expect(created.headers).toMatchObject({ location: `/product/${created.body.id}`, etag: '"1.1"' })
    const read = await shop.call(getProduct, { params: { id: created.body.id }, as: customer })
    expect(read).toMatchObject({ status: 200, body: created.body, headers: { etag: '"1.1"' } })
  })

  test('its texts are kept in one form, in which they are asked for, too', async () => {
    const [category, other] = ['Café'.normalize('NFC'), 'Café'.normalize('NFD')]
    const kept = { name: category, description: category, category, tags: [category], attributes: { a: category } }
    const sent = { name: other, description: other, category: other, tags: [other], attributes: { a: other } }
    const product = await create(shop, sent)
    expect(product).toMatchObject(kept)
    const replaced = await replace(product.id, '*', sent)
    expect(replaced).toMatchObject({ status: 200, body: kept })
    for (const query of [{ category }, { category: other }, { tag: other }, { q: other }]) {
      expect((await shop.call(listProducts, { query })).body.items).toMatchObject([{ id: product.id }])
    }
    const body = newProduct({ tags: [category, other] })
    const refused = await shop.call(createProduct, { body, as: manager })
    expect(refused).toMatchObject({ status: 400, body: { errors: [{ pointer: '/tags' }] } })
  })

  test('attributes have names in any language, kept in one form, each once', async () => {
    const [name, other] = ['Größe'.normalize('NFC'), 'Größe'.normalize('NFD')]
    const attributes = { [name]: 'L', 色: '赤', 'वज़न 2': 3, 'Screen_size-cm': 60 }
    const { id } = await create(shop, { attributes: { ...attributes, [name]: undefined, [other]: 'L' } as never })
    const read = await shop.call(getProduct, { params: { id }, as: customer })
    expect(read.body.attributes).toEqual(
      Object.fromEntries(Object.entries(attributes).map(([key, value]) => [key.normalize('NFC'), value])),
    )
    const twice = newProduct({ attributes: { [name]: 'L', [other]: 'M' } })
    expect(await shop.call(createProduct, { body: twice, as: manager })).toMatchObject({
      status: 400,
      body: { errors: [{ pointer: `/attributes/${name}`, code: 'repeated' }] },
    })
    // In this form each letter is two code points.
    for (const wrong of [
      '',
      ' a',
      '1',
      '\u0308a',
      'a\u202eb',
      'a\u200bb',
      'a\n',
      'a:b',
      'ö'.repeat(51),
      '\u0958'.repeat(26),
    ]) {
      const body = newProduct({ attributes: { [wrong]: 1 } })
      expect(await shop.call(createProduct, { body, as: manager }), wrong).toMatchObject({ status: 400 })
    }
  })

  test('what is left out is empty, not missing', async () => {
    expect(await create(shop)).toMatchObject({ description: '', category: null, tags: [], attributes: {} })
  })

  test('a product, its first movement, its first price and its event are written together', async () => {
    const { id, sku } = await create(shop, { stock: 7 })
    expect(await movementsOf(shop.database, id)).toEqual([
      {
        kind: 'initial',
        delta: 7,
        available_after: 7,
        reason: null,
        changed_by: manager.userId,
        source: createProduct.id,
      },
    ])
    expect(await pricesOf(id)).toEqual([{ price_version: 1, amount: 490, changed_by: manager.userId }])
    expect(await sentEvents(shop.database, id)).toMatchObject([
      {
        subject: productsEvents.productCreated.subject,
        version: 1,
        data: { productId: id, sku, priceVersion: 1, deleted: false },
      },
    ])
  })

  test('a SKU names one product', async () => {
    const { sku } = await create(shop)
    const again = await shop.call(createProduct, { body: newProduct({ sku }), as: manager })
    expect(again).toMatchObject({ status: 409, body: { type: expect.stringContaining('/problems/sku-taken') } })
  })

  test('of many who take one SKU at once, one gets it', async () => {
    const body = newProduct()
    const answers = await Promise.all(Array.from({ length: 12 }, () => shop.call(createProduct, { body, as: manager })))
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1)
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(11)
  })

  test('many products with the same new words can be created at once', async () => {
    const words = (shift: number) =>
      Array.from({ length: 200 }, (_, index) => `wort${(index * 37 + shift * 53) % 200}mark`).join(' ')
    const created = await Promise.all(
      Array.from({ length: 30 }, (_, shift) => create(shop, { description: words(shift) })),
    )
    expect(new Set(created.map(({ id }) => id)).size).toBe(30)
  })

  test.each([
    ['a negative price', { price: { amount: -1, currency: 'EUR' } }, '/price/amount'],
    ['half a cent', { price: { amount: 1.5, currency: 'EUR' } }, '/price/amount'],
    ['a price as text', { price: { amount: '100', currency: 'EUR' } }, '/price/amount'],
    ['a price beyond what is exact', { price: { amount: 1e12 + 1, currency: 'EUR' } }, '/price/amount'],
    ['a price without currency', { price: { amount: 1 } }, '/price/currency'],
    ['a currency in small letters', { price: { amount: 1, currency: 'eur' } }, '/price/currency'],
    ['a currency that there is not', { price: { amount: 1, currency: 'QQQ' } }, '/price/currency'],
    ['a negative stock', { stock: -1 }, '/stock'],
    ['a stock beyond the limit', { stock: STOCK_MAX + 1 }, '/stock'],
    ['no stock', { stock: undefined }, '/stock'],
    ['an empty name', { name: '' }, '/name'],
    ['a name that is too long', { name: 'x'.repeat(201) }, '/name'],
    ['a name with U+0000', { name: 'a\0b' }, '/name'],
    ['a name of nothing but space', { name: ' \u200b ' }, '/name'],
    ['a name of two lines', { name: 'Tea\r\nBcc: everybody' }, '/name'],
    ['a name that turns round what follows it', { name: 'Tea \u202e' }, '/name'],
    ['a category that looks like another', { category: 'Tea ' }, '/category'],
    ['a tag that looks like another', { tags: ['tea', ' tea'] }, '/tags/1'],
    ['a category that nobody can see', { category: ' ' }, '/category'],
    ['a tag with a tabulator', { tags: ['tea', 'a\tb'] }, '/tags/1'],
    ['a name with half a character', { name: 'a\ud800' }, '/name'],
    ['a SKU with a space', { sku: 'A B' }, '/sku'],
    ['a tag twice', { tags: ['a', 'a'] }, '/tags'],
    ['too many tags', { tags: Array.from({ length: 21 }, (_, index) => `t${index}`) }, '/tags'],
    [
      'an attribute that is no longer the number that was sent',
      { attributes: { serial: 2 ** 53 } },
      '/attributes/serial',
    ],
    ['a nested attribute', { attributes: { size: { cm: 3 } } }, '/attributes/size'],
    ['a field that there is not', { colour: 'green' }, '/colour'],
    ['an id of the caller’s choice', { id: uuidv7() }, '/id'],
  ])('%s is refused and named by pointer', async (_, fields, pointer) => {
    const body = { ...newProduct(), ...fields } as NewProduct
    const refused = await shop.call(createProduct, { body, as: manager })
    expect(refused.status).toBe(400)
    expect(refused.body.type).toContain('/problems/invalid-request')
    expect(refused.body.errors.map((error: { pointer: string }) => error.pointer)).toContain(pointer)
  })

  test('only those who may write products can', async () => {
    expect(await shop.call(createProduct, { body: newProduct(), as: customer })).toMatchObject({ status: 403 })
    expect(await shop.call(createProduct, { body: newProduct() })).toMatchObject({ status: 403 })
    const { id } = await create(shop)
    expect(await shop.call(getProduct, { params: { id } })).toMatchObject({ status: 403 })
    expect(await shop.call(listProducts)).toMatchObject({ status: 200 })
  })
})

describe('replacing a product', () => {
  test('replaces all it says, and nothing of its stock', async () => {
    const { id, sku } = await create(shop, { description: 'old', tags: ['old'], stock: 3 })
    const replaced = await replace(id, '"1.1"', { sku, name: 'Black tea' })
    expect(replaced).toMatchObject({
      status: 200,
      body: { name: 'Black tea', description: '', tags: [], stock: 3, version: 2 },
      headers: { etag: '"2.1"' },
    })
    expect(await sentEvents(shop.database, id)).toMatchObject([
      { version: 1 },
      { version: 2, subject: productsEvents.productChanged.subject, data: { name: 'Black tea', priceVersion: 1 } },
    ])
  })

  test('needs the version that is being replaced', async () => {
    const { id } = await create(shop)
    expect(await replace(id, undefined)).toMatchObject({ status: 428 })
    expect(await replace(id, '"2.1"')).toMatchObject({ status: 412 })
    expect(await replace(id, '"one"')).toMatchObject({ status: 412 })
    expect(await replace(id, 'one')).toMatchObject({
      status: 400,
      body: { errors: [{ pointer: '/headers/if-match' }] },
    })
    expect(await replace(id, '"9.9", "1.7"')).toMatchObject({ status: 200 })
    expect(await replace(id, '*')).toMatchObject({ status: 200, body: { version: 3 } })
  })

  test('of two who edit the same version, one is told that it changed', async () => {
    const { id } = await create(shop)
    const answers = await Promise.all(Array.from({ length: 8 }, () => replace(id, '"1.1"')))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(answers.filter(({ status }) => status === 412)).toHaveLength(7)
  })

  test('a change of stock does not void what a manager is typing', async () => {
    const { id } = await create(shop)
    await shop.call(changeStock, { params: { id }, body: { delta: -1, reason: 'broken' }, as: manager })
    expect(await replace(id, '"1.1"')).toMatchObject({ status: 200, headers: { etag: '"2.2"' } })
  })

  test('the price version rises with each change of price and never otherwise', async () => {
    const { id } = await create(shop)
    await replace(id, '*', { name: 'Other name' })
    await replace(id, '*', { price: { amount: 500, currency: 'EUR' } })
    await replace(id, '*', { price: { amount: 500, currency: 'USD' } })
    await replace(id, '*', { price: { amount: 500, currency: 'USD' } })
    expect((await pricesOf(id)).map(({ price_version, amount }) => [price_version, amount])).toEqual([
      [1, 490],
      [2, 500],
      [3, 500],
    ])
    const events = await sentEvents(shop.database, id)
    expect(events.map(({ data }) => data['priceVersion'])).toEqual([1, 1, 2, 3, 3])
  })

  test('another product’s SKU is refused and nothing changes', async () => {
    const other = await create(shop)
    const { id } = await create(shop)
    expect(await replace(id, '*', { sku: other.sku })).toMatchObject({ status: 409 })
    expect(await sentEvents(shop.database, id)).toHaveLength(1)
  })

  test('stock is no part of it', async () => {
    const { id } = await create(shop)
    const refused = await shop.call(replaceProduct, {
      params: { id },
      body: newProduct(),
      headers: { 'if-match': '*' },
      as: manager,
    })
    expect(refused).toMatchObject({ status: 400, body: { errors: [{ pointer: '/stock' }] } })
  })

  test('an unknown product is not found', async () => {
    expect(await replace(uuidv7(), '*')).toMatchObject({ status: 404 })
    expect(await replace('x', '*')).toMatchObject({ status: 400, body: { errors: [{ pointer: '/params/id' }] } })
  })
})

describe('deleting a product', () => {
  const remove = (id: string, ifMatch: string) =>
    shop.call(deleteProduct, { params: { id }, headers: { 'if-match': ifMatch }, as: manager })

  test('takes it out of every list, and tells it once', async () => {
    const { id } = await create(shop, { name: 'Vanishing cream' })
    expect(await shop.call(deleteProduct, { params: { id }, as: manager })).toMatchObject({ status: 428 })
    expect(await remove(id, '"7.1"')).toMatchObject({ status: 412 })
    expect(await remove(id, '"1.1"')).toMatchObject({ status: 204 })
    expect(await remove(id, '*')).toMatchObject({ status: 404 })
    expect(await shop.call(getProduct, { params: { id }, as: customer })).toMatchObject({ status: 404 })
    expect(await shop.call(listProducts, { query: { ids: id } })).toMatchObject({ body: { items: [] } })
    expect(await shop.call(listProducts, { query: { q: 'vanishing' } })).toMatchObject({ body: { items: [] } })
    expect(
      await shop.call(changeStock, { params: { id }, body: { delta: 1, reason: 'x' }, as: manager }),
    ).toMatchObject({
      status: 404,
    })
    expect(await sentEvents(shop.database, id)).toMatchObject([
      { version: 1 },
      { version: 2, subject: productsEvents.productDeleted.subject, data: { deleted: true } },
    ])
  })

  test('frees its SKU for another product', async () => {
    const first = await create(shop)
    await remove(first.id, '*')
    const second = await create(shop, { sku: first.sku })
    expect(second.id).not.toBe(first.id)
    const [row] = await shop.database.query<{ deleted_by: string }>('select deleted_by from product where id = $1', [
      first.id,
    ])
    expect(row?.deleted_by).toBe(manager.userId)
  })
})

describe('entity tags', () => {
  test('a product that did not change is not sent again', async () => {
    const { id } = await create(shop)
    const read = (tag: string) =>
      shop.call(getProduct, { params: { id }, headers: { 'if-none-match': tag }, as: customer })
    expect(await read('"1.1"')).toMatchObject({ status: 304, body: '', headers: { etag: '"1.1"' } })
    expect(await read('W/"1.1"')).toMatchObject({ status: 304 })
    await shop.call(changeStock, { params: { id }, body: { delta: 1, reason: 'x' }, as: manager })
    expect(await read('"1.1"')).toMatchObject({ status: 200, headers: { etag: '"1.2"' } })
  })

  test('a list that did not change is not sent again', async () => {
    const { id } = await create(shop, { category: 'Tagged' })
    const read = (headers = {}) => shop.call(listProducts, { query: { category: 'Tagged' }, headers })
    const { etag } = (await read()).headers
    expect(await read({ 'if-none-match': etag })).toMatchObject({ status: 304, body: '' })
    await shop.call(changeStock, { params: { id }, body: { delta: 1, reason: 'x' }, as: manager })
    expect(await read({ 'if-none-match': etag })).toMatchObject({ status: 200, body: { items: [{ stock: 11 }] } })
  })

  test('an id is the same in capital letters', async () => {
    const { id } = await create(shop)
    expect(await shop.call(getProduct, { params: { id: id.toUpperCase() }, as: customer })).toMatchObject({
      status: 200,
      body: { id },
    })
  })
})

test('operators see what is behind, others do not', async () => {
  const { getLag, listDeadLetters } = operatorRoutes('products')
  expect(await shop.call(getLag, { as: { roles: ['admin'] } })).toMatchObject({
    status: 200,
    body: { consumers: [{ durable: 'products' }] },
  })
  expect(await shop.call(listDeadLetters, { as: { roles: ['admin'] } })).toMatchObject({
    status: 200,
    body: { items: [] },
  })
  expect(await shop.call(getLag, { as: manager })).toMatchObject({ status: 403 })
})

async function pricesOf(id: string) {
  return await shop.database.query<{ price_version: number; amount: number; changed_by: string }>(
    'select price_version::int, amount::int, changed_by from price_change where product_id = $1 order by price_version',
    [id],
  )
}
