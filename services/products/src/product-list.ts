import { IDS_MAX, PAGE_ITEMS_DEFAULT, problems, ProblemError, type Product } from '@saas/contracts'
import { etag } from '@saas/http'
import { isUuid, sql, type Database } from '@saas/state'
import { createHash } from 'node:crypto'
import { decodeCursor, encodeCursor } from './cursor.ts'
import { filterNames, listStatement, sorts, type ListQuery, type Sort } from './list-statement.ts'
import { productColumns, toProduct, type ProductRow } from './product-row.ts'
import { resolveSearch } from './search.ts'

export interface ProductPage {
  readonly items: Product[]
  readonly next: string | null
  /** Names exactly these items in these states. */
  readonly etag: string
}

const TAG_LENGTH = 22

const readByIds = sql<ProductRow>(
  'products.list_by_ids',
  `select ${productColumns}
   from product
   where id = any($1::uuid[])
     and deleted_at is null`,
)

/** The lists that anyone may see: the products asked for by id, or a page of those that fit the filters. */
export class ProductList {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async listProducts(query: ListQuery): Promise<ProductPage> {
    const { items, next } = query.ids === undefined ? await this.#page(query) : await this.#byIds(query.ids, query)
    return { items: items.map(toProduct), next, etag: pageTag(items, next) }
  }

  /** In the order asked for; unknown and deleted ones are left out. */
  async #byIds(list: string, query: ListQuery): Promise<{ items: ProductRow[]; next: null }> {
    const other = [...filterNames, 'sort' as const, 'cursor' as const].find((name) => query[name] !== undefined)
    if (other !== undefined) throw refuse(other, 'cannot be combined with ids')
    const ids = [...new Set(list.toLowerCase().split(','))]
    if (ids.length > IDS_MAX) throw refuse('ids', `must be at most ${IDS_MAX} ids`)
    if (!ids.every((id) => isUuid(id))) throw refuse('ids', 'must be ids, comma-separated')
    const rows = await this.#database.read(readByIds, [ids])
    const byId = new Map(rows.map((row) => [row.id, row]))
    return { items: ids.map((id) => byId.get(id)).filter((row) => row !== undefined), next: null }
  }

  /** One item more than the page is read, to know whether there is another page. */
  async #page(query: ListQuery): Promise<{ items: ProductRow[]; next: string | null }> {
    const limit = query.limit ?? PAGE_ITEMS_DEFAULT
    const sort = sortOf(query)
    const list = [sort, ...filterNames.map((name) => query[name] ?? null)]
    const after = query.cursor === undefined ? undefined : decodeCursor(list, query.cursor, sorts[sort].kind)
    const words = query.q === undefined ? undefined : await resolveSearch(this.#database, query.q)
    if (query.q !== undefined && words === undefined) return { items: [], next: null }
    const { statement, values } = listStatement(query, sort, words, after)
    const rows = await this.#database.read(statement, [limit + 1, ...values])
    const items = rows.slice(0, limit)
    const last = items.at(-1)
    const hasMore = rows.length > limit && last !== undefined
    return { items, next: hasMore ? encodeCursor(list, { key: last.sort_key, id: last.id }) : null }
  }
}

/** Without words there is nothing to be relevant to, and the newest come first. */
function sortOf({ sort, q }: ListQuery): Sort {
  if (q === undefined) return sort === undefined || sort === 'relevance' ? 'newest' : sort
  return sort ?? 'relevance'
}

function refuse(name: string, detail: string): ProblemError {
  return new ProblemError(problems.invalidRequest, { errors: [{ pointer: `/query/${name}`, detail }] })
}

function pageTag(rows: readonly ProductRow[], next: string | null): string {
  const states = rows.map(({ id, version, stock_version }) => `${id} ${version}.${stock_version}`)
  const digest = createHash('sha256')
    .update(`${states.join('\n')}\n${next}`)
    .digest('base64url')
  return etag(digest.slice(0, TAG_LENGTH))
}
