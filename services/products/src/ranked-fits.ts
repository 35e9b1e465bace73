import type { Filters, Parameter } from './list-statement.ts'
import type { AskedWords } from './search.ts'

/**
 * Relevance is measured of so many products that fit, the newest, which is ten pages: a word that all have must not rank all of
 * them. With a million products a word of every twentieth took 23 ms with 2,000.
 */
const RANKED_MAX = 240
const INEXACT_DIVISOR = 10

const NEWEST = `order by id desc limit ${RANKED_MAX}`

/** So many words are looked up in the eras, at most, before the search goes over to all products. */
const LOOK_UPS_MAX = 128
const ERAS_MAX = 32

export interface RankedOptions {
  readonly query: Filters
  readonly words: AskedWords
  /** The parameter that holds the words. */
  readonly asked: string
  /** What a product must be to fit, the words included. */
  readonly conditions: readonly string[]
  readonly parameter: Parameter
}

/**
 * The newest products that fit, with their rank: a double, so that a cursor carries it exactly. Words found as they were asked count
 * most. Only the ids of what fits are sorted: whole rows took as long again.
 */
export function rankedFits({ query, words, asked, conditions, parameter }: RankedOptions): string {
  const all = `select id
           from product
           where ${conditions.join('\n             and ')}`
  const isNarrow = query.category !== undefined || query.tag !== undefined
  const fits = isNarrow ? `${all}\n       ${NEWEST}` : walkedFits({ query, words, all, parameter })
  const exact = parameter(words.exact, 'tsquery')
  return `
     select
       product.*,
       (ts_rank(words, ${exact}) + ts_rank(words, ${asked}) / ${INEXACT_DIVISOR})::double precision as rank
     from (
       ${fits}
     ) as fit
     join product using (id)
   `
}

interface WalkOptions extends Pick<RankedOptions, 'query' | 'words' | 'parameter'> {
  /** All that fit, in no order. */
  readonly all: string
}

/**
 * After the last of its eras the walk looks among all products instead, in the index of words ("offset 0" keeps Postgres from going through
 * the newest, of which is known that few fit).
 */
function walkedFits({ all, ...options }: WalkOptions): string {
  return `with ${walk(options)}, outcome as materialized (
         select era > ${erasOf(options.words)} and (select count(*) from walked) < ${RANKED_MAX} as is_short
         from newest
       )
       select id
       from walked
       where not (select is_short from outcome)
       union all
       (
         select id
         from (
           ${all}
           offset 0
         ) as fit
         where (select is_short from outcome)
         ${NEWEST}
       )`
}

const erasOf = ({ variants }: AskedWords) => Math.min(ERAS_MAX, Math.ceil(LOOK_UPS_MAX / variants))

/**
 * The table expression `walked`: ids of the newest products with the words. Goes from era to era, the newest first, until there are enough; the
 * index has each word of each era by itself, so two words that thousands of products have cost what the newest of them cost. The order is that
 * of a nested loop, the only way there is to run a lateral join, so a search is the same each time.
 */
function walk({ query: { inStock }, words, parameter }: Omit<WalkOptions, 'all'>): string {
  const stock = inStock === undefined ? '' : `\n               and ${inStock ? 'in_stock' : 'not in_stock'}`
  // The number of the newest id is not always the greatest: several programs make them. It is never an era behind.
  return `newest as materialized (
         select (coalesce(number, 0) >> 12) + 1 as era
         from product
         order by id desc
         limit 1
       ), walked as materialized (
         select found.id
         from newest
         cross join generate_series(newest.era, greatest(newest.era - ${erasOf(words)}, 0), -1) as walk (era)
         cross join lateral (
           select id
           from product
           where deleted_at is null${stock}
             and words_of_era(words, number) @@ replace(${parameter(words.ofEra, 'text')}, '{era}', walk.era::text)::tsquery
           order by id desc
           limit ${RANKED_MAX}
         ) as found
         limit ${RANKED_MAX}
       )`
}

interface SortedOptions extends Omit<WalkOptions, 'all'> {
  readonly columns: string
  readonly conditions: readonly string[]
  /** The clauses that make a page of them. */
  readonly page: string
}

/**
 * The products with the words by a sorting key. Of words that many of the newest have, products are gone through in their order, and a page is
 * soon full if the words are spread evenly; of others they are looked up and sorted. Postgres does not know how frequent a beginning is, takes it for every two-hundredth product,
 * and went through a million of them, in 2 s, for the eleven that there were.
 */
export function sortedFits({ columns, conditions, page, ...options }: SortedOptions): string {
  const fits = `select ${columns}
     from product
     where ${conditions.join('\n       and ')}`
  return `with ${walk(options)}, outcome as materialized (
     select count(*) < ${RANKED_MAX} as are_few
     from walked
   )
   (
     ${fits}
       and not (select are_few from outcome)
     ${page}
   )
   union all
   (
     select *
     from (
       ${fits}
       offset 0
     ) as fit
     where (select are_few from outcome)
     ${page}
   )
   ${page}`
}
