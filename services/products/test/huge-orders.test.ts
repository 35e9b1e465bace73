import { LINES_MAX, productsRoutes } from '@saas/contracts'
import { v7 as uuidv7 } from 'uuid'
import { expect, test } from 'vitest'
import { create, manager, OrdersSide, startShop } from './fixtures.ts'

const ORDERS = 300

test('hundreds of orders of a hundred lines keep no manager from changing the stock', async () => {
  await using shop = await startShop()
  await using orders = await OrdersSide.start(shop)
  const products = await Promise.all(Array.from({ length: LINES_MAX }, () => create(shop, { stock: 10_000 })))
  const lines = products.map(({ id }) => ({ productId: id }))
  const isDecided = async (): Promise<boolean> => {
    const [row] = await shop.database.query<{ count: string }>('select count(*) from reservation')
    return Number(row?.count) === ORDERS
  }
  await orders.place(...Array.from({ length: ORDERS }, () => ({ orderId: uuidv7(), lines })))
  const statuses: number[] = []
  while (!(await isDecided())) {
    const params = { id: products[statuses.length % LINES_MAX]?.id ?? '' }
    const body = { delta: 1, reason: 'counted' }
    statuses.push((await shop.call(productsRoutes.changeStock, { params, body, as: manager })).status)
  }
  expect(new Set(statuses)).toEqual(new Set([200]))
})
