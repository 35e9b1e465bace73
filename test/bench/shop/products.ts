import { productsRoutes, type Product } from '@saas/contracts'
import { v7 as uuidv7 } from 'uuid'
import type { Stage, StageService } from '../frame/stage.ts'
import { until } from './until.ts'

/** Creates products through the API and waits until orders knows them, when it is there to know them. */
export async function sellProducts(
  stage: Stage,
  products: StageService,
  options: {
    readonly count: number
    readonly stock: number
    readonly isOrdersThere: boolean
    /** Number of the first SKU. */
    readonly from?: number
  },
): Promise<string[]> {
  const { count, stock, isOrdersThere, from = 0 } = options
  const ids: string[] = []
  for (let n = 0; n < count; n += 1) {
    const answer = await fetch(`${products.url}${productsRoutes.createProduct.path}`, {
      method: 'POST',
      headers: {
        ...stage.signedIn(productsRoutes.createProduct, { userId: uuidv7(), roles: ['manager'] }),
        'content-type': 'application/json',
      },
      body: JSON.stringify({
        sku: `SKU-${String(from + n).padStart(4, '0')}`,
        name: 'A tin of green tea',
        description: 'Picked by hand, dried slowly, and sold by weight.',
        price: { amount: 2_100, currency: 'EUR' },
        stock,
        category: 'tea',
        tags: ['green', 'loose'],
        attributes: { origin: 'Uji', weight: '100 g' },
      }),
    })
    if (answer.status !== 201) throw new Error(`A product was refused: ${await answer.text()}`)
    ids.push(((await answer.json()) as Product).id)
  }
  if (isOrdersThere) {
    await until('orders knows the products', async () => {
      const known = await stage.query('orders', 'select from product_copy where product_id = any($1)', [ids])
      return known.length === count
    })
  }
  return ids
}
