import { FACETS_MAX, type Facet, type ProductFacets, type productsRoutes, type QueryOf } from '@saas/contracts'
import { sql, type Database, type Statement } from '@saas/state'
import { UNNAMED } from './list-statement.ts'
import { newestFits, type Filters } from './newest-fits.ts'
import { resolveSearch, type AskedWords } from './search.ts'

/** Of so many products that fit, the newest, categories and tags are counted: a catalogue has no size. */
const COUNTED_MAX = 2_000
/** When nothing but the stock narrows the list: so many categories are looked at. */
const CATEGORIES_MAX = 200
/** So many products in all of them together, as many in each: with 1,000 in each of a hundred, those in stock took 127 ms. */
const COUNTED_IN_CATEGORIES_MAX = 20_000

type FacetQuery = QueryOf<typeof productsRoutes.countFacets>

/** Steps from one category to the next in the index, so that the small ones are found in any number of products. */
const walkCategories = (counted: string) => `with recursive known as (
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
   ), choice as materialized (
     select name
     from known
     where name is not null
     limit ${CATEGORIES_MAX + 1}
   ), bound as materialized (
     select ${COUNTED_IN_CATEGORIES_MAX} / greatest(count(*), 1) as in_each
     from choice
   )
   select choice.name, counted.count, counted.more
   from choice
   cross join lateral (${counted}) as counted
   order by counted.count desc, choice.name`

// The category stands in the index, and no product is looked at.
const countCategories = sql<Facet>(
  'products.count_categories',
  walkCategories(`
     select count(*)::integer as count, count(*) = (select in_each from bound) as more
     from (
       select
       from product
       where deleted_at is null
         and category = choice.name
       limit (select in_each from bound)
     ) as fit
   `),
)

const countCategoriesInStock = sql<Facet>(
  'products.count_categories_in_stock',
  walkCategories(`
     select (count(*) filter (where in_stock = $1))::integer as count, count(*) = (select in_each from bound) as more
     from (
       select in_stock
       from product
       where deleted_at is null
         and category = choice.name
       order by id desc
       limit (select in_each from bound)
     ) as newest
   `),
)

/** What the shop offers to narrow a list by. */
export class Facets {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Each kind is counted without its own filter, so that the other choices are seen with what they would give. */
  async count({ category, tag, ...shared }: FacetQuery): Promise<ProductFacets> {
    const words = shared.q === undefined ? undefined : await resolveSearch(this.#database, shared.q)
    if (shared.q !== undefined && words === undefined) return answerOf({ categories: none, tags: none })
    const isOpen = words === undefined && tag === undefined
    const [categories, tags] = await Promise.all([
      isOpen
        ? this.#walkCategories(shared.inStock)
        : this.#countFits('category', { ...shared, ...given({ tag }) }, words),
      this.#countFits('tag', { ...shared, ...given({ category }) }, words),
    ])
    return answerOf({ categories, tags })
  }

  async #walkCategories(inStock: boolean | undefined): Promise<Counted> {
    const rows =
      inStock === undefined
        ? await this.#database.read(countCategories, [])
        : await this.#database.read(countCategoriesInStock, [inStock])
    const facets = rows.filter(({ count }) => count > 0)
    // One of which none of the newest fits may have an older one that does.
    const isEach = rows.length <= CATEGORIES_MAX && rows.every(({ count, more }) => count > 0 || !more)
    return { facets, isEach }
  }

  async #countFits(kind: 'category' | 'tag', filters: Filters, words: AskedWords | undefined): Promise<Counted> {
    const values: unknown[] = []
    const parameter = (value: unknown, type: string) => `$${values.push(value)}::${type}`
    const columns = [kind === 'category' ? 'category' : 'tags']
    // Planned each time, for what is asked; see `listStatement`. There is a row also when no name is found.
    const statement: Statement<Omit<Facet, 'name'> & { readonly name: string | null }> = {
      name: UNNAMED,
      text: `with ${newestFits({ filters, words, parameter, max: COUNTED_MAX, columns })}
       select named.name, coalesce(named.count, 0) as count, whole.more
       from (select count(*) = ${COUNTED_MAX} as more from fit) as whole
       left join (
         select name, count(*)::integer as count
         from ${kind === 'category' ? '(select category as name from fit) as one' : 'fit cross join unnest(tags) as name'}
         where name is not null
         group by name
         order by count(*) desc, name
         limit ${FACETS_MAX + 1}
       ) as named on true
       order by count desc, name`,
    }
    const rows = await this.#database.read(statement, values)
    const facets = rows.filter((row): row is Facet => row.name !== null)
    return { facets, isEach: rows.every(({ more }) => !more) }
  }
}

/** Names of one kind, most products first. */
interface Counted {
  readonly facets: Facet[]
  /** Whether every name that fits is among them. */
  readonly isEach: boolean
}

const none: Counted = { facets: [], isEach: true }

function answerOf({ categories, tags }: { readonly categories: Counted; readonly tags: Counted }): ProductFacets {
  const listed = ({ facets }: Counted) => facets.slice(0, FACETS_MAX)
  const hasMore = ({ facets, isEach }: Counted) => !isEach || facets.length > FACETS_MAX
  return {
    categories: listed(categories),
    moreCategories: hasMore(categories),
    tags: listed(tags),
    moreTags: hasMore(tags),
  }
}

function given<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never
}
