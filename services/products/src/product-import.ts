import { newId, type Clock } from '@saas/config'
import {
  IMPORT_ERRORS_MAX,
  ProblemError,
  problems,
  productsEvents,
  productsRoutes,
  type ImportReport,
  type ImportedProduct,
} from '@saas/contracts'
import { Overloaded, sql, sqlState, type Bus, type Database } from '@saas/state'
import { readProducts, type Format } from './product-lines.ts'
import { productStateData } from './product-row.ts'
import { rememberWords, type Author } from './products.ts'

/** Products a statement writes; it is one transaction, and waits for the next are short. */
const BATCH_PRODUCTS_MAX = 500
/**
 * Of long texts fewer: their words are what takes time. 500 products with 7,000 characters of new words each took longer than a statement
 * may; half a million characters of such words took 0.9 s, and others wait half a second for a product.
 */
const BATCH_CHARACTERS_MAX = 250_000
/** How often a batch may find that others make, or hold for half a second, what it is about to write. */
const BATCH_TRIES_MAX = 20
const PROGRESS_LINES = 50_000
const LOCK_NOT_AVAILABLE = '55P03'

type Outcome = 'created' | 'changed' | 'unchanged'

interface SavedRow {
  readonly sku: string
  readonly outcome: Outcome
}

// Known products are locked in the order of their ids, as reservations lock them. What another call created since the
// statement began is in neither part of the answer and is sent again.
const saveProducts = sql<SavedRow>(
  'products.import',
  `with line as materialized (
     select *
     from jsonb_to_recordset($1::jsonb) as line (
       id uuid, event_id uuid, sku text, name text, description text, amount bigint, currency text, stock bigint,
       low_stock_threshold bigint, category text, tags jsonb, attributes jsonb
     )
     cross join lateral (select array(select jsonb_array_elements_text(tags)) as tag_list) as list
   ), found as materialized (
     select product.id, product.sku, product.price_version
     from product
     where product.sku = any(array(select sku from line))
       and deleted_at is null
     order by product.id
     for no key update
   ), updated as (
     update product
     set name = line.name, description = line.description, price_amount = line.amount, price_currency = line.currency,
       price_version = product.price_version
         + ((product.price_amount, product.price_currency) is distinct from (line.amount, line.currency))::integer,
       category = line.category, tags = line.tag_list, attributes = line.attributes,
       low_stock_threshold = line.low_stock_threshold, version = product.version + 1, updated_at = $2
     from found
     join line using (sku)
     where product.id = found.id
       and (product.name, product.description, product.price_amount, product.price_currency, product.category,
         product.tags, product.attributes, product.low_stock_threshold)
         is distinct from (line.name, line.description, line.amount, line.currency, line.category, line.tag_list,
         line.attributes, line.low_stock_threshold)
     returning product.*
   ), inserted as (
     insert into product (id, sku, name, description, price_amount, price_currency, price_version, category, tags,
       attributes, available, low_stock_threshold, stock_version, version, created_at, updated_at)
     select id, sku, name, description, amount, currency, 1, category, tag_list, attributes, stock, low_stock_threshold,
       1, 1, $2, $2
     from line
     where sku not in (select sku from found)
     order by sku
     on conflict (sku) where deleted_at is null do nothing
     returning *
   ), saved as (
     select * from updated
     union all
     select * from inserted
   ), moved as (
     insert into stock_movement (product_id, stock_version, kind, delta, available_after, changed_by, source, created_at)
     select id, stock_version, 'initial', available, available, $3, $4, created_at
     from inserted
   ), priced as (
     insert into price_change (product_id, price_version, amount, currency, changed_by, source, created_at)
     select saved.id, saved.price_version, price_amount, price_currency, $3, $4, updated_at
     from saved
     left join found using (id)
     where saved.price_version is distinct from found.price_version
   ), worded as (
     ${rememberWords}
   ), sent as (
     insert into outbox (id, aggregate_type, aggregate_id, aggregate_version, subject, data, trace_parent)
     select line.event_id, '${productsEvents.productCreated.aggregate}', state.id, state.version,
       case when state.version = 1 then '${productsEvents.productCreated.subject}'
         else '${productsEvents.productChanged.subject}' end,
       state.data, $5
     from (select id, sku, version, ${productStateData} as data from saved) as state
     join line using (sku)
   )
   select sku, 'created' as outcome from inserted
   union all
   select sku, 'changed' from updated
   union all
   select sku, 'unchanged' from found where sku not in (select sku from updated)`,
)

