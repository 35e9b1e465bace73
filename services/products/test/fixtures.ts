import {
  ordersEvents,
  productsRoutes,
  type DataOf,
  type Event,
  type NewProduct,
  type Product,
  type rejectionReasons,
} from '@saas/contracts'
import { sql, State } from '@saas/state'
import {
  cloneDatabase,
  startService,
  testConfig,
  testLog,
  type ServiceParts,
  type TestDatabase,
  type TestService,
} from '@saas/testing'
import { v7 as uuidv7 } from 'uuid'
import type { ProductsConfig } from '../src/config.ts'
import { startProducts } from '../src/main.ts'

export const manager = { userId: uuidv7(), roles: ['manager'] }
export const customer = { userId: uuidv7(), roles: ['customer'] }

export async function startShop(parts: ServiceParts<ProductsConfig> = {}): Promise<TestService> {
  return await startService('products', startProducts, parts)
}

let skus = 0

export function newProduct(fields: Partial<NewProduct> = {}): NewProduct {
  skus += 1
  return { sku: `SKU-${skus}`, name: 'Green tea', price: { amount: 490, currency: 'EUR' }, stock: 10, ...fields }
}

export async function create(shop: TestService, fields: Partial<NewProduct> = {}): Promise<Product> {
  const { status, body } = await shop.call(productsRoutes.createProduct, { body: newProduct(fields), as: manager })
  if (status !== 201) throw new Error(`Not created: ${status} ${JSON.stringify(body)}`)
  return body as Product
}

export async function stockOf(shop: TestService, { id }: Pick<Product, 'id'>): Promise<number> {
  const { body } = await shop.call(productsRoutes.getProduct, { params: { id }, as: customer })
  return (body as Product).stock
}

type PlacedData = DataOf<typeof ordersEvents.orderPlaced>

export interface Wanted {
  readonly productId: string
  readonly quantity?: number
  readonly priceVersion?: number
}

export function placedData(orderId: string, lines: readonly Wanted[]): PlacedData {
  const now = new Date().toISOString()
  return {
    orderId,
    userId: customer.userId,
    lines: lines.map(({ productId, quantity = 1, priceVersion = 1 }) => ({
      productId,
      sku: 'SKU',
      name: 'Green tea',
      quantity,
      unitPrice: { amount: 490, currency: 'EUR' },
      priceVersion,
    })),
    total: { amount: 490, currency: 'EUR' },
    placedAt: now,
    deadlineAt: now,
  }
}

const insertOutbox = sql(
  'test.insert_order_events',
  `insert into outbox (id, aggregate_type, aggregate_id, aggregate_version, subject, data)
   select id, 'order', aggregate_id, aggregate_version, subject, data
   from jsonb_to_recordset($1::jsonb) as sent(id uuid, aggregate_id text, aggregate_version bigint, subject text, data jsonb)`,
)

interface Sent {
  readonly event: Event
  readonly orderId: string
  readonly version: number
  readonly data: unknown
}

/** What orders would say: its real outbox and relay, without its rules. */
export class OrdersSide implements AsyncDisposable {
  readonly #state: State
  readonly #database: TestDatabase

  private constructor(state: State, database: TestDatabase) {
    this.#state = state
    this.#database = database
  }

  static async start(shop: TestService): Promise<OrdersSide> {
    const database = await cloneDatabase('orders', { migrations: null })
    const config = testConfig('orders', { database, bus: shop.bus, objects: shop.objects })
    const state = State.connect(config, { service: 'orders', logger: testLog('orders').logger, clock: shop.clock })
    state.bus.startRelay()
    return new OrdersSide(state, database)
  }

  async place(...orders: { readonly orderId: string; readonly lines: readonly Wanted[] }[]): Promise<void> {
    await this.send(
      ...orders.map(({ orderId, lines }) => ({
        event: ordersEvents.orderPlaced,
        orderId,
        version: 1,
        data: placedData(orderId, lines),
      })),
    )
  }

  async cancel(orderId: string, lines: readonly Wanted[]): Promise<void> {
    const data = { ...placedData(orderId, lines), decidedAt: new Date().toISOString() }
    await this.send({ event: ordersEvents.orderCancelled, orderId, version: 2, data })
  }

  async reject(orderId: string, lines: readonly Wanted[], reason: (typeof rejectionReasons)[number]): Promise<void> {
    const data = { ...placedData(orderId, lines), reason, decidedAt: new Date().toISOString() }
    await this.send({ event: ordersEvents.orderRejected, orderId, version: 2, data })
  }

