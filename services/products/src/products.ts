import { newId, type Clock } from '@saas/config'
import { NewProduct, problems, ProblemError, ProductChange, productsEvents, productsRoutes } from '@saas/contracts'
import { valueChecker, type EntityTags } from '@saas/http'
import { sql, sqlState, type Bus, type CoalescedRead, type Database } from '@saas/state'
import { isCurrency } from './currency.ts'
import {
  columnsOf,
  productColumns,
  productStateData,
  tagged,
  type ProductRow,
  type TaggedProduct,
} from './product-row.ts'
import { accepted } from './product-text.ts'

/** Who changes something, for the audit log and the trace. */
export interface Author {
  readonly userId: string
  readonly traceParent: string
}

const errorsOfNew = valueChecker(NewProduct)
const errorsOfChange = valueChecker(ProductChange)

const WORD_LENGTH_MIN = 3
const WORD_LENGTH_MAX = 40

const readProducts = sql<ProductRow>(
  'products.read_by_id',
  `select ${productColumns}
   from product
   where id = any($1::uuid[])
     and deleted_at is null`,
)

// Sorted, so that two products with the same new words cannot deadlock. Words with digits are not known words: there is no
// telling which one was meant, and there is one for every SKU. Known are their letters, and these with the first digit.
export const rememberWords = `insert into search_word (word)
     select distinct known.word
     from saved
     cross join unnest(words)
     cross join lateral (
       select lexeme
       where lexeme !~ '[0-9]'
       union all
       select unnest(regexp_match(lexeme, '^(([^0-9]{2,})[0-9])'))
     ) as known (word)
     where length(known.word) between ${WORD_LENGTH_MIN} and ${WORD_LENGTH_MAX}
     order by known.word
     on conflict do nothing`

const insertProduct = sql<ProductRow>(
  'products.create',
  `with saved as (
     insert into product (id, sku, name, description, price_amount, price_currency, price_version, category, tags,
       attributes, available, stock_version, version, created_at, updated_at, low_stock_threshold)
     values ($1, $2, $3, $4, $5, $6, 1, $7, $8, $9, $10, 1, 1, $11, $11, $16)
     on conflict (sku) where deleted_at is null do nothing
     returning *
   ), moved as (
     insert into stock_movement (product_id, stock_version, kind, delta, available_after, changed_by, source, created_at)
     select id, stock_version, 'initial', available, available, $12, $13, created_at
     from saved
   ), priced as (
     insert into price_change (product_id, price_version, amount, currency, changed_by, source, created_at)
     select id, price_version, price_amount, price_currency, $12, $13, created_at
     from saved
   ), worded as (
     ${rememberWords}
   ), sent as (
     insert into outbox (id, aggregate_type, aggregate_id, aggregate_version, subject, data, trace_parent)
     select $14, '${productsEvents.productCreated.aggregate}', id, version, '${productsEvents.productCreated.subject}',
       ${productStateData}, $15
     from saved
   )
   select ${productColumns}
   from saved`,
)

type ChangeRow = ProductRow & { readonly found_version: number; readonly changed: boolean }

// The lock makes `found` the newest version whatever was committed since the statement began.
const updateProduct = sql<ChangeRow>(
  'products.replace',
  `with found as materialized (
     select id, version, price_version
     from product
     where id = $1
       and deleted_at is null
     for no key update
   ), saved as (
     update product
     set sku = $3, name = $4, description = $5, price_amount = $6, price_currency = $7,
       price_version = product.price_version
         + ((product.price_amount, product.price_currency) is distinct from ($6, $7))::integer,
       category = $8, tags = $9, attributes = $10, low_stock_threshold = $16, version = product.version + 1,
       updated_at = $11
     from found
     where product.id = found.id
       and ($2::bigint[] is null or product.version = any($2))
     returning product.*
   ), priced as (
     insert into price_change (product_id, price_version, amount, currency, changed_by, source, created_at)
     select id, saved.price_version, price_amount, price_currency, $12, $13, updated_at
     from saved
     join found using (id)
     where saved.price_version > found.price_version
   ), worded as (
     ${rememberWords}
   ), sent as (
     insert into outbox (id, aggregate_type, aggregate_id, aggregate_version, subject, data, trace_parent)
     select $14, '${productsEvents.productChanged.aggregate}', id, version, '${productsEvents.productChanged.subject}',
       ${productStateData}, $15
     from saved
   )
   select found.version as found_version, saved.id is not null as changed, ${columnsOf('saved')}
   from found
   left join saved using (id)`,
)

