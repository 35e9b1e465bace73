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
 * Goes from era to era, the newest first, until there are enough; the index has each word of each era by itself, so two words that
 * thousands of products have cost what the newest of them cost. After the last of its eras it looks among all products instead, in the
 * index of words ("offset 0" keeps Postgres from going through the newest, of which is known that few fit). The order is
 * that of a nested loop, the only way there is to run a lateral join, so a search is the same each time.
 */
function walkedFits({ query: { inStock }, words: { ofEra, variants }, all, parameter }: WalkOptions): string {
  const eras = Math.min(ERAS_MAX, Math.ceil(LOOK_UPS_MAX / variants))
  const stock = inStock === undefined ? '' : `\n               and ${inStock ? 'in_stock' : 'not in_stock'}`
  // The number of the newest id is not always the greatest: several programs make them. It is never an era behind.
  return `with newest as materialized (
         select (coalesce(number, 0) >> 12) + 1 as era
         from product
         order by id desc
         limit 1
       ), walked as materialized (
         select found.id
         from newest
         cross join generate_series(newest.era, greatest(newest.era - ${eras}, 0), -1) as walk (era)
         cross join lateral (
           select id
           from product
           where deleted_at is null${stock}
             and words_of_era(words, number) @@ replace(${parameter(ofEra, 'text')}, '{era}', walk.era::text)::tsquery
           order by id desc
           limit ${RANKED_MAX}
         ) as found
         limit ${RANKED_MAX}
       ), outcome as materialized (
         select era > ${eras} and (select count(*) from walked) < ${RANKED_MAX} as is_short
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
