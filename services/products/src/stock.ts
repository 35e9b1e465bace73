import { newId, type Clock } from '@saas/config'
import { problems, ProblemError, productsEvents, productsRoutes, STOCK_MAX } from '@saas/contracts'
import type { EntityTags } from '@saas/http'
import { sql, sqlState, type Bus, type Database } from '@saas/state'
import { columnsOf, tagged, type ProductRow, type TaggedProduct } from './product-row.ts'
import { unusable } from './product-text.ts'
import { versionsOf, type Author } from './products.ts'

const UNIQUE_VIOLATION = '23505'

type StockRow = ProductRow & {
  readonly found_available: number
  readonly fits: boolean
  readonly changed: boolean
  readonly ran_low: boolean
}

const moveStock = sql<StockRow>(
  'products.change_stock',
  `with found as materialized (
     select id, available, low_stock_version, $11::bigint[] is null or version = any($11) as fits
     from product
     where id = $1
       and deleted_at is null
     for no key update
   ), saved as (
     update product
     set available = product.available + $2, stock_version = product.stock_version + 1,
       low_stock_version = product.low_stock_version
         + coalesce(product.low_stock_threshold < product.available
           and product.low_stock_threshold >= product.available + $2, false)::integer
     from found
     where product.id = found.id
       and found.fits
       and product.available + $2 between 0 and ${STOCK_MAX}
     returning product.*
   ), moved as (
     insert into stock_movement (product_id, stock_version, kind, delta, available_after, reason, changed_by, source,
       created_at, idempotency_key)
     select id, stock_version, 'change', $2, available, $3, $4, $5, $6, $7
     from saved
   ), crossed as (
     select saved.*
     from saved
     join found using (id)
     where saved.low_stock_version > found.low_stock_version
   ), sent as (
     insert into outbox (id, aggregate_type, aggregate_id, aggregate_version, subject, data, trace_parent)
     select $8, '${productsEvents.stockRanLow.aggregate}', id, low_stock_version,
       '${productsEvents.stockRanLow.subject}',
       jsonb_build_object(
         'productId', id,
         'sku', sku,
         'name', name,
         'available', available,
         'threshold', low_stock_threshold,
         'crossedAt', $9::text
       ), $10
     from crossed
   )
   select found.available as found_available, found.fits, saved.id is not null as changed, exists (select from crossed) as ran_low,
     ${columnsOf('saved')}
   from found
   left join saved using (id)`,
)

const findStockChange = sql<ProductRow & { readonly same: boolean }>(
  'products.find_stock_change',
  `select product_id = $3 and delta = $4 and reason = $5 as same, ${columnsOf('product')}
   from stock_movement
   join product on product.id = product_id
   where changed_by = $1
     and idempotency_key = $2`,
)

/** A correction of the stock; under a key it is made once. */
export interface StockChange {
  readonly delta: number
  readonly reason: string
  readonly key: string | undefined
  /** Only if the product still has one of these versions. */
  readonly ifMatch?: EntityTags | undefined
}

/** How managers correct the stock. Orders do it too: see `reservations.ts`. */
export class Stock {
  readonly #database: Database
  readonly #bus: Bus
  readonly #clock: Clock

  constructor({ database, bus, clock }: { database: Database; bus: Bus; clock: Clock }) {
    this.#database = database
    this.#bus = bus
    this.#clock = clock
  }

  /** Sent again under its key, it answers the product as it is now. */
  async change(
    id: string,
    { delta, reason, key, ifMatch }: StockChange,
    { userId, traceParent }: Author,
  ): Promise<TaggedProduct & { readonly replayed: boolean }> {
    const unreadable = unusable(reason)
    if (unreadable !== undefined) {
      throw new ProblemError(problems.invalidRequest, { errors: [{ pointer: '/reason', ...unreadable }] })
    }
    const now = this.#clock.now()
    const values = [id, delta, reason, userId, productsRoutes.changeStock.id, now, key ?? null]
    const row = await this.#moveStock([...values, newId(), now.toISOString(), traceParent, versionsOf(ifMatch)])
    if (row?.ran_low === true) this.#bus.nudge()
    if (row?.changed === true) return { ...tagged(row), replayed: false }
    const [earlier] =
      key === undefined ? [] : await this.#database.read(findStockChange, [userId, key, id, delta, reason])
    if (earlier !== undefined) {
      if (!earlier.same) throw new ProblemError(problems.idempotencyKeyReused)
      return { ...tagged(earlier), replayed: true }
    }
    if (row === undefined) throw new ProblemError(problems.notFound)
    if (!row.fits) throw new ProblemError(problems.versionChanged)
    if (row.found_available + delta < 0) {
      throw new ProblemError(problems.stockTooLow, { detail: `Only ${row.found_available} in stock.` })
    }
    throw new ProblemError(problems.invalidRequest, {
      errors: [
        {
          pointer: '/delta',
          detail: `must not raise the stock of ${row.found_available} above ${STOCK_MAX}`,
          code: 'too-large',
          limit: STOCK_MAX - row.found_available,
        },
      ],
    })
  }

  /** A key that was used makes the unique index refuse the whole statement. */
  async #moveStock(values: readonly unknown[]): Promise<StockRow | undefined> {
    try {
      const [row] = await this.#database.write(moveStock, values)
      return row
    } catch (error) {
      if (sqlState(error) === UNIQUE_VIOLATION) return undefined
      throw error
    }
  }
}
