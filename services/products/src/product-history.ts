import { PAGE_ITEMS_DEFAULT, problems, ProblemError, type ProductChanges, type StockMovement } from '@saas/contracts'
import { sql, type Database } from '@saas/state'
import { decodeCursor, encodeCursor } from './cursor.ts'

type Entry = ProductChanges['items'][number]

interface EntryRow {
  readonly kind: 'stock' | 'price'
  readonly version: number
  readonly created_at: Date
  readonly changed_by: string | null
  readonly source: string
  readonly movement: StockMovement
  readonly delta: number
  readonly available_after: number
  readonly order_id: string | null
  readonly reason: string | null
  readonly amount: number
  readonly currency: string
}

/** Versions below which the next page begins. */
interface Place {
  readonly stock: number
  readonly price: number
}

const BEGINNING: Place = { stock: Number.MAX_SAFE_INTEGER, price: Number.MAX_SAFE_INTEGER }

const exists = sql('products.exists', 'select 1 from product where id = $1')

// Each ledger from its own key, newest first; they are merged outside, where no clock can make an entry vanish.
const readEntries = sql<EntryRow>(
  'products.read_history',
  `(
     select 'stock' as kind, stock_version as version, created_at, changed_by, source, kind as movement, delta,
       available_after, order_id, reason, null::bigint as amount, null::text as currency
     from stock_movement
     where product_id = $1
       and stock_version < $2
     order by stock_version desc
     limit $4
   )
   union all
   (
     select 'price', price_version, created_at, changed_by, source, null, null, null, null, null, amount, currency
     from price_change
     where product_id = $1
       and price_version < $3
     order by price_version desc
     limit $4
   )`,
)

/** Who changed the price and the stock of a product, when, and by what. Products that were deleted keep theirs. */
export class ProductHistory {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** A page of both ledgers, newest first. @throws {ProblemError} `not-found`, `invalid-request` for another list's cursor. */
  async read(id: string, query: { readonly limit?: number; readonly cursor?: string }): Promise<ProductChanges> {
    const { limit = PAGE_ITEMS_DEFAULT, cursor } = query
    const list = ['history', id.toLowerCase()]
    const from = cursor === undefined ? BEGINNING : placeOf(decodeCursor(list, cursor, 'text').key)
    const rows = await this.#database.read(readEntries, [id, from.stock, from.price, limit + 1])
    if (rows.length === 0 && (await this.#database.read(exists, [id])).length === 0) {
      throw new ProblemError(problems.notFound)
    }
    const page = merged(rows).slice(0, limit)
    const lowest = (kind: EntryRow['kind']) => page.findLast((row) => row.kind === kind)?.version ?? from[kind]
    const key = `${lowest('stock')}.${lowest('price')}`
    const next = rows.length > limit ? encodeCursor(list, { key, id: id.toLowerCase() }) : null
    return { items: page.map(toEntry), next }
  }
}

/** The newer head first, and never an entry of a ledger before the ones that followed it there. */
function merged(rows: readonly EntryRow[]): EntryRow[] {
  const byVersion = (kind: EntryRow['kind']) =>
    rows.filter((row) => row.kind === kind).toSorted((a, b) => b.version - a.version)
  const [stock, price] = [byVersion('stock'), byVersion('price')]
  const all: EntryRow[] = []
  for (;;) {
    const [a, b] = [stock[0], price[0]]
    if (a === undefined) return [...all, ...price]
    if (b === undefined) return [...all, ...stock]
    all.push(a)
    if (a.created_at >= b.created_at) stock.shift()
    else all[all.length - 1] = price.shift() ?? b
  }
}

function placeOf(key: unknown): Place {
  const [stock, price] = /^(\d{1,16})\.(\d{1,16})$/.exec(String(key))?.slice(1).map(Number) ?? []
  return { stock: stock ?? 0, price: price ?? 0 }
}

function toEntry(row: EntryRow): Entry {
  const common = { at: row.created_at.toISOString(), changedBy: row.changed_by, source: row.source }
  if (row.kind === 'price') return { ...common, kind: 'price', price: { amount: row.amount, currency: row.currency } }
  return {
    ...common,
    kind: 'stock',
    movement: row.movement,
    delta: row.delta,
    stock: row.available_after,
    orderId: row.order_id,
    reason: row.reason,
  }
}
