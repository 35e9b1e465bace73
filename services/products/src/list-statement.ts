import type { productsRoutes, QueryOf } from '@saas/contracts'
import { sql, type Statement } from '@saas/state'
import type { KeyKind, Position } from './cursor.ts'
import { productColumns, type ProductRow } from './product-row.ts'
import { formsOf, newestFits, type Filters, type Parameter } from './newest-fits.ts'
import type { AskedWords } from './search.ts'

export type ListQuery = QueryOf<typeof productsRoutes.listProducts>
export type Sort = NonNullable<ListQuery['sort']>
export type ListedRow = ProductRow & { readonly sort_key: string | number | null }

/**
 * A search for words or a tag is planned each time, for what is asked. Postgres would otherwise soon keep one plan for
 * all words, the one for rare ones: a word that 100,000 products have then took 1,100 ms instead of 3. Planning takes
 * less than one.
 */
export const UNNAMED = ''

export const filterNames = ['q', 'category', 'tag', 'inStock'] as const

/** How a sort is written; ids break ties, and being UUIDv7 they are the order of creation. */
export const sorts: Readonly<Record<Sort, { column: string; kind: KeyKind; direction: 'asc' | 'desc' }>> = {
  newest: { column: 'null', kind: 'none', direction: 'desc' },
  name: { column: 'name_key', kind: 'text', direction: 'asc' },
  price: { column: 'price_amount', kind: 'integer', direction: 'asc' },
  '-price': { column: 'price_amount', kind: 'integer', direction: 'desc' },
  relevance: { column: 'sort_key', kind: 'number', direction: 'desc' },
}

const keyTypes: Readonly<Record<KeyKind, string>> = {
  none: 'text',
  text: 'text',
  integer: 'bigint',
  number: 'double precision',
}

/**
 * The statement of a list, with its values; `$1` is how many rows. Each combination of filters and sort is a statement of
 * its own, so that each gets the plan and the index it needs.
 */
export function listStatement(
  query: ListQuery,
  sort: Sort,
  words: AskedWords | undefined,
  after: Position | undefined,
): { statement: Statement<ListedRow>; values: readonly unknown[] } {
  const values: unknown[] = []
  const parameter: Parameter = (value, type) => `$${values.push(value) + 1}::${type}`
  const position = after === undefined ? [] : [positionCondition(sort, after, parameter)]
  const { column, kind, direction } = sorts[sort]
  const order = `${kind === 'none' ? '' : `sort_key ${direction}, `}id ${direction}`
  if (words !== undefined) {
    const search = { query, words, parameter, position, order }
    const text = sort === 'relevance' ? rankedSearch(search) : sortedSearch({ ...search, column })
    return { statement: { name: UNNAMED, text }, values }
  }
  const columns = `${productColumns}, ${column} as sort_key`
  const page = `order by ${order}\n   limit $1`
  const conditions = conditionsOf(query, parameter)
  const text = `select ${columns}
   from product${where([...conditions, ...position])}
   ${page}`
  const isOtherForm = query.category !== undefined && formsOf(query.category).length > 1
  if (query.tag !== undefined || isOtherForm) return { statement: { name: UNNAMED, text }, values }
  const name = ['products.list', sort, ...namesOf(query), ...(after === undefined ? [] : ['after'])].join('.')
  return { statement: sql<ListedRow>(name, text), values }
}

interface Search {
  readonly query: ListQuery
  readonly words: AskedWords
  readonly parameter: Parameter
  readonly position: readonly string[]
  readonly order: string
}

/**
 * Relevance is measured of so many products that fit, the newest, which is ten pages: a word that all have must not rank all of
 * them. With a million products a word of every twentieth took 23 ms with 2,000.
 */
const RANKED_MAX = 240
const INEXACT_DIVISOR = 10

