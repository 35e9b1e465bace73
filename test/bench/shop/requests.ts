import { ordersRoutes, productsRoutes } from '@saas/contracts'
import { v4 as uuidv4 } from 'uuid'
import type { RequestSource } from '../frame/load.ts'
import { signedHeaders, type SigningKey } from '../frame/stage.ts'

export interface PlacingOptions {
  readonly key: SigningKey
  /** Orders name these in turn. */
  readonly productIds: readonly string[]
  readonly quantity: number
  /** How many customers there are; each order is the next one's. */
  readonly users: number
  /** How many seconds an answer may wait for the decision. */
  readonly waitSeconds: number
}

/** `POST /order` of one line, each under its own idempotency key. */
export const placing: RequestSource<PlacingOptions> = ({ key, productIds, quantity, users, waitSeconds }) => {
  const customers = Array.from({ length: users }, () =>
    signedHeaders(key, ordersRoutes.placeOrder.id, { userId: uuidv4() }),
  )
  return (n) => ({
    method: 'POST',
    path: ordersRoutes.placeOrder.path,
    headers: {
      ...customers[n % users],
      'content-type': 'application/json',
      'idempotency-key': uuidv4(),
      prefer: `wait=${waitSeconds}`,
    },
    body: JSON.stringify({ lines: [{ productId: productIds[n % productIds.length], quantity }] }),
  })
}

export interface ReadingOptions {
  readonly key: SigningKey
  readonly productIds: readonly string[]
}

/** `GET /product/{id}` of a signed-in customer, one product after another. */
export const reading: RequestSource<ReadingOptions> = ({ key, productIds }) => {
  const headers = signedHeaders(key, productsRoutes.getProduct.id, { userId: uuidv4() })
  return (n) => ({ method: 'GET', path: `/product/${productIds[n % productIds.length]}`, headers })
}

export interface GettingOptions {
  /** `{n}` becomes a number below `numbers`, another one each time. */
  readonly path: string
  readonly numbers?: number
  readonly headers?: Readonly<Record<string, string>>
  /** Who asks, and which route; left out, nobody is signed in. */
  readonly signed?: { readonly key: SigningKey; readonly routeId: string; readonly userId: string }
}

/** A prime: the numbers are spread over all there are. */
const STEP = 7_919

/** `GET` of one path. */
export const getting: RequestSource<GettingOptions> = ({ path, numbers = 1, headers = {}, signed }) => {
  const token = signed === undefined ? {} : signedHeaders(signed.key, signed.routeId, { userId: signed.userId })
  return (n) => ({
    method: 'GET',
    path: path.replace('{n}', String((n * STEP) % numbers)),
    headers: { ...headers, ...token },
  })
}
