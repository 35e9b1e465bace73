import { composed } from './product-text.ts'
import type { AskedWords } from './search.ts'

/** So many look-ups in the eras, at most, before it is looked among all products. One that finds nothing takes 8 µs. */
const LOOK_UPS_MAX = 1_024
/**
 * So many rows of one era are sorted, at most. An era has half as many; only those from before there were eras, which are together in the
 * first one, may be more, and of these some are sorted and not all.
 */
const FITS_OF_ERA_MAX = 8_192
/** So many rows are taken of all products where the look-ups would be too many. */
const LOOKED_UP_MAX = 2_000

/** Adds a value to those of the statement and returns how it is written there. */
export type Parameter = (value: unknown, type: string) => string

/** What a product must have to fit. */
export interface Filters {
  readonly category?: string
  readonly tag?: string
  readonly inStock?: boolean
}

export interface NewestOptions {
  readonly filters: Filters
  readonly words: AskedWords | undefined
  readonly parameter: Parameter
  /** How many are wanted. */
  readonly max: number
  /** What is wanted of each beside its id. */
  readonly columns?: readonly string[]
}

/** The form in which texts are kept and, if it is another, the one asked for, which an old product may still have. */
export const formsOf = (name: string): readonly string[] => [...new Set([composed(name), name])]

/**
 * Table expressions of a statement, of which `fit` is the newest products that fit, and `outcome.is_full` whether there may be older ones.
 *
 * Goes from era to era, the newest first, until there are enough. The index of eras has each word of each era by itself, and tags, categories and
 * stock beside it, so what is asked costs what the newest of it cost, however it is spread. The order is that of a nested loop, the only way
 * there is to run a lateral join, so a search is the same each time. Where words have so many variants, or there are so many eras, that the walk
 * ends before the first one, some are looked up among all products as well.
 */
export function newestFits({ filters, words, parameter, max, columns = [] }: NewestOptions): string {
  const erasMax = Math.ceil(LOOK_UPS_MAX / (words?.variants ?? 1))
  const selected = ['id', ...columns].join(', ')
  const others = ['deleted_at is null', ...indexedConditions(filters, parameter)]
  const ofEra =
    words === undefined
      ? 'array[coalesce(number, 0) >> 12] @> array[walk.era]'
      : `words_of_era(words, number) @@ replace(${parameter(words.ofEra, 'text')}, '{era}', walk.era::text)::tsquery`
  const ofAll = words === undefined ? [] : [`words @@ ${parameter(words.query, 'tsquery')}`]
  const where = (conditions: readonly string[]) => conditions.join('\n               and ')
  // The number of the newest id is not always the greatest: several programs make them. It is never an era behind.
  return `newest as materialized (
         select (coalesce(number, 0) >> 12) + 1 as era
         from product
         order by id desc
         limit 1
       ), walked as materialized (
         select found.*
         from newest
         cross join generate_series(newest.era, greatest(newest.era - ${erasMax}, 0), -1) as walk (era)
         cross join lateral (
           select *
           from (
             select ${selected}
             from product
             where ${where([ofEra, ...others])}
             limit ${FITS_OF_ERA_MAX}
           ) as of_era
           order by id desc
           limit ${max}
         ) as found
         limit ${max}
       ), outcome as materialized (
         select found = ${max} as is_full, found < ${max} and (select era from newest) > ${erasMax} as is_short
         from (select count(*) as found from walked) as counted
       ), fit as materialized (
         select *
         from (
           table walked
           union
           select *
           from (
             select ${selected}
             from product
             where ${where([...ofAll, ...others])}
             limit ${LOOKED_UP_MAX}
           ) as looked_up
           where (select is_short from outcome)
         ) as either
         order by id desc
         limit ${max}
       )`
}

/** The filters as the index of eras has them. */
function indexedConditions({ category, tag, inStock }: Filters, parameter: Parameter): string[] {
  return [
    ...(tag === undefined ? [] : [`tags && ${parameter(formsOf(tag), 'text[]')}`]),
    ...(category === undefined ? [] : [`array[category] && ${parameter(formsOf(category), 'text[]')}`]),
    ...(inStock === undefined ? [] : [`array[in_stock] @> array[${parameter(inStock, 'boolean')}]`]),
  ]
}