  async send(...messages: readonly Sent[]): Promise<void> {
    const rows = messages.map(({ event, orderId, version, data }) => ({
      id: uuidv7(),
      aggregate_id: orderId,
      aggregate_version: version,
      subject: event.subject,
      data,
    }))
    await this.#state.database.write(insertOutbox, [JSON.stringify(rows)])
    this.#state.bus.nudge()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#state[Symbol.asyncDispose]()
    await this.#database[Symbol.asyncDispose]()
  }
}

/** Each product whose crossings, as its movements tell them, are not what was sent. Its threshold must not have changed. */
export async function crossingViolations(database: TestDatabase): Promise<Record<string, unknown>[]> {
  return await database.query(
    `select product.id, crossed.versions, sent.versions as sent
     from product
     cross join lateral (
       select coalesce(array_agg(row_number), '{}') as versions
       from (
         select row_number() over (order by stock_version)
         from stock_movement
         where product_id = product.id
           and stock_version > 1
           and available_after <= low_stock_threshold
           and available_after - delta > low_stock_threshold
       ) as numbered
     ) as crossed
     cross join lateral (
       select coalesce(array_agg(aggregate_version order by aggregate_version), '{}') as versions
       from outbox
       where aggregate_type = 'stock-level'
         and aggregate_id = product.id::text
     ) as sent
     where crossed.versions <> sent.versions
       or cardinality(sent.versions) <> low_stock_version`,
  )
}

/** What stock may never be, by query: promises S1, S2 and S4. Each row is a violation. */
export async function stockViolations(database: TestDatabase): Promise<Record<string, unknown>[]> {
  return await database.query(
    `select 'S1' as promise, id::text as what from product where available < 0
     union all
     select 'S2', product.id::text
     from product
     left join stock_movement on product_id = product.id
     group by product.id
     having coalesce(sum(delta), 0) <> available
       or count(stock_movement.product_id) <> product.stock_version
       or count(*) filter (where kind = 'initial') <> 1
     union all
     select 'S4', order_id::text
     from stock_movement
     where order_id is not null
     group by order_id, product_id
     having count(*) filter (where kind = 'reservation') <> 1
       or count(*) filter (where kind = 'release') > 1
       or (count(*) filter (where kind = 'release') = 1 and sum(delta) <> 0)
     union all
     select 'released without giving back', reservation.order_id::text
     from reservation
     left join stock_movement using (order_id)
     group by reservation.order_id
     having (state = 'released' and coalesce(sum(delta), 0) <> 0)
       or (state = 'refused' and count(stock_movement.order_id) > 0)`,
  )
}

export interface ReservationRow {
  readonly order_id: string
  readonly state: string
  readonly refusal_reason: string | null
  readonly version: number
}

export async function reservations(database: TestDatabase): Promise<Map<string, ReservationRow>> {
  const rows = await database.query<ReservationRow>(
    'select order_id, state, refusal_reason, version::int from reservation',
  )
  return new Map(rows.map((row) => [row.order_id, row]))
}

export async function sentEvents(
  database: TestDatabase,
  aggregateId: string,
): Promise<{ subject: string; version: number; data: Record<string, unknown> }[]> {
  return await database.query(
    `select subject, aggregate_version::int as version, data
     from outbox
     where aggregate_id = $1
     order by aggregate_version`,
    [aggregateId],
  )
}

/** Why the stock of a product is what it is. */
export async function movementsOf(database: TestDatabase, id: string): Promise<Record<string, unknown>[]> {
  return await database.query(
    `select kind, delta::int, available_after::int, reason, changed_by, source
     from stock_movement
     where product_id = $1
     order by stock_version`,
    [id],
  )
}

/** Another service that says something, through an outbox and a broker user of its own. */
export async function startPublisher(shop: TestService, service: 'auth') {
  const database = await cloneDatabase(service, { migrations: null })
  const config = testConfig(service, { database, bus: shop.bus, objects: shop.objects })
  const state = State.connect(config, { service, logger: testLog(service).logger, clock: shop.clock })
  state.bus.startRelay()
  return {
    send: async (event: Event, aggregateId: string, data: object): Promise<void> => {
      await database.query(
        `insert into outbox (id, aggregate_type, aggregate_id, aggregate_version, subject, data) values ($1, $2, $3, 1, $4, $5)`,
        [uuidv7(), event.aggregate, aggregateId, event.subject, JSON.stringify(data)],
      )
      state.bus.nudge()
    },
    [Symbol.asyncDispose]: async (): Promise<void> => {
      await state[Symbol.asyncDispose]()
      await database[Symbol.asyncDispose]()
    },
  }
}
