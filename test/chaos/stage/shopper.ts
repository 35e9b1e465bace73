import { ordersRoutes, productsRoutes, type Order, type Product, type Role, type Route } from '@saas/contracts'
import { eventually, signedIn } from '@saas/testing'
import { randomUUID } from 'node:crypto'
import type { Ledger } from '../checkers/index.ts'
import type { Customer } from './customer.ts'
import type { Stack } from './stack.ts'

const REQUEST_TIMEOUT_MS = 15_000
const ANSWERED_WITHIN_MS = 60_000

interface Request {
  readonly route: Route
  readonly path: string
  readonly body?: object
  readonly headers?: Readonly<Record<string, string>>
}

export interface Response<T = unknown> {
  /** 0: no answer. */
  readonly status: number
  readonly location?: string | undefined
  readonly body: T
}

/** How requests of one person reach the services. */
export type Send = <T>(request: Request) => Promise<Response<T>>

/** Past the edge, to any replica of the service, as the edge would after it asked auth. */
export function direct(stack: Stack, userId: string, roles: readonly Role[] = ['customer']): Send {
  return async <T>({ route, path, body, headers }: Request) => {
    const replicas = stack.replicas(route.service as 'orders' | 'products')
    const { url } = replicas[Math.floor(Math.random() * replicas.length)] ?? { url: '' }
    try {
      const response = await fetch(url + path, {
        method: route.method,
        headers: {
          ...signedIn(route, { userId, roles: [...roles] }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        body: body === undefined ? null : JSON.stringify(body),
        signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      })
      const location = response.headers.get('location') ?? undefined
      return { status: response.status, location, body: (await response.json()) as T }
    } catch {
      return { status: 0, body: undefined as T }
    }
  }
}

/** Through the edge, signed in; a sign-in that grew old is renewed. */
export function throughEdge(customer: Customer): Send {
  return async <T>({ route, path, body, headers }: Request) =>
    await customer.renewing<T>(route.method, path, body, headers)
}

/** A line of an order. */
export interface Line {
  readonly productId: string
  readonly quantity: number
}

/** Somebody who shops, or manages a shop, and writes down what they asked for and were told. */
export class Shopper {
  readonly userId: string
  readonly #send: Send
  readonly #ledger: Ledger

  constructor(userId: string, send: Send, ledger: Ledger) {
    this.userId = userId
    this.#send = send
    this.#ledger = ledger
  }

  /** Puts a product on sale, under a SKU that tells a second attempt from a second product. */
  async sell(stock: number, amount: number): Promise<string> {
    const sku = `SKU-${randomUUID()}`
    const body = { sku, name: 'Tea', price: { amount, currency: 'EUR' }, stock }
    const id = await this.#until(async () => {
      const { status, body: made } = await this.#send<Product>({
        route: productsRoutes.createProduct,
        path: '/product',
        body,
      })
      // A lost answer leaves the SKU taken: by us, then.
      if (status === 409) return await this.#findBySku(sku)
      return status === 201 ? made.id : false
    })
    this.#ledger.products.push({ id, stock })
    return id
  }

  async #findBySku(sku: string): Promise<string | false> {
    const path = `/product?q=${encodeURIComponent(sku)}`
    const { body } = await this.#send<{ items: Product[] }>({ route: productsRoutes.listProducts, path })
    return body?.items.find((product) => product.sku === sku)?.id ?? false
  }

  async changeStock(productId: string, delta: number): Promise<void> {
    const key = randomUUID()
    await this.#until(async () => {
      const { status } = await this.#send({
        route: productsRoutes.changeStock,
        path: `/product/${productId}/stock`,
        body: { delta, reason: 'counted' },
        headers: { 'idempotency-key': key },
      })
      this.#ledger.stockChanges.push({ key, productId, delta, status })
      return isFinal(status)
    })
  }

  /** One attempt to order; with lines under a key, without them the cart. */
  async tryToPlace(
    key: string | undefined,
    lines: readonly Line[] | undefined,
    waitSeconds = 0,
  ): Promise<Response<Order>> {
    const response = await this.#send<Order>({
      route: ordersRoutes.placeOrder,
      path: '/order',
      body: lines === undefined ? {} : { lines },
      headers: { prefer: `wait=${waitSeconds}`, ...(key === undefined ? {} : { 'idempotency-key': key }) },
    })
    const { status, location, body } = response
    this.#ledger.placed.push({ userId: this.userId, key, status, location, ...(status === 201 ? { order: body } : {}) })
    return response
  }

  /** Orders under a key until the answer is final; undefined when it is a refusal. */
  async place(
    lines: readonly Line[] | undefined,
    key: string = randomUUID(),
    waitSeconds = 0,
  ): Promise<Order | undefined> {
    return await this.#until(async () => {
      const { status, body } = await this.tryToPlace(key, lines, waitSeconds)
      return status === 201 ? body : isFinal(status) && undefined
    })
  }

  /** Fills the cart with one product; that is one order it may become. */
  async fillCart(productId: string, quantity: number): Promise<void> {
    const path = `/cart/${productId}`
    this.#ledger.cartFills.set(this.userId, (this.#ledger.cartFills.get(this.userId) ?? 0) + 1)
    await this.#until(async () => {
      const { status } = await this.#send({ route: ordersRoutes.putCartItem, path, body: { quantity } })
      return isFinal(status)
    })
  }

  /** Cancels until it is known what became of it; a rejected order stays rejected. */
  async cancel(orderId: string): Promise<void> {
    const status = await this.#until(async () => {
      const { status } = await this.#send({ route: ordersRoutes.cancelOrder, path: `/order/${orderId}/cancel` })
      return isFinal(status) && status
    })
    if (status === 200) this.#ledger.cancelled.push(orderId)
  }

  async #until<T>(attempt: () => Promise<T>): Promise<Exclude<T, false>> {
    return await eventually(attempt, { timeoutMs: ANSWERED_WITHIN_MS })
  }
}

/** Another attempt would be answered the same; 401 and 403 come of our own tokens that grew old, and are told apart by the edge's tests. */
function isFinal(status: number): boolean {
  return status >= 200 && status < 500 && ![401, 408, 429].includes(status)
}