const softDeleteProduct = sql<{ changed: boolean }>(
  'products.delete',
  `with found as materialized (
     select id, pictures
     from product
     where id = $1
       and deleted_at is null
     for no key update
   ), saved as (
     update product
     set deleted_at = $3, deleted_by = $4, updated_at = $3, version = product.version + 1, pictures = '[]'
     from found
     where product.id = found.id
       and ($2::bigint[] is null or product.version = any($2))
     returning product.*
   ), orphaned as (
     insert into picture_orphan (picture_key, delete_from)
     select picture ->> 'key', $3
     from found
     join saved using (id)
     cross join jsonb_array_elements(found.pictures) as picture
   ), sent as (
     insert into outbox (id, aggregate_type, aggregate_id, aggregate_version, subject, data, trace_parent)
     select $5, '${productsEvents.productDeleted.aggregate}', id, version, '${productsEvents.productDeleted.subject}',
       ${productStateData}, $6
     from saved
   )
   select saved.id is not null as changed
   from found
   left join saved using (id)`,
)

/** The catalogue: what products say. */
export class Products {
  readonly #database: Database
  readonly #bus: Bus
  readonly #clock: Clock
  readonly #byId: CoalescedRead<ProductRow>

  constructor({ database, bus, clock }: { database: Database; bus: Bus; clock: Clock }) {
    this.#database = database
    this.#bus = bus
    this.#clock = clock
    this.#byId = database.coalescedRead({ statement: readProducts, keyOfRow: ({ id }) => id })
  }

  async getProduct(id: string): Promise<TaggedProduct> {
    const row = await this.#byId.load(id.toLowerCase())
    if (row === undefined) throw new ProblemError(problems.notFound)
    return tagged(row)
  }

  async createProduct(given: NewProduct, { userId, traceParent }: Author): Promise<TaggedProduct> {
    const product = accepted(given, errorsOfNew)
    refuseUnknownCurrency(product.price.currency)
    const [row] = await this.#database.write(insertProduct, [
      newId(),
      product.sku,
      product.name,
      product.description ?? '',
      product.price.amount,
      product.price.currency,
      product.category ?? null,
      product.tags ?? [],
      JSON.stringify(product.attributes ?? {}),
      product.stock,
      this.#clock.now(),
      userId,
      productsRoutes.createProduct.id,
      newId(),
      traceParent,
      product.lowStockThreshold ?? null,
    ])
    if (row === undefined) throw skuTaken()
    this.#bus.nudge()
    return tagged(row)
  }

  /** Replaces what the product says if it still has one of the versions in `ifMatch`. What is left out becomes empty. */
  async replaceProduct(
    id: string,
    ifMatch: EntityTags,
    given: ProductChange,
    { userId, traceParent }: Author,
  ): Promise<TaggedProduct> {
    const change = accepted(given, errorsOfChange)
    refuseUnknownCurrency(change.price.currency)
    const row = await this.#replace([
      id,
      versionsOf(ifMatch),
      change.sku,
      change.name,
      change.description ?? '',
      change.price.amount,
      change.price.currency,
      change.category ?? null,
      change.tags ?? [],
      JSON.stringify(change.attributes ?? {}),
      this.#clock.now(),
      userId,
      productsRoutes.replaceProduct.id,
      newId(),
      traceParent,
      change.lowStockThreshold ?? null,
    ])
    if (row === undefined) throw new ProblemError(problems.notFound)
    if (!row.changed) throw new ProblemError(problems.versionChanged)
    this.#bus.nudge()
    return tagged(row)
  }

  /** The row stays, because orders and movements name it; nothing but its stock changes any more. */
  async deleteProduct(id: string, ifMatch: EntityTags, { userId, traceParent }: Author): Promise<void> {
    const values = [id, versionsOf(ifMatch), this.#clock.now(), userId, newId(), traceParent]
    const [row] = await this.#database.write(softDeleteProduct, values)
    if (row === undefined) throw new ProblemError(problems.notFound)
    if (!row.changed) throw new ProblemError(problems.versionChanged)
    this.#bus.nudge()
  }

  /** The SKU of another product makes the unique index refuse the whole statement. */
  async #replace(values: readonly unknown[]): Promise<ChangeRow | undefined> {
    try {
      const [row] = await this.#database.write(updateProduct, values)
      return row
    } catch (error) {
      throw sqlState(error) === UNIQUE_VIOLATION ? skuTaken(error) : error
    }
  }
}

const UNIQUE_VIOLATION = '23505'

/** The versions that `If-Match` allows; null for any. The part after the dot is the stock's and does not matter here. */
export function versionsOf(ifMatch: EntityTags = '*'): number[] | null {
  if (ifMatch === '*') return null
  return ifMatch.filter((tag) => /^\d{1,15}\.\d{1,15}$/.test(tag)).map((tag) => Number.parseInt(tag, 10))
}

function refuseUnknownCurrency(currency: string): void {
  if (isCurrency(currency)) return
  throw new ProblemError(problems.invalidRequest, {
    errors: [{ pointer: '/price/currency', detail: 'must be an ISO 4217 code', code: 'unknown-currency' }],
  })
}

function skuTaken(cause?: unknown): ProblemError {
  return new ProblemError(problems.skuTaken, {
    errors: [{ pointer: '/sku', detail: 'is taken', code: 'taken' }],
    cause,
  })
}
