import { PICTURE_BYTES_MAX, productsEvents, productsRoutes, type Product } from '@saas/contracts'
import { eventually, signedIn, type TestService } from '@saas/testing'
import sharp, { type Sharp } from 'sharp'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { create, customer, manager, sentEvents, startShop } from './fixtures.ts'

const { deletePicture, deleteProduct, getProduct, putPicture } = productsRoutes

let shop: TestService
beforeAll(async () => {
  shop = await startShop()
})
afterAll(async () => {
  await shop[Symbol.asyncDispose]()
})

interface PictureAnswer {
  readonly status: number
  readonly body: Product & { readonly type?: string }
}

async function put(
  { id }: Pick<Product, 'id'>,
  n: number | string,
  picture: Buffer,
  { type = 'image/png', as = manager, ifMatch = '*' } = {},
): Promise<PictureAnswer> {
  const response = await shop.app.inject({
    method: 'PUT',
    url: `/product/${id}/pictures/${n}`,
    headers: { ...signedIn(putPicture, { ...as, now: shop.clock.now() }), 'content-type': type, 'if-match': ifMatch },
    payload: picture,
  })
  return { status: response.statusCode, body: response.json() }
}

const drawn = (width = 300, height = 200, background = '#c04080'): Sharp =>
  sharp({ create: { width, height, channels: 3, background } })
const png = async (width?: number, height?: number) => await drawn(width, height).png().toBuffer()
const read = async (path: string) => await shop.app.inject({ method: 'GET', url: path })
const remove = async ({ id }: Pick<Product, 'id'>, n: number) =>
  await shop.call(deletePicture, { params: { id, n }, as: manager })

describe('pictures of a product', () => {
  test('come back whole, as WebP in three sizes that are never larger than what came', async () => {
    const { body } = await put(await create(shop), 1, await drawn(3000, 1500).jpeg().toBuffer(), { type: 'image/jpeg' })
    const [picture, ...others] = body.pictures
    expect(others).toEqual([])
    expect(picture).toMatchObject({ n: 1, width: 1200, height: 600 })
    for (const [size, width, height] of [
      ['small', 160, 80],
      ['medium', 480, 240],
      ['large', 1200, 600],
    ] as const) {
      const response = await read(picture?.[size] ?? '')
      expect(response.headers).toMatchObject({
        'content-type': 'image/webp',
        'cache-control': 'public, max-age=31536000, immutable',
        'x-content-type-options': 'nosniff',
      })
      const found = await sharp(response.rawPayload).metadata()
      expect([found.format, found.width, found.height]).toEqual(['webp', width, height])
    }
    const small = await put(await create(shop), 1, await png(40, 20))
    expect(small.body.pictures).toMatchObject([{ width: 40, height: 20 }])
  })

  test('stand in the order of their places, and everybody sees them', async () => {
    const product = await create(shop)
    for (const n of [3, 1, 8]) expect((await put(product, n, await png())).status).toBe(200)
    const places = (body: Product) => body.pictures.map(({ n }) => n)
    const one = await shop.call(getProduct, { params: product, as: customer })
    expect(places(one.body as Product)).toEqual([1, 3, 8])
    const listed = await shop.call(productsRoutes.listProducts, { query: { ids: product.id } })
    expect(listed.body.items.map(places)).toEqual([[1, 3, 8]])
    expect(places((await remove(product, 1)).body as Product)).toEqual([3, 8])
  })

  test('are a new version of the product, which others hear of', async () => {
    const product = await create(shop)
    const put1 = await put(product, 1, await png())
    expect(put1.body.version).toBe(2)
    expect((await remove(product, 1)).body).toMatchObject({ version: 3, pictures: [] })
    // An empty place that is emptied again is nothing new.
    expect((await remove(product, 1)).body).toMatchObject({ version: 3, pictures: [] })
    const { subject } = productsEvents.productChanged
    expect((await sentEvents(shop.database, product.id)).slice(1)).toMatchObject([
      { subject, version: 2 },
      { subject, version: 3 },
    ])
  })

  test('are changed in no other version than the one that was asked for', async () => {
    const product = await create(shop)
    const params = { id: product.id, n: 1 }
    expect((await put(product, 1, await png(), { ifMatch: '"1.9"' })).body.version).toBe(2)
    const stored = await shop.objects.keys()
    const late = [
      await put(product, 1, await png(), { ifMatch: '"1.1"' }),
      await shop.call(deletePicture, { params, headers: { 'if-match': '"1.1", "3.1"' }, as: manager }),
    ]
    expect(late.map(({ status, body }) => [status, body.type])).toEqual([
      [412, expect.stringContaining('version-changed')],
      [412, expect.stringContaining('version-changed')],
    ])
    expect(await shop.objects.keys()).toEqual(stored)
    expect((await remove(product, 1)).body).toMatchObject({ version: 3, pictures: [] })
  })

  test('of many who fill all places at once, each has its own', async () => {
    const product = await create(shop)
    const picture = await png(10, 10)
    const answers = await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map((n) => put(product, n, picture)))
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    const { body } = await shop.call(getProduct, { params: product, as: customer })
    const { pictures } = body as Product
    expect(pictures.map(({ n }) => n)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    expect(new Set(pictures.map(({ small }) => small)).size).toBe(8)
  })

  test('are deleted from the store when another takes their place, and when the product goes', async () => {
    const product = await create(shop)
    const first = await put(product, 1, await png())
    const second = await put(product, 1, await png())
    expect(second.body.pictures[0]?.small).not.toBe(first.body.pictures[0]?.small)
    expect((await read(first.body.pictures[0]?.small ?? '')).statusCode).toBe(404)
    await shop.call(deleteProduct, { params: product, headers: { 'if-match': '*' }, as: manager })
    await eventually(async () => {
      shop.clock.advance(60_000)
      return (await read(second.body.pictures[0]?.small ?? '')).statusCode === 404
    })
    // What is deleted is forgotten after its last size.
    const left = 'select from picture_orphan where delete_from <= $1'
    await eventually(async () => expect(await shop.database.query(left, [shop.clock.now()])).toEqual([]))
  })

  test('are deleted later when that fails at once, and the new one stays', async () => {
    const product = await create(shop)
    const first = await put(product, 1, await png())
    const key = /^\/picture\/(.+)-small$/.exec(first.body.pictures[0]?.small ?? '')?.[1] ?? ''
    await shop.database.query(
      `create function refuse_deletion() returns trigger language plpgsql as $$ begin raise exception 'not now'; end $$;
       create trigger refuse_deletion before delete on picture_orphan for each row when (old.picture_key = '${key}')
         execute function refuse_deletion()`,
    )
    expect((await put(product, 1, await png())).status).toBe(200)
    const orphan = 'select from picture_orphan where picture_key = $1'
    expect(await shop.database.query(orphan, [key])).toHaveLength(1)
    await shop.database.query('drop trigger refuse_deletion on picture_orphan')
    await eventually(async () => {
      shop.clock.advance(60_000)
      return (await shop.database.query(orphan, [key])).length === 0
    })
  })

  test('of many who take one place at once, one stays and nothing else is kept', async () => {
    const product = await create(shop)
    const kept = (await shop.objects.keys()).length
    const picture = await png(30, 20)
    const answers = await Promise.all(Array.from({ length: 8 }, () => put(product, 1, picture)))
    expect(answers.map(({ status }) => status)).toEqual(Array<number>(8).fill(200))
    await eventually(async () => {
      shop.clock.advance(60_000)
      return (await shop.objects.keys()).length === kept + 3
    })
  })

  test('stay when the new one cannot be stored, and what was stored of it is collected', async () => {
    const product = await create(shop)
    const before = await put(product, 1, await png())
    const stored = (await shop.objects.keys()).length
    // The objects are stored, then the product cannot be written.
    await shop.database.query('alter table product rename column pictures to pictures_away')
    expect((await put(product, 1, await png())).status).toBe(500)
    await shop.database.query('alter table product rename column pictures_away to pictures')
    const { body } = await shop.call(getProduct, { params: product, as: customer })
    expect((body as Product).pictures).toEqual(before.body.pictures)
    // Until the upload has long ended: what is collected meanwhile is another.
    await shop.database.query(`insert into picture_orphan (picture_key, delete_from) values ('gone', $1)`, [
      new Date(0),
    ])
    await eventually(async () => {
      shop.clock.advance(60_000)
      return (await shop.database.query(`select from picture_orphan where picture_key = 'gone'`)).length === 0
    })
    expect(await shop.objects.keys()).toHaveLength(stored + 3)
    await eventually(async () => {
      shop.clock.advance(3_600_000)
      return (await shop.objects.keys()).length === stored
    })
    expect((await read(before.body.pictures[0]?.large ?? '')).statusCode).toBe(200)
  })
})

