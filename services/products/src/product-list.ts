import { IDS_MAX, PAGE_ITEMS_DEFAULT, problems, ProblemError, productsRoutes, type QueryOf } from '@saas/contracts'
import { etag } from '@saas/http'
import { sql, type Database, type Statement } from '@saas/state'
import { createHash } from 'node:crypto'
import { decodeCursor, encodeCursor, type KeyKind, type Position } from './cursor.ts'
import { productColumns, toProduct, type ProductRow } from './product-row.ts'
import { askedQuery, relevance } from './search.ts'
import type { Product } from '@saas/contracts'

type Query = QueryOf<typeof productsRoutes.listProducts>
type Sort = NonNullable<Query['sort']>
type ListedRow = ProductRow & { readonly sort_key: string | number | null }

export interface ProductPage {
  readonly items: Product[]
  readonly next: string | null
  /** Names exactly these items in these states. */
  readonly etag: string
}

/** How a sort is written; ids break ties, and being UUIDv7 they are the order of creation. */
const sorts: Readonly<Record<Sort, { key: string; kind: KeyKind; direction: 'asc' | 'desc' }>> = {
  newest: { key: 'null', kind: 'none', direction: 'desc' },
  name: { key: 'name_key', kind: 'text', direction: 'asc' },
  price: { key: 'price_amount', kind: 'integer', direction: 'asc' },
  '-price': { key: 'price_amount', kind: 'integer', direction: 'desc' },
  relevance: { key: relevance, kind: 'number', direction: 'desc' },
}

const filterNames = ['q', 'category', 'tag', 'inStock'] as const

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

  async listProducts(query: Query): Promise<ProductPage> {
    const { items, next } = query.ids === undefined ? await this.#page(query) : await this.#byIds(query.ids, query)
    return { items: items.map(toProduct), next, etag: pageTag(items, next) }
  }

  /** In the order asked for; unknown and deleted ones are left out. */
  async #byIds(list: string, query: Query): Promise<{ items: ProductRow[]; next: null }> {
    const other = [...filterNames, 'sort' as const, 'cursor' as const].find((name) => query[name] !== undefined)
    if (other !== undefined) throw refuse(other, 'cannot be combined with ids')
    const ids = [...new Set(list.toLowerCase().split(','))]
    if (ids.length > IDS_MAX) throw refuse('ids', `must be at most ${IDS_MAX} ids`)
    if (!ids.every((id) => UUID.test(id))) throw refuse('ids', 'must be ids, comma-separated')
    const rows = await this.#database.read(readByIds, [ids])
    const byId = new Map(rows.map((row) => [row.id, row]))
    return { items: ids.map((id) => byId.get(id)).filter((row) => row !== undefined), next: null }
  }

  /** One item more than the page is read, to know whether there is another page. */
  async #page(query: Query): Promise<{ items: ProductRow[]; next: string | null }> {
    const limit = query.limit ?? PAGE_ITEMS_DEFAULT
    const sort = sortOf(query)
    const list = [sort, ...filterNames.map((name) => query[name] ?? null)]
    const after = query.cursor === undefined ? undefined : decodeCursor(list, query.cursor, sorts[sort].kind)
    const { statement, values } = listStatement(query, sort, after)
    const rows = await this.#database.read(statement, [limit + 1, ...values])
    const items = rows.slice(0, limit)
    const last = items.at(-1)
    const next =
      rows.length > limit && last !== undefined ? encodeCursor(list, { key: last.sort_key, id: last.id }) : null
    return { items, next }
  }
}

/** Without words there is nothing to be relevant to, and the newest come first. */
function sortOf({ sort, q }: Query): Sort {
  if (q === undefined) return sort === undefined || sort === 'relevance' ? 'newest' : sort
  return sort ?? 'relevance'
}

/** Each combination of filters and sort is a statement of its own, so that each gets the plan and the index it needs. */
function listStatement(
  query: Query,
  sort: Sort,
  after: Position | undefined,
): { statement: Statement<ListedRow>; values: unknown[] } {
  const values: unknown[] = []
  const parameter = (value: unknown, type: string) => `$${values.push(value) + 1}::${type}`
  const { key, kind, direction } = sorts[sort]
  const asked = query.q === undefined ? undefined : askedQuery(parameter(query.q, 'text'))
  const conditions = ['deleted_at is null']
  if (asked !== undefined) conditions.push('words @@ query')
  if (query.category !== undefined) conditions.push(`category = ${parameter(query.category, 'text')}`)
  if (query.tag !== undefined) conditions.push(`tags @> array[${parameter(query.tag, 'text')}]`)
  if (query.inStock !== undefined) conditions.push(query.inStock ? 'in_stock' : 'not in_stock')
  if (after !== undefined) conditions.push(positionCondition(sort, after, parameter))
  const name = ['products.list', sort, ...namesOf(query), ...(after === undefined ? [] : ['after'])].join('.')
  const order = kind === 'none' ? `id ${direction}` : `${key} ${direction}, id ${direction}`
  const text = `${asked === undefined ? '' : `with ${asked}\n   `}select ${productColumns}, ${key} as sort_key
   from product${asked === undefined ? '' : ', asked'}
   where ${conditions.join('\n     and ')}
   order by ${order}
   limit $1`
  return { statement: sql<ListedRow>(name, text), values }
}

function positionCondition(
  sort: Sort,
  { key, id }: Position,
  parameter: (value: unknown, type: string) => string,
): string {
  const { key: column, kind, direction } = sorts[sort]
  const comparison = direction === 'asc' ? '>' : '<'
  if (kind === 'none') return `id ${comparison} ${parameter(id, 'uuid')}`
  const type = { text: 'text', integer: 'bigint', number: 'double precision' }[kind]
  return `(${column}, id) ${comparison} (${parameter(key, type)}, ${parameter(id, 'uuid')})`
}

function namesOf(query: Query): string[] {
  return filterNames.flatMap((name) => {
    if (query[name] === undefined) return []
    return name === 'inStock' ? [query.inStock ? 'in' : 'out'] : [name]
  })
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

function refuse(name: string, detail: string): ProblemError {
  return new ProblemError(problems.invalidRequest, { errors: [{ pointer: `/query/${name}`, detail }] })
}

function pageTag(rows: readonly ProductRow[], next: string | null): string {
  const states = rows.map(({ id, version, stock_version }) => `${id} ${version}.${stock_version}`)
  return etag(
    createHash('sha256')
      .update(`${states.join('\n')}\n${next}`)
      .digest('base64url')
      .slice(0, 22),
  )
}
