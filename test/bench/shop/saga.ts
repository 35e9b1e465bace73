import { sendLoad, type LoadJob } from '../frame/load.ts'
import type { Stage, StageService } from '../frame/stage.ts'
import { sellProducts } from './products.ts'
import { until } from './until.ts'
import type { PlacingOptions } from './requests.ts'

const PRODUCTS = 100
const STOCK = 100_000_000
const USERS = 1_000
const SETTLING_PATIENCE_MS = 180_000

/** Orders and products as production runs them, with products on sale that nothing exhausts. */
export interface Shop {
  readonly orders: StageService
  readonly products: StageService
  readonly productIds: readonly string[]
}

export async function openShop(stage: Stage): Promise<Shop> {
  const products = await stage.startService('products')
  const orders = await stage.startService('orders')
  const productIds = await sellProducts(stage, products, { count: PRODUCTS, stock: STOCK, isOrdersThere: true })
  return { orders, products, productIds }
}

/** What the load generator is told to place orders with. `waitSeconds` is what each is ready to wait for its decision. */
export function placingJob(
  stage: Stage,
  options: {
    readonly url: string
    readonly productIds: readonly string[]
    readonly connections: number
    readonly requests: number
    readonly seconds?: number
    readonly waitSeconds?: number
    readonly users?: number
  },
): LoadJob {
  const { url, productIds, connections, requests, seconds, waitSeconds = 0, users = USERS } = options
  const placing: PlacingOptions = { key: stage.signingKey('orders'), productIds, quantity: 1, users, waitSeconds }
  return {
    url,
    connections,
    requests,
    ...(seconds === undefined ? {} : { seconds }),
    source: { module: new URL('requests.ts', import.meta.url).href, name: 'placing', options: placing },
  }
}

/** An order takes a program twice the CPU until it has placed so many [measured of 15,000 each: 243 µs, 148, 120, with the compiler's]. */
const WARM_ORDERS = 30_000

/** Lets programs that have just started do what is measured later until they are as fast as they will be. */
export async function warmUp(stage: Stage, { orders: { url }, productIds }: Shop): Promise<void> {
  await sendLoad(placingJob(stage, { url, productIds, connections: 128, requests: WARM_ORDERS }), stage.processes)
  await settle(stage)
}

/** Orders by their status. */
export async function countByStatus(stage: Stage): Promise<Record<string, number>> {
  const rows = await stage.query<{ status: string; count: string }>(
    'orders',
    'select status, count(*) from orders group by status',
  )
  return Object.fromEntries(rows.map(({ status, count }) => [status, Number(count)]))
}

/** Waits until every order is decided and every event of it is on the stream. */
export async function settle(stage: Stage): Promise<void> {
  await until(
    'every order is decided',
    async () => (await isThere(stage, "orders where status = 'pending'")) === 0,
    SETTLING_PATIENCE_MS,
  )
  await until('every event is published', async () => (await isThere(stage, 'outbox where published_at is null')) === 0)
}

async function isThere(stage: Stage, what: string): Promise<number> {
  const [row] = await stage.query<{ count: string }>(
    'orders',
    `select count(*) from (select from ${what} limit 1) as found`,
  )
  return Number(row?.count)
}