/** The rank is a double, so that a cursor carries it exactly. Words found as they were asked count most. */
function rankedSearch({ query, words, parameter, position, order }: Search): string {
  const [exact, asked] = [words.exact, words.query].map((text) => parameter(text, 'tsquery'))
  return `with ${newestFits({ filters: query, words, parameter, max: RANKED_MAX, columns: ['words'] })}, page as (
     select id, sort_key
     from (
       select id, (ts_rank(words, ${exact}) + ts_rank(words, ${asked}) / ${INEXACT_DIVISOR})::double precision as sort_key
       from fit
     ) as ranked${where(position)}
     order by ${order}
     limit $1
   )
   ${pageOf(order)}`
}

/** So many products that fit, the newest, are sorted: all there are, of most words. */
const SORTED_MAX = 1_000
/** Of words that more have, so many products are looked at in the order of the sort as well. */
const NEAR_MAX = 1_000

/**
 * What fits, by a sorting key: exactly where no more fit than are sorted. Of what is frequent, those that come next in the order of the sort and the
 * newest; so a page costs the same, whether the cheapest products have the words or only the dearest.
 */
function sortedSearch({
  query,
  words,
  parameter,
  position,
  order,
  column,
}: Search & { readonly column: string }): string {
  const { category, inStock } = query
  // One of them only, which an index has in the order of the sort: what the other one leaves out is to be counted, too.
  const ofStock = inStock === true ? { inStock } : {}
  const narrow = category === undefined ? ofStock : { category }
  const key = column === 'null' ? [] : [column]
  const sorted = ['id', ...key].join(', ')
  return `with ${newestFits({ filters: query, words, parameter, max: SORTED_MAX, columns: key })}, near as (
     select ${sorted}
     from (
       select ${[sorted, 'category', 'tags', 'in_stock', 'words', 'deleted_at'].join(', ')}, ${column} as sort_key
       from product${where([...conditionsOf(narrow, parameter), ...position])}
       order by ${order}
       limit ${NEAR_MAX}
     ) as next${where([`words @@ ${parameter(words.query, 'tsquery')}`, ...conditionsOf(query, parameter)])}
       and (select is_full from outcome)
   ), page as (
     select id, ${column} as sort_key
     from (table fit union table near) as either${where(position)}
     order by ${order}
     limit $1
   )
   ${pageOf(order)}`
}

/** Whole rows of the ids in `page`. */
function pageOf(order: string): string {
  return `select ${productColumns}, sort_key
   from page
   join product using (id)
   order by ${order}`
}

const where = (conditions: readonly string[]) =>
  conditions.length === 0 ? '' : `\n   where ${conditions.join('\n     and ')}`

/** What a product must be to be listed. */
function conditionsOf({ category, tag, inStock }: Filters, parameter: Parameter): string[] {
  return [
    'deleted_at is null',
    ...(category === undefined ? [] : [categoryCondition(formsOf(category), parameter)]),
    ...(tag === undefined ? [] : [tagCondition(formsOf(tag), parameter)]),
    ...(inStock === undefined ? [] : [inStock ? 'in_stock' : 'not in_stock']),
  ]
}

function categoryCondition(forms: readonly string[], parameter: Parameter): string {
  return forms.length === 1
    ? `category = ${parameter(forms[0], 'text')}`
    : `category = any(${parameter(forms, 'text[]')})`
}

function tagCondition(forms: readonly string[], parameter: Parameter): string {
  return forms.length === 1 ? `tags @> array[${parameter(forms[0], 'text')}]` : `tags && ${parameter(forms, 'text[]')}`
}

function positionCondition(sort: Sort, { key, id }: Position, parameter: Parameter): string {
  const { column, kind, direction } = sorts[sort]
  const comparison = direction === 'asc' ? '>' : '<'
  if (kind === 'none') return `id ${comparison} ${parameter(id, 'uuid')}`
  return `(${column}, id) ${comparison} (${parameter(key, keyTypes[kind])}, ${parameter(id, 'uuid')})`
}

function namesOf(query: ListQuery): string[] {
  return filterNames.flatMap((name) => {
    if (query[name] === undefined) return []
    return name === 'inStock' ? [query.inStock ? 'in' : 'out'] : [name]
  })
}
