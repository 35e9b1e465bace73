import { productsRoutes, type Product } from '@saas/contracts'
import { call } from '../client.ts'
import { ProductPicture } from '../components/product-picture.tsx'
import { entry } from '../components/form.tsx'
import { Page, SignedInOnly } from '../components/page.tsx'
import { Empty, ListFrame } from '../components/states.tsx'
import { Cell, Row, Table } from '../components/table.tsx'
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
  const { list, isEmpty, more, reload } = useList<Product>(
    async (cursor, signal) => {
      const query = { q: words, limit: PAGE_ITEMS, cursor, sort: words === undefined ? 'newest' : 'relevance' } as const
      return (await call(productsRoutes.listProducts, { query: { ...query }, signal })).body
    },
    [words],
    { main: true },
  )
  const search = (event: SubmitEvent): void => {
    event.preventDefault()
    const q = entry(new FormData(event.currentTarget as HTMLFormElement), 'q')
    go(linkTo('manageProducts', {}, { q }), { replace: true })
  }
  const create = (
    <div class="form-actions">
      <a class="button quiet" href={linkTo('manageFiles')}>
        {texts.value.files.title}
      </a>
      <a class="button" href={linkTo('manageProduct', { id: 'new' })}>
        {manage.new}
      </a>
    </div>
  )
  const isBare = words === undefined && isEmpty
  const empty = isBare ? (
    <Empty title={manage.empty} hint={manage.emptyHint} />
  ) : (
    <Empty title={shop.nothingFound} hint={shop.nothingFoundHint}>
      <a class="button quiet" href={linkTo('manageProducts')}>
        {shop.showAll}
      </a>
    </Empty>
  )
  return (
    <Page title={manage.title} kind="office" lead={create}>
      {!isBare && (
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
      )}
      <ListFrame list={list.value} more={more} reload={reload} empty={empty}>
        <Table heads={[manage.name, manage.sku, manage.category, manage.price, manage.stock]}>
          {list.value.items.map((product) => {
            const { id, name, sku, category, price, stock, lowStockThreshold } = product
            const head = (
              <span class="with-thumb">
                <span class="thumb">
                  <ProductPicture product={product} width="44px" />
                </span>
                <a href={linkTo('manageProduct', { id })}>
                  <bdi>{name}</bdi>
                </a>
              </span>
            )
            return (
              <Row key={id} head={head}>
                <Cell>{sku}</Cell>
                <Cell>{category}</Cell>
                <Cell kind="numeric">{money(price)}</Cell>
                <Cell kind={stock <= (lowStockThreshold ?? 5) ? 'numeric few' : 'numeric'}>
                  <span class="phone-label">{manage.stock}: </span>
                  {count(stock)}
                </Cell>
              </Row>
            )
          })}
        </Table>
      </ListFrame>
    </Page>
  )
}
