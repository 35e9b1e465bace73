import type { productsRoutes, QueryOf } from '@saas/contracts'
import { sql, type Statement } from '@saas/state'
import type { KeyKind, Position } from './cursor.ts'
import { productColumns, type ProductRow } from './product-row.ts'
import { composed } from './product-text.ts'
import { rankedFits, sortedFits } from './ranked-fits.ts'
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
  relevance: { column: 'rank', kind: 'number', direction: 'desc' },
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
  const asked = words === undefined ? undefined : parameter(words.query, 'tsquery')
  const conditions = conditionsOf(query, asked, parameter)
  const position = after === undefined ? [] : [positionCondition(sort, after, parameter)]
  const { column, kind, direction } = sorts[sort]
  const columns = `${productColumns}, ${column} as sort_key`
  const page = `order by ${kind === 'none' ? '' : `sort_key ${direction}, `}id ${direction}\n   limit $1`
  if (words !== undefined && asked !== undefined) {
    const shared = { query, words, parameter }
    const text =
      sort === 'relevance'
        ? `select ${columns}
   from (${rankedFits({ ...shared, asked, conditions })}) as ranked${where(position)}
   ${page}`
        : sortedFits({ ...shared, columns, conditions: [...conditions, ...position], page })
    return { statement: { name: UNNAMED, text }, values }
  }
  const text = `select ${columns}
   from product${where([...conditions, ...position])}
   ${page}`
  const isOtherForm = query.category !== undefined && formsOf(query.category).length > 1
  if (query.tag !== undefined || isOtherForm) return { statement: { name: UNNAMED, text }, values }
  const name = ['products.list', sort, ...namesOf(query), ...(after === undefined ? [] : ['after'])].join('.')
  return { statement: sql<ListedRow>(name, text), values }
}

const where = (conditions: readonly string[]) =>
  conditions.length === 0 ? '' : `\n   where ${conditions.join('\n     and ')}`

/** Adds a value to those of the statement and returns how it is written there. */
export type Parameter = (value: unknown, type: string) => string

export type Filters = Pick<ListQuery, (typeof filterNames)[number]>

/** What a product must be to fit; `asked` is the parameter that holds the words. */
export function conditionsOf(
  { category, tag, inStock }: Filters,
  asked: string | undefined,
  parameter: Parameter,
): string[] {
  return [
    'deleted_at is null',
    ...(asked === undefined ? [] : [`words @@ ${asked}`]),
    ...(category === undefined ? [] : [categoryCondition(formsOf(category), parameter)]),
    ...(tag === undefined ? [] : [tagCondition(formsOf(tag), parameter)]),
    ...(inStock === undefined ? [] : [inStock ? 'in_stock' : 'not in_stock']),
  ]
}

/** The form in which texts are kept and, if it is another, the one asked for, which an old product may still have. */
const formsOf = (name: string): readonly string[] => [...new Set([composed(name), name])]

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
