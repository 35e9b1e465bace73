import {
  authEvents,
  productsEvents,
  type DataOf,
  type Event,
  type FieldError,
  type Order,
  type ProblemBody,
  type Route,
  type refusalReasons,
} from '@saas/contracts'
import { Database, sql, State } from '@saas/state'
import {
  cloneDatabase,
  eventually,
  startService,
  testConfig,
  type CallAnswer,
  type TestDatabase,
  type TestService,
} from '@saas/testing'
import { createHash } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'
import { startOrders } from '../src/main.ts'

interface Answer<Body> {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Body
  /** The name of the problem that was answered. */
  readonly problem: string | undefined
  readonly errors: readonly FieldError[] | undefined
}

/** Anything may be sent, as anything may come. */
interface CallParts {
  readonly userId: string
  readonly roles?: readonly string[]
  readonly params?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string>>
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

type ProductState = DataOf<typeof productsEvents.productCreated>

/** What the products service would say, through an outbox, a relay and a stream that are real. */
class ProductsVoice implements AsyncDisposable {
  readonly #state: State
  readonly #database: TestDatabase
  readonly #orders: TestService
  readonly #products = new Map<string, { state: ProductState; version: number }>()

  constructor(state: State, database: TestDatabase, orders: TestService) {
    this.#state = state
    this.#database = database
    this.#orders = orders
    state.bus.startRelay()
  }

  static async start(orders: TestService): Promise<ProductsVoice> {
    const database = await cloneDatabase('products', { migrations: null })
    const config = testConfig('products', { database, bus: orders.bus, objects: orders.objects })
    const { logger } = orders.log
    return new ProductsVoice(
      State.connect(config, { service: 'products', logger, clock: orders.clock }),
      database,
      orders,
    )
  }

  async say<E extends Event>(event: E, aggregateId: string, version: number, data: DataOf<E>): Promise<void> {
    await this.sayAll(event, [{ aggregateId, version, data }])
  }

  async sayAll<E extends Event>(
    event: E,
    all: readonly { aggregateId: string; version: number; data: DataOf<E> }[],
  ): Promise<void> {
    await this.#database.query(
      `insert into outbox (id, aggregate_type, aggregate_id, aggregate_version, subject, data)
       select uuidv7(), $1, "aggregateId", version, $2, data
       from jsonb_to_recordset($3) as said ("aggregateId" text, version bigint, data jsonb)`,
      [event.aggregate, event.subject, JSON.stringify(all)],
    )
    this.#state.bus.nudge()
  }

  /** Puts a product into the catalogue and returns its id once orders knows it. */
  async sell(given: { sku?: string; name?: string; amount?: number; currency?: string }): Promise<string> {
    const productId = uuidv7()
    const { sku = `SKU-${productId.slice(-12)}`, name = 'A product', amount = 100, currency = 'EUR' } = given
    const price = { amount, currency }
    const state = { productId, sku, name, price, priceVersion: 1, category: null, deleted: false }
    this.#products.set(productId, { state, version: 1 })
    await this.say(productsEvents.productCreated, productId, 1, state)
    await this.#known(productId)
    return productId
  }

  async change(productId: string, given: { name?: string; amount?: number }): Promise<void> {
    const { state } = this.#product(productId)
    const { name = state.name, amount = state.price.amount } = given
    const priceVersion = state.priceVersion + (amount === state.price.amount ? 0 : 1)
    await this.#next(productsEvents.productChanged, { ...state, name, price: { ...state.price, amount }, priceVersion })
  }

  async remove(productId: string): Promise<void> {
    await this.#next(productsEvents.productDeleted, { ...this.#product(productId).state, deleted: true })
  }

  async reserve({ id, lines }: Order): Promise<void> {
    await this.say(productsEvents.stockReserved, id, 1, {
      orderId: id,
      lines: lines.map(({ productId, quantity }) => ({ productId, quantity })),
    })
  }

  async refuse({ id, lines }: Order, reason: (typeof refusalReasons)[number]): Promise<void> {
    const productIds = lines.map(({ productId }) => productId)
    await this.say(productsEvents.stockRefused, id, 1, { orderId: id, reason, productIds })
  }