describe('bad input', () => {
  test.each([
    ['SVG', () => Promise.resolve(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'))],
    ['nothing', () => Promise.resolve(Buffer.alloc(0))],
    ['a PNG that ends early', async () => (await png(900, 900)).subarray(0, 200)],
    ['25 million pixels', () => png(5_000, 5_000)],
  ])('a picture that is %s is refused, and nothing changes', async (_, make) => {
    const product = await create(shop)
    const answer = await put(product, 1, await make())
    expect([answer.status, answer.body.type]).toEqual([422, '/problems/image-not-accepted'])
    const { body } = await shop.call(getProduct, { params: product, as: customer })
    expect(body).toMatchObject({ version: 1, pictures: [] })
  })

  test('a picture that is too large, of another media type, for a place or a product that is not there is refused', async () => {
    const product = await create(shop)
    const picture = await png()
    expect((await put(product, 1, Buffer.alloc(PICTURE_BYTES_MAX + 1, 1))).status).toBe(413)
    expect((await put(product, 1, picture, { type: 'image/svg+xml' })).status).toBe(415)
    for (const n of [0, 9, -1, 1.5, 'x']) expect((await put(product, n, picture)).status).toBe(400)
    expect((await put({ id: uuidv7() }, 1, picture)).status).toBe(404)
    expect((await remove({ id: uuidv7() }, 1)).status).toBe(404)
    await shop.call(deleteProduct, { params: product, headers: { 'if-match': '*' }, as: manager })
    expect((await put(product, 1, picture)).status).toBe(404)
  })

  test('only managers set and remove pictures', async () => {
    const product = await create(shop)
    expect((await put(product, 1, await png(), { as: customer })).status).toBe(403)
    expect((await shop.call(deletePicture, { params: { id: product.id, n: 1 }, as: customer })).status).toBe(403)
  })

  test('a key that was never given out is not found', async () => {
    expect((await read(`/picture/${'A'.repeat(22)}-small`)).statusCode).toBe(404)
    expect((await read('/picture/..%2Favatar%2Fx')).statusCode).toBe(400)
  })
})
