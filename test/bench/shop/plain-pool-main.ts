import { ordersRoutes, productsRoutes } from '@saas/contracts'
import { createApp, listen, registerRoutes, runService, type RunningService, type ServiceContext } from '@saas/http'
import {
  State,
  type CoalescedReadOptions,
  type CoalescedWriteOptions,
  type Database,
  type Statement,
} from '@saas/state'
import { Pool, types } from 'pg'
import { ordersVariables, type OrdersConfig } from '../../../services/orders/src/config.ts'
import { Orders } from '../../../services/orders/src/orders.ts'
import { Products } from '../../../services/products/src/products.ts'

/** Twice what `pg` takes unless it is told otherwise. */
const CONNECTIONS_MAX = 20

/**
 * A database as most services have it: each call takes a connection of a pool and waits for its own answer. Everything else is the
 * product's own code, so that a comparison shows what sharing statements brings and nothing besides.
 */
class PlainPool {
  readonly #pool: Pool

  constructor(url: string) {
    this.#pool = new Pool({ connectionString: url, max: CONNECTIONS_MAX })
  }

  async read<Row>({ name, text }: Statement<Row>, values: readonly unknown[] = []): Promise<Row[]> {
    return (await this.#pool.query({ name, text, values: [...values] })).rows as Row[]
  }

  async write<Row>(statement: Statement<Row>, values: readonly unknown[] = []): Promise<Row[]> {
    return await this.read(statement, values)
  }

  coalescedRead<Row>({ statement }: CoalescedReadOptions<Row>) {
    return { load: async (key: string) => (await this.read(statement, [[key]]))[0] }
  }

  coalescedWrite<Call, Row extends { n: number }>({ statement, toRow }: CoalescedWriteOptions<Call, Row>) {
    return {
      call: async (call: Call) => (await this.write(statement, [JSON.stringify([{ n: 0, ...toRow(call) }])]))[0],
    }
  }

  async check(): Promise<void> {
    await this.#pool.query('select 1')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.end()
  }
}

/** Serves one route of the service that its environment is for: `POST /order` or `GET /product/{id}`. */
async function start(config: OrdersConfig, { logger, clock }: ServiceContext): Promise<RunningService> {
  types.setTypeParser(types.builtins.INT8, Number)
  await using resources = new AsyncDisposableStack()
  const pool = resources.use(new PlainPool(config.databaseUrl))
  const database = pool as unknown as Database
  const isOrders = new URL(config.databaseUrl).pathname === '/orders'
  // Its orders are published as soon as ours, so that what follows an order works beside the next one in both.
  const { bus } = resources.use(State.connect(config, { service: isOrders ? 'orders' : 'products', logger, clock }))
  if (isOrders) bus.startRelay()
  const common = {
    logger,
    clock,
    internalTokenKeys: config.internalTokenKeys,
    checks: { database: () => pool.check() },
  }
  const routes = isOrders ? { placeOrder: ordersRoutes.placeOrder } : { getProduct: productsRoutes.getProduct }
  const app = createApp({ ...common, service: isOrders ? 'orders' : 'products', routes })
  if (isOrders) {
    const orders = new Orders({ database, bus, clock })
    registerRoutes(
      app,
      { placeOrder: ordersRoutes.placeOrder },
      {
        placeOrder: async ({ identity: { userId }, headers, body: { lines }, traceParent }) => {
          const { order } = await orders.place({ userId, key: headers['idempotency-key'], lines, traceParent })
          return { status: 201, body: order, headers: { location: `/order/${order.id}` } }
        },
      },
    )
  } else {
    const products = new Products({ database, bus, clock })
    registerRoutes(
      app,
      { getProduct: productsRoutes.getProduct },
      {
        getProduct: async ({ params }) => {
          const { product, etag } = await products.getProduct(params.id)
          return { status: 200, body: product, headers: { etag } }
        },
      },
    )
  }
  return await listen(app, config, resources)
}

await runService({ name: 'orders', variables: ordersVariables, start })
