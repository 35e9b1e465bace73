import { signal } from '@preact/signals'
import { productSorts, productsRoutes, type Facet, type Product } from '@saas/contracts'
import { useEffect, useRef } from 'preact/hooks'
import { Chips } from '../components/chips.tsx'
import { Icon } from '../components/icon.tsx'
import { Page } from '../components/page.tsx'
import { ProductCard } from '../components/product-card.tsx'
import { SearchForm } from '../components/search.tsx'
import { Empty, ListFrame } from '../components/states.tsx'
import { call } from '../client.ts'
import { count } from '../formats.ts'
import { texts } from '../language.ts'
import { useList, useLoaded } from '../loaded.ts'
import { go, linkTo, place } from '../router.ts'
import type { Input } from '../send.ts'
import { may } from '../session.ts'

const SEARCH_DELAY_MS = 250
const PAGE_ITEMS = 24

/** The categories of what is asked for. The last ones stay while others are on their way, so that no button jumps. */
const categories = signal<readonly Facet[]>([])

function useCategories(filters: Input<typeof productsRoutes.countFacets>['query'] & object, key: string): void {
  const { loaded } = useLoaded(
    async (signal) => (await call(productsRoutes.countFacets, { query: filters, signal })).body.categories,
    [key],
  )
  useEffect(() => {
    const counted = loaded.value
    if (counted.state === 'ready') categories.value = counted.value
    // Without counts the shop works all the same; buttons of another search would mislead.
    else if (counted.state === 'failed') categories.value = []
  }, [loaded.value])
}

/** The one that is chosen stays among the choices although nothing of it fits any more: it must be possible to undo it. */
function choicesOf(counted: readonly Facet[], chosen: string | undefined): readonly Facet[] {
  const isMissing = chosen !== undefined && !counted.some(({ name }) => name === chosen)
  return isMissing ? [{ name: chosen, count: 0, more: false }, ...counted] : counted
}

/** What is asked for stands in the URL, so that back, reload and a sent link show the same. */
function show(changes: Readonly<Record<string, string | undefined>>): void {
  const query = Object.fromEntries(place.peek().query)
  go(linkTo('shop', {}, { ...query, ...changes }), { replace: true })
}

export function ShopPage() {
  const { shop } = texts.value
  const { query, path } = place.value
  const words = query.get('q') ?? undefined
  const category = query.get('category') ?? undefined
  const tag = query.get('tag') ?? undefined
  const inStock = query.has('in-stock') || undefined
  const fallback = words === undefined ? 'newest' : 'relevance'
  const sort = productSorts.find((known) => known === query.get('sort')) ?? fallback
  const isNarrowed = [words, category, tag, inStock].some((filter) => filter !== undefined)

  const { list, isEmpty, more, reload } = useList<Product>(
    async (cursor, signal) => {
      const filters = { q: words, category, tag, inStock, sort, limit: PAGE_ITEMS, cursor }
      const { body } = await call(productsRoutes.listProducts, { query: filters, signal })
      return body
    },
    [path],
    { main: true },
  )
  const { items, next, state } = list.value
  const asked = { q: words, tag, inStock }
  useCategories(asked, JSON.stringify(asked))
  const isBare = !isNarrowed && isEmpty
  const sorts = productSorts.filter((known) => known !== 'relevance' || words !== undefined)

  return (
    <Page title={shop.title} kind="shop" lead={!isBare && <SearchField words={words ?? ''} />}>
      {!isBare && (
        <div class="filters">
          <Chips label={shop.category} chosen={`${category} ${tag} ${categories.value.length}`}>
            <button type="button" aria-pressed={category === undefined} onClick={() => show({ category: undefined })}>
              {shop.allCategories}
            </button>
            {choicesOf(categories.value, category).map(({ name, count: products, more: isMore }) => (
              <button
                type="button"
                key={name}
                aria-pressed={name === category}
                onClick={() => show({ category: name === category ? undefined : name })}
              >
                {name}
                <span class="chip-count">
                  {count(products)}
                  {isMore && '+'}
                </span>
              </button>
            ))}
            {tag !== undefined && (
              <button type="button" aria-pressed="true" onClick={() => show({ tag: undefined })}>
                {shop.tagged(tag)} <Icon name="cross" />
              </button>
            )}
          </Chips>
          <div class="filter-controls">
            <label class="check">
              <input
                type="checkbox"
                checked={inStock === true}
                onChange={(event) => show({ 'in-stock': event.currentTarget.checked ? 'yes' : undefined })}
              />
              {shop.inStock}
            </label>
            <label class="sort">
              <span class="visually-hidden">{shop.sort}</span>
              <select value={sort} onChange={(event) => show({ sort: event.currentTarget.value })}>
                {sorts.map((known) => (
                  <option key={known} value={known}>
                    {shop.sorts[known]}
                  </option>
                ))}
              </select>
            </label>
          </div>
        </div>
      )}
      <h2 class="visually-hidden">{shop.products}</h2>
      <p class="visually-hidden" role="status">
        {state === 'ready' && shop.found(items.length, next !== null)}
      </p>
      <ListFrame list={list.value} more={more} reload={reload} empty={<NothingThere isBare={isBare} />}>
        <ul class="shelf">
          {items.map((product) => (
            <li key={product.id}>
              <ProductCard product={product} />
            </li>
          ))}
        </ul>
      </ListFrame>
    </Page>
  )
}

function NothingThere({ isBare }: { isBare: boolean }) {
  const { shop, manage } = texts.value
  if (isBare) {
    return may('products:write') ? (
      <Empty title={shop.empty} hint={manage.emptyHint}>
        <a class="button" href={linkTo('manageProduct', { id: 'new' })}>
          {manage.new}
        </a>
      </Empty>
    ) : (
      <Empty title={shop.empty} hint={shop.emptyHint} />
    )
  }
  const { q, ...others } = Object.fromEntries(place.value.query)
  const isSearchNarrowed = q !== undefined && ['category', 'tag', 'in-stock'].some((name) => name in others)
  return (
    <Empty title={shop.nothingFound} hint={isSearchNarrowed ? shop.nothingFoundHere : shop.nothingFoundHint}>
      <div class="form-actions">
        {isSearchNarrowed && (
          <a class="button" href={linkTo('shop', {}, { q })}>
            {shop.searchEverything}
          </a>
        )}
        <a class="button quiet" href={linkTo('shop')}>
          {shop.showAll}
        </a>
      </div>
    </Empty>
  )
}

function SearchField({ words }: { words: string }) {
  const field = useRef<HTMLInputElement>(null)
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  // The field keeps what is being typed; only another source of the words, such as the back button, overwrites it.
  useEffect(() => {
    const input = field.current
    if (input !== null && input !== document.activeElement) input.value = words
  }, [words])
  useEffect(() => () => clearTimeout(timer.current), [])
  const search = (typed: string): void => {
    clearTimeout(timer.current)
    if (typed !== words) show({ q: typed === '' ? undefined : typed, sort: undefined })
  }
  const onInput = (): void => {
    clearTimeout(timer.current)
    timer.current = setTimeout(() => search(field.current?.value.trim() ?? ''), SEARCH_DELAY_MS)
  }
  return <SearchForm field={field} words={words} search={search} onInput={onInput} />
}
