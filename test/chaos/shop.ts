import {
  ordersRoutes,
  productsRoutes,
  type Order,
  type OrderStatus,
  type Product,
  type Route,
  type ServiceName,
} from '@saas/contracts'
import { Child, cloneDirectory, freePort } from '@saas/devstack'
import {
  cloneDatabase,
  eventually,
  internalTokenKey,
  signedIn,
  testBus,
  testPostgres,
  type TestBus,
  type TestDatabase,
  type TestPostgres,
} from '@saas/testing'
import { randomUUID } from 'node:crypto'
import { dirname, join } from 'node:path'

const ACKNOWLEDGED_WITHIN_MS = 30_000
const REQUEST_TIMEOUT_MS = 15_000

/** A service as a process of its own, which can be killed. */
export interface ServiceChild {
  readonly child: Child
  readonly url: string
}

/** The parts that can be killed. */
export type Victim = 'orders' | 'products' | 'NATS' | 'Postgres'

/** One customer's order and what became of it. */
export interface Wanted {
  readonly userId: string
  readonly key: string
  readonly lines: readonly { productId: string; quantity: number }[]
  readonly waitSeconds: number
}

/** The orders and products services as real processes, over a Postgres and a NATS of their own. */
export class Shop implements AsyncDisposable {
  readonly #resources: AsyncDisposableStack
  readonly #postgres: TestPostgres
  readonly #bus: TestBus
  readonly #services: Readonly<Record<'orders' | 'products', ServiceChild>>
  readonly ordersDatabase: TestDatabase
  readonly productsDatabase: TestDatabase
  /** Every status that an order was answered with, besides 201. */
  readonly refusals = new Set<number>()

  private constructor(parts: {
    resources: AsyncDisposableStack
    postgres: TestPostgres
    bus: TestBus
    orders: ServiceChild
    products: ServiceChild
    ordersDatabase: TestDatabase
    productsDatabase: TestDatabase
  }) {
    this.#resources = parts.resources
    this.#postgres = parts.postgres
    this.#bus = parts.bus
    this.#services = { orders: parts.orders, products: parts.products }
    this.ordersDatabase = parts.ordersDatabase
    this.productsDatabase = parts.productsDatabase
  }

  static async start(): Promise<Shop> {
    await using resources = new AsyncDisposableStack()
    const [postgres, bus] = [resources.use(await testPostgres()), resources.use(await testBus())]
    const from = { postgresUrl: postgres.adminUrl }
    const ordersDatabase = resources.use(await cloneDatabase('orders', from))
    const productsDatabase = resources.use(await cloneDatabase('products', from))
    const [orders, products] = await Promise.all([
      startChild('orders', ordersDatabase, bus),
      startChild('products', productsDatabase, bus),
    ])
    resources.use(orders.child)
    resources.use(products.child)
    return new Shop({ resources: resources.move(), postgres, bus, orders, products, ordersDatabase, productsDatabase })
  }

  /** Ends the part as a power cut would, and starts it again. */
  async killAndRestart(victim: Victim): Promise<void> {
    const child = {
      orders: this.#services.orders.child,
      products: this.#services.products.child,
      NATS: this.#bus.child,
      Postgres: this.#postgres.child,
    }[victim]
    await child.kill('SIGKILL')
    // Postgres refuses to start until the last orphan of the killed one is gone.
    await eventually(() => child.restart())
  }

  async sell(stock: number, amount: number): Promise<string> {
    const body = { sku: `SKU-${randomUUID()}`, name: 'Tea', price: { amount, currency: 'EUR' }, stock }
    const answer = await this.#send(productsRoutes.createProduct, '/product', { body, roles: ['manager'] })
    if (answer.status !== 201) throw new Error(`The product was answered with ${answer.status}`)
    const { id } = (await answer.json()) as Product
    const text = 'select 1 from product_copy where product_id = $1'
    await eventually(async () => (await this.ordersDatabase.query(text, [id])).length === 1)
    return id
  }

  /** Sends the order again and again under its key until it is acknowledged, as a customer with a bad line does. */
  async place({ userId, key, lines, waitSeconds }: Wanted): Promise<Order> {
    const headers = { 'idempotency-key': key, prefer: `wait=${waitSeconds}` }
    return await eventually(
      async () => {
        const answer = await this.#send(ordersRoutes.placeOrder, '/order', { userId, headers, body: { lines } })
        if (answer.status === 201) return (await answer.json()) as Order
        this.refusals.add(answer.status)
        return false
      },
      { timeoutMs: ACKNOWLEDGED_WITHIN_MS },
    )
  }

  async cancel(userId: string, id: string): Promise<OrderStatus | undefined> {
    return await eventually(
      async () => {
        const answer = await this.#send(ordersRoutes.cancelOrder, `/order/${id}/cancel`, { userId })
        if (answer.status === 200) return ((await answer.json()) as Order).status
        return answer.status === 409 ? undefined : false
      },
      { timeoutMs: ACKNOWLEDGED_WITHIN_MS },
    )
  }

  async #send(
    route: Route,
    path: string,
    parts: { userId?: string; roles?: string[]; headers?: Record<string, string>; body?: object },
  ): Promise<Response> {
    const { userId, roles, headers, body } = parts
    const caller = { ...(userId === undefined ? {} : { userId }), ...(roles === undefined ? {} : { roles }) }
    const { url } = this.#services[route.service === 'orders' ? 'orders' : 'products']
    return await fetch(`${url}${path}`, {
      method: route.method,
      headers: {
        ...signedIn(route, caller),
        ...headers,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync()
  }
}

async function startChild(
  service: Extract<ServiceName, 'orders' | 'products'>,
  database: TestDatabase,
  bus: TestBus,
): Promise<ServiceChild> {
  const [port, opsPort] = [await freePort(), await freePort()]
  const directory = join(cloneDirectory, 'services', service)
  const child = await Child.start({
    name: service,
    command: process.execPath,
    arguments: [join(directory, 'src/main.ts')],
    directory,
    logFile: join(dirname(bus.child.logFile), `${service}.log`),
    environment: {
      LISTEN_PORT: String(port),
      OPS_PORT: String(opsPort),
      PUBLIC_URL: 'http://localhost:8080',
      DATABASE_URL: database.url,
      MIGRATE_DATABASE_URL: database.migrateUrl,
      NATS_BROKER_URL: bus.urlFor(service),
      INTERNAL_TOKEN_KEY: Buffer.from(internalTokenKey(service)).toString('base64url'),
    },
    isReady: async (signal) => (await fetch(`http://127.0.0.1:${opsPort}/readyz`, { signal })).status === 200,
  })
  return { child, url: `http://127.0.0.1:${port}` }
}
