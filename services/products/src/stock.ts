import type { Clock } from '@saas/config'
import { problems, ProblemError, productsRoutes, STOCK_MAX } from '@saas/contracts'
import { sql, sqlState, type Database } from '@saas/state'
import { columnsOf, tagged, type ProductRow, type TaggedProduct } from './product-row.ts'
import type { Author } from './products.ts'

const UNIQUE_VIOLATION = '23505'

type StockRow = ProductRow & { readonly found_available: number; readonly changed: boolean }

const moveStock = sql<StockRow>(
  'products.change_stock',
  `with found as materialized (
     select id, available
     from product
     where id = $1
       and deleted_at is null
     for no key update
   ), saved as (
     update product
     set available = product.available + $2, stock_version = product.stock_version + 1
     from found
     where product.id = found.id
       and product.available + $2 between 0 and ${STOCK_MAX}
     returning product.*
   ), moved as (
     insert into stock_movement (product_id, stock_version, kind, delta, available_after, reason, changed_by, source,
       created_at, idempotency_key)
     select id, stock_version, 'change', $2, available, $3, $4, $5, $6, $7
     from saved
   )
   select found.available as found_available, saved.id is not null as changed, ${columnsOf('saved')}
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
}

/** How managers correct the stock. Orders do it too: see `reservations.ts`. */
export class Stock {
  readonly #database: Database
  readonly #clock: Clock

  constructor({ database, clock }: { database: Database; clock: Clock }) {
    this.#database = database
    this.#clock = clock
  }

  /** Sent again under its key, it answers the product as it is now. */
  async change(
    id: string,
    { delta, reason, key }: StockChange,
    { userId }: Author,
  ): Promise<TaggedProduct & { readonly replayed: boolean }> {
    const values = [id, delta, reason, userId, productsRoutes.changeStock.id, this.#clock.now(), key ?? null]
    const row = await this.#moveStock(values)
    if (row?.changed === true) return { ...tagged(row), replayed: false }
    const [earlier] =
      key === undefined ? [] : await this.#database.read(findStockChange, [userId, key, id, delta, reason])
    if (earlier !== undefined) {
      if (!earlier.same) throw new ProblemError(problems.idempotencyKeyReused)
      return { ...tagged(earlier), replayed: true }
    }
    if (row === undefined) throw new ProblemError(problems.notFound)
    if (row.found_available + delta < 0) {
      throw new ProblemError(problems.stockTooLow, { detail: `There are ${row.found_available} in stock.` })
    }
    throw new ProblemError(problems.invalidRequest, {
      errors: [{ pointer: '/delta', detail: `must not raise the stock of ${row.found_available} above ${STOCK_MAX}` }],
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
