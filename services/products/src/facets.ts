import { FACETS_MAX, type Facet, type ProductFacets, type productsRoutes, type QueryOf } from '@saas/contracts'
import { sql, type Database, type Statement } from '@saas/state'
import { conditionsOf, UNNAMED, type Filters } from './list-statement.ts'
import { resolveSearch, type AskedWords } from './search.ts'

/** Of so many products that fit, the newest, categories and tags are counted: a catalogue has no size. */
const COUNTED_MAX = 10_000
/** Of words fewer: what is frequent is looked for row by row, and with a million products 10,000 took 300 ms. */
const COUNTED_OF_WORDS_MAX = 2_000
/** When nothing but the stock narrows the list: so many categories are looked at, and so many products in each. */
const CATEGORIES_MAX = 200
const COUNTED_IN_CATEGORY_MAX = 1_000

type FacetQuery = QueryOf<typeof productsRoutes.countFacets>

/** What the shop offers to narrow a list by. */
export class Facets {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Each kind is counted without its own filter, so that the other choices are seen with what they would give. */
  async count(query: FacetQuery): Promise<ProductFacets> {
    const { category, tag, ...shared } = query
    const words = query.q === undefined ? undefined : await resolveSearch(this.#database, query.q)
    if (query.q !== undefined && words === undefined) return { categories: [], tags: [] }
    const isOpen = words === undefined && tag === undefined
    const [categories, tags] = await Promise.all([
      isOpen
        ? this.#walkCategories(query.inStock)
        : this.#countFits('category', { ...shared, ...given({ tag }) }, words),
      this.#countFits('tag', { ...shared, ...given({ category }) }, words),
    ])
    return { categories, tags }
  }

  // Steps from one category to the next in the index, so that it finds the small ones in any number of products.
  static readonly #walk = sql<Facet>(
    'products.walk_categories',
    `with recursive known as (
       (
         select category as name
         from product
         where deleted_at is null
           and category is not null
         order by category
         limit 1
       )
       union all
       select (
         select category
         from product
         where deleted_at is null
           and category > known.name
         order by category
         limit 1
       )
       from known
       where known.name is not null
     )
     select choice.name, counted.count, counted.more
     from (select name from known where name is not null limit ${CATEGORIES_MAX}) as choice
     cross join lateral (
       select (count(*) filter (where $1::boolean is null or in_stock = $1))::integer as count,
         count(*) = ${COUNTED_IN_CATEGORY_MAX} as more
       from (
         select in_stock
         from product
         where deleted_at is null
           and category = choice.name
         order by id desc
         limit ${COUNTED_IN_CATEGORY_MAX}
       ) as newest
     ) as counted
     where counted.count > 0
     order by counted.count desc, choice.name
     limit ${FACETS_MAX}`,
  )

  async #walkCategories(inStock: boolean | undefined): Promise<Facet[]> {
    return await this.#database.read(Facets.#walk, [inStock ?? null])
  }

  async #countFits(kind: 'category' | 'tag', filters: Filters, words: AskedWords | undefined): Promise<Facet[]> {
    const values: unknown[] = []
    const parameter = (value: unknown, type: string) => `$${values.push(value)}::${type}`
    const asked = words === undefined ? undefined : parameter(words.query, 'tsquery')
    const conditions = conditionsOf(filters, asked, parameter)
    const countedMax = words === undefined ? COUNTED_MAX : COUNTED_OF_WORDS_MAX
    // Planned each time, for what is asked; see `listStatement`.
    const statement: Statement<Facet> = {
      name: UNNAMED,
      text: `with fit as materialized (
         select category, tags
         from product
         where ${conditions.join('\n           and ')}
         order by id desc
         limit ${countedMax}
       )
       select name, count(*)::integer as count, (select count(*) = ${countedMax} from fit) as more
       from ${kind === 'category' ? '(select category as name from fit) as one' : 'fit cross join unnest(tags) as name'}
       where name is not null
       group by name
       order by count(*) desc, name
       limit ${FACETS_MAX}`,
    }
    return await this.#database.read(statement, values)
  }
}

function given<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never
}