export interface ImportOptions {
  readonly format: Format
  readonly author: Author
  readonly signal: AbortSignal
  /** Hears how many lines were read, now and then. */
  readonly progress: (lines: number) => void
}

/** Reads products from a file into the catalogue, by SKU; holds one batch at a time. */
export class ProductImport {
  readonly #database: Database
  readonly #bus: Bus
  readonly #clock: Clock

  constructor({ database, bus, clock }: { database: Database; bus: Bus; clock: Clock }) {
    this.#database = database
    this.#bus = bus
    this.#clock = clock
  }

  /**
   * Good lines are kept and bad ones reported, in order. After too many bad ones nothing more is imported, and the report
   * says where that was. It answers only when the whole file was read: the edge stops sending once an answer begins.
   */
  async run(file: AsyncIterable<Buffer>, { format, author, signal, progress }: ImportOptions): Promise<ImportReport> {
    const counts = { created: 0, changed: 0, unchanged: 0 }
    const errors: ImportReport['errors'] = []
    let lines = 0
    let stoppedAt: number | null = null
    let batch = new Batch()
    const flush = async (): Promise<void> => {
      // Sent again, the file goes on where it was: what is saved is unchanged then.
      if (signal.aborted) throw new ProblemError(problems.dependencyUnavailable, { cause: signal.reason })
      const full = batch
      batch = new Batch()
      for (const outcome of await this.#save(full, author)) counts[outcome] += 1
    }
    for await (const some of readProducts(file, format)) {
      for (const entry of some) {
        if (stoppedAt !== null) continue
        lines += 1
        if (lines % PROGRESS_LINES === 0) progress(lines)
        if ('reason' in entry) {
          errors.push(entry)
          if (errors.length === IMPORT_ERRORS_MAX) stoppedAt = entry.line
          continue
        }
        if (batch.isFullFor(entry.product)) await flush()
        batch.add(entry.product)
      }
    }
    if (batch.rows.size > 0) await flush()
    return { lines, ...counts, refused: errors.length, stoppedAt, errors }
  }

  async #save({ rows }: Batch, author: Author): Promise<Outcome[]> {
    const outcomes: Outcome[] = []
    for (let tries = 0; rows.size > 0; tries += 1) {
      if (tries === BATCH_TRIES_MAX) throw new Overloaded('Others kept changing products that are imported')
      const saved = await this.#try(rows, author)
      if (saved.length > 0) this.#bus.nudge()
      for (const { sku, outcome } of saved) {
        outcomes.push(outcome)
        rows.delete(sku)
      }
    }
    return outcomes
  }

  /** Not on a connection that others share: they would wait behind it. Nothing is saved when somebody holds a product for too long. */
  async #try(rows: ReadonlyMap<string, string>, { userId, traceParent }: Author): Promise<SavedRow[]> {
    const json = `[${[...rows.values()].join(',')}]`
    const values = [json, this.#clock.now(), userId, productsRoutes.importProducts.id, traceParent]
    try {
      return await this.#database.transaction((tx) => tx.query(saveProducts, values))
    } catch (error) {
      if (error instanceof Overloaded && sqlState(error.cause) === LOCK_NOT_AVAILABLE) return []
      throw error
    }
  }
}

/** The rows of one statement, as JSON by SKU. */
class Batch {
  readonly rows = new Map<string, string>()
  #characters = 0

  /** Of two lines with one SKU the later one counts, so they cannot stand in one statement. */
  isFullFor({ sku }: ImportedProduct): boolean {
    return this.rows.size >= BATCH_PRODUCTS_MAX || this.#characters >= BATCH_CHARACTERS_MAX || this.rows.has(sku)
  }

  add(product: ImportedProduct): void {
    const row = JSON.stringify(toRow(product))
    this.rows.set(product.sku, row)
    this.#characters += row.length
  }
}

function toRow(product: ImportedProduct): object {
  const { sku, name, description = '', price, stock = 0, category = null, tags = [], attributes = {} } = product
  const { amount, currency } = price
  const made = { id: newId(), event_id: newId(), low_stock_threshold: product.lowStockThreshold ?? null }
  return { ...made, sku, name, description, amount, currency, stock, category, tags, attributes }
}