  /** Resolves when everything that was said has been applied, whatever it did. */
  async heard(): Promise<void> {
    await eventually(async () => {
      const said = await this.#database.query<{ id: string }>('select id from outbox')
      const applied = await this.#orders.database.query<{ message_id: string }>('select message_id from inbox')
      const known = new Set(applied.map(({ message_id }) => message_id))
      return said.every(({ id }) => known.has(id))
    })
  }

  #product(productId: string): { state: ProductState; version: number } {
    const product = this.#products.get(productId)
    if (product === undefined) throw new Error(`There is no product ${productId}`)
    return product
  }

  async #next(event: Event, state: ProductState): Promise<void> {
    const version = this.#product(state.productId).version + 1
    this.#products.set(state.productId, { state, version })
    await this.say(event, state.productId, version, state)
    await this.#known(state.productId)
  }

  async #known(productId: string): Promise<void> {
    const { version } = this.#product(productId)
    await eventually(async () => {
      const text = 'select 1 from product_copy where product_id = $1 and version = $2'
      return (await this.#orders.database.query(text, [productId, version])).length === 1
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#state[Symbol.asyncDispose]()
    await this.#database[Symbol.asyncDispose]()
  }
}

/** Says what auth says when a session of a user was revoked, or all (null). Resolves when the stream has it. */
export async function sayRevoked(orders: TestOrders, userId: string, sessionId: string | null): Promise<void> {
  await sayAsAuth(orders, authEvents.sessionRevoked, { userId, sessionId })
}

/** Says something as auth would about a user. Resolves when the stream has it. */
export async function sayAsAuth<E extends Event>(
  { service }: TestOrders,
  event: E,
  data: DataOf<E> & { readonly userId: string },
): Promise<void> {
  await using database = await cloneDatabase('auth', { migrations: null })
  const config = testConfig('auth', { database, bus: service.bus, objects: service.objects })
  await using state = State.connect(config, { service: 'auth', logger: service.log.logger, clock: service.clock })
  const { aggregate, subject } = event
  await database.query(
    `insert into outbox (id, aggregate_type, aggregate_id, aggregate_version, subject, data)
     values (uuidv7(), $1, $2, 1, $3, $4)`,
    [aggregate, data.userId, subject, JSON.stringify(data)],
  )
  state.bus.startRelay()
  await eventually(async () => (await database.query('select from outbox where published_at is null')).length === 0)
}

/** The orders service on a database, a stream and a clock of its own, and a voice that speaks as products. */
export interface TestOrders extends AsyncDisposable {
  readonly service: TestService
  readonly products: ProductsVoice
  call<Body = unknown>(route: Route, parts: CallParts): Promise<Answer<Body>>
  /** The service's database, as the superuser. */
  readonly database: Database
  query<Row>(text: string, values?: readonly unknown[]): Promise<Row[]>
}

export async function startTestOrders(): Promise<TestOrders> {
  const service = await startService('orders', startOrders)
  const products = await ProductsVoice.start(service)
  const database = new Database({
    url: service.database.adminUrl,
    service: 'test',
    timeoutMs: 5_000,
    logger: service.log.logger,
  })
  return {
    service,
    products,
    database,
    call: async (route, { userId, roles, ...options }) => {
      const as = { userId, ...(roles === undefined ? {} : { roles }) }
      const { status, headers, body }: CallAnswer = await service.call(route, { ...options, as })
      const { type, errors } = status < 400 ? {} : (body as ProblemBody)
      return { status, headers, body, problem: type?.replace('/problems/', ''), errors }
    },
    query: async <Row>(text: string, values?: readonly unknown[]) =>
      await database.write(
        sql<Row>(`test.${createHash('sha256').update(text).digest('hex').slice(0, 16)}`, text),
        values,
      ),
    [Symbol.asyncDispose]: async () => {
      await database[Symbol.asyncDispose]()
      await products[Symbol.asyncDispose]()
      await service[Symbol.asyncDispose]()
    },
  }
}
