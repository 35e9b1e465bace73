import { productsRoutes, type Product } from '@saas/contracts'
import { call } from '../client.ts'
import { Artwork } from '../components/artwork.tsx'
import { entry } from '../components/form.tsx'
import { Page, SignedInOnly } from '../components/page.tsx'
import { Empty, ListFrame } from '../components/states.tsx'
import { count, money } from '../formats.ts'
import { texts } from '../language.ts'
import { useList } from '../loaded.ts'
import { go, linkTo, place } from '../router.ts'

const PAGE_ITEMS = 50

export function ManageProductsPage() {
  return (
    <SignedInOnly permission="products:write">
      <Products />
    </SignedInOnly>
  )
}

function Products() {
  const { manage, shop } = texts.value
  const words = place.value.query.get('q') ?? undefined
  const { list, more, reload } = useList<Product>(
    async (cursor, signal) => {
      const query = { q: words, limit: PAGE_ITEMS, cursor, sort: words === undefined ? 'newest' : 'relevance' } as const
      return (await call(productsRoutes.listProducts, { query: { ...query }, signal })).body
    },
    [words],
  )
  const search = (event: SubmitEvent): void => {
    event.preventDefault()
    const q = entry(new FormData(event.currentTarget as HTMLFormElement), 'q')
    go(linkTo('manageProducts', {}, { q }), { replace: true })
  }
  const create = (
    <a class="button" href={linkTo('manageProduct', { id: 'new' })}>
      {manage.new}
    </a>
  )
  const empty =
    words === undefined ? (
      <Empty title={manage.empty} hint={manage.emptyHint} />
    ) : (
      <Empty title={shop.nothingFound} hint={shop.nothingFoundHint} />
    )
  return (
    <Page title={manage.title} kind="office" lead={create}>
      <search>
        <form class="form-row" onSubmit={search}>
          <input
            type="search"
            name="q"
            defaultValue={words ?? ''}
            maxLength={200}
            aria-label={shop.searchLabel}
            placeholder={shop.searchHint}
          />
        </form>
      </search>
      <ListFrame list={list.value} more={more} reload={reload} empty={empty}>
        <div class="table-frame">
          <table>
            <thead>
              <tr>
                <th scope="col">{manage.name}</th>
                <th scope="col">{manage.sku}</th>
                <th scope="col">{manage.category}</th>
                <th scope="col" class="numeric">
                  {manage.price}
                </th>
                <th scope="col" class="numeric">
                  {manage.stock}
                </th>
              </tr>
            </thead>
            <tbody>
              {list.value.items.map(({ id, name, sku, category, price, stock }) => (
                <tr key={id}>
                  <th scope="row">
                    <span class="with-thumb">
                      <span class="thumb">
                        <Artwork seed={id} />
                      </span>
                      <a href={linkTo('manageProduct', { id })}>{name}</a>
                    </span>
                  </th>
                  <td>{sku}</td>
                  <td>{category}</td>
                  <td class="numeric">{money(price)}</td>
                  <td class={stock <= 5 ? 'numeric few' : 'numeric'}>{count(stock)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </ListFrame>
    </Page>
  )
}
