import { productsRoutes, STOCK_MAX } from '@saas/contracts'
import type { TestService } from '@saas/testing'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { create, manager, movementsOf, startShop, stockOf, stockViolations } from './fixtures.ts'

const { changeStock } = productsRoutes

let shop: TestService
beforeAll(async () => {
  shop = await startShop()
})
afterAll(async () => {
  await shop[Symbol.asyncDispose]()
})

describe('correcting the stock', () => {
  const change = (id: string, delta: number, reason = 'delivery') =>
    shop.call(changeStock, { params: { id }, body: { delta, reason }, as: manager })

  test('is recorded with reason and who', async () => {
    const { id } = await create(shop, { stock: 3 })
    expect(await change(id, 4)).toMatchObject({
      status: 200,
      body: { stock: 7, version: 1 },
      headers: { etag: '"1.2"' },
    })
    expect(await change(id, -7, 'water damage')).toMatchObject({ status: 200, body: { stock: 0 } })
    expect((await movementsOf(shop.database, id)).slice(1)).toEqual([
      {
        kind: 'change',
        delta: 4,
        available_after: 7,
        reason: 'delivery',
        changed_by: manager.userId,
        source: changeStock.id,
      },
      {
        kind: 'change',
        delta: -7,
        available_after: 0,
        reason: 'water damage',
        changed_by: manager.userId,
        source: changeStock.id,
      },
    ])
  })

  test('never makes it negative or larger than the limit', async () => {
    const { id } = await create(shop, { stock: 3 })
    expect(await change(id, -4)).toMatchObject({
      status: 409,
      body: { type: expect.stringContaining('stock-too-low') },
    })
    expect(await change(id, STOCK_MAX)).toMatchObject({ status: 400, body: { errors: [{ pointer: '/delta' }] } })
    expect(await stockOf(shop, { id })).toBe(3)
    expect(await movementsOf(shop.database, id)).toHaveLength(1)
  })

  test('needs a reason that can be read', async () => {
    const { id } = await create(shop, { stock: 3 })
    for (const reason of ['', ' \u200b', 'two\nlines']) {
      expect(await change(id, 1, reason)).toMatchObject({ status: 400, body: { errors: [{ pointer: '/reason' }] } })
    }
    expect(await stockOf(shop, { id })).toBe(3)
  })

  test('is made in no other version than the one that was asked for', async () => {
    const { id } = await create(shop, { stock: 3 })
    const changeIn = (version: string, key?: string) =>
      shop.call(changeStock, {
        params: { id },
        body: { delta: 1, reason: 'delivery' },
        headers: { 'if-match': version, ...(key === undefined ? {} : { 'idempotency-key': key }) },
        as: manager,
      })
    expect(await changeIn('"2.1"', 'matched')).toMatchObject({
      status: 412,
      body: { type: expect.stringContaining('version-changed') },
    })
    expect(await changeIn('"1.7"', 'matched')).toMatchObject({ status: 200, body: { stock: 4 } })
    expect(await changeIn('"2.1"', 'matched')).toMatchObject({ status: 200, body: { stock: 4 } })
  })

  test('of many who take the last units at once, none takes what is not there', async () => {
    const { id } = await create(shop, { stock: 10 })
    const answers = await Promise.all(Array.from({ length: 25 }, () => change(id, -1, 'sold by phone')))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(10)
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(15)
    expect(await stockOf(shop, { id })).toBe(0)
    expect(await stockViolations(shop.database)).toEqual([])
  })

  test('sent again under its key is made once, also when the stock would not allow it twice', async () => {
    const { id } = await create(shop, { stock: 5 })
    const keyed = (delta: number, key = 'a-key', as = manager) =>
      shop.call(changeStock, {
        params: { id },
        body: { delta, reason: 'breakage' },
        headers: { 'idempotency-key': key },
        as,
      })
    const answers = await Promise.all(Array.from({ length: 5 }, () => keyed(-4)))
    expect(answers.map(({ status, body }) => [status, body.stock])).toEqual(answers.map(() => [200, 1]))
    expect(answers.filter(({ headers }) => headers['idempotency-replayed'] === 'true')).toHaveLength(4)
    expect(await keyed(-3)).toMatchObject({
      status: 422,
      body: { type: expect.stringContaining('idempotency-key-reused') },
    })
    expect(await keyed(-4, 'another')).toMatchObject({ status: 409 })
    expect(await keyed(1, 'a-key', { ...manager, userId: uuidv7() })).toMatchObject({ status: 200, body: { stock: 2 } })
    expect(await keyed(1, 'with space')).toMatchObject({ status: 400 })
    expect(await stockViolations(shop.database)).toEqual([])
  })

  test.each([
    ['no change at all', { delta: 0, reason: 'x' }, '/delta'],
    ['half a piece', { delta: 0.5, reason: 'x' }, '/delta'],
    ['no reason', { delta: 1 }, '/reason'],
    ['an empty reason', { delta: 1, reason: '' }, '/reason'],
    ['more than there can be', { delta: STOCK_MAX + 1, reason: 'x' }, '/delta'],
  ])('%s is refused', async (_, body, pointer) => {
    const { id } = await create(shop)
    const refused = await shop.call(changeStock, { params: { id }, body: body as never, as: manager })
    expect(refused).toMatchObject({ status: 400, body: { errors: [{ pointer }] } })
    expect(await movementsOf(shop.database, id)).toHaveLength(1)
  })

  test('the database refuses a stock, and a price, that no row explains', async () => {
    const { id } = await create(shop)
    const sneak = (change: string) => shop.database.query(`update product set ${change} where id = $1`, [id])
    await expect(sneak('available = available + 1')).rejects.toThrow('changed without its movement')
    await expect(sneak('available = available + 1, stock_version = stock_version + 1')).rejects.toThrow(
      'changed without its movement',
    )
    await expect(sneak('price_amount = 1')).rejects.toThrow('changed without its record')
    await expect(sneak('available = -1')).rejects.toThrow('product_available_not_negative')
  })

  test('what was recorded can be neither changed nor deleted', async () => {
    const { id } = await create(shop)
    for (const statement of [
      `update stock_movement set reason = 'other' where product_id = $1`,
      'delete from stock_movement where product_id = $1',
      'update price_change set amount = 1 where product_id = $1',
      'delete from price_change where product_id = $1',
    ]) {
      await expect(shop.database.query(statement, [id])).rejects.toThrow('append-only')
    }
    await expect(shop.database.query('truncate stock_movement, price_change')).rejects.toThrow('append-only')
  })
})
