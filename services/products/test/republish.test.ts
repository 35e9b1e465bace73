import { productsEvents, productsRoutes } from '@saas/contracts'
import { Database } from '@saas/state'
import { eventually, signedIn, testLog, type TestService } from '@saas/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { republishProducts } from '../src/republication.ts'
import { create, manager, newProduct, sentEvents, startShop } from './fixtures.ts'

let shop: TestService
beforeAll(async () => {
  shop = await startShop()
})
afterAll(async () => {
  await shop[Symbol.asyncDispose]()
})

test('every product is told again as it is now, under the version it has, and the relay sends it', async () => {
  const [kept, changed, deleted] = [await create(shop), await create(shop), await create(shop)]
  const headers = { 'if-match': '*' }
  const { stock: _, ...said } = newProduct({ sku: changed.sku, name: 'Black tea' })
  await shop.call(productsRoutes.replaceProduct, { params: changed, headers, body: said, as: manager })
  await shop.call(productsRoutes.deleteProduct, { params: deleted, headers, as: manager })
  // More than one statement takes.
  const lines = Array.from({ length: 1_100 }, () => JSON.stringify(newProduct())).join('\n')
  const imported = await shop.app.inject({
    method: 'POST',
    url: '/product/import',
    headers: {
      ...signedIn(productsRoutes.importProducts, { ...manager, now: shop.clock.now() }),
      'content-type': 'application/x-ndjson',
    },
    payload: lines,
  })
  expect(imported.json()).toMatchObject({ created: 1_100 })

  const { logger } = testLog('products')
  await using database = new Database({ url: shop.database.url, service: 'products', timeoutMs: 5_000, logger })
  expect(await republishProducts(database)).toBe(1_103)
  const { productChanged, productDeleted } = productsEvents
  for (const [{ id }, subject, version] of [
    [kept, productChanged.subject, 1],
    [changed, productChanged.subject, 2],
    [deleted, productDeleted.subject, 2],
  ] as const) {
    const events = await sentEvents(shop.database, id)
    const [before, again] = events.filter((event) => event.version === version)
    expect(again).toMatchObject({ subject, version, data: before?.data })
  }
  await eventually(
    async () => (await shop.database.query('select from outbox where published_at is null limit 1')).length === 0,
  )
})
