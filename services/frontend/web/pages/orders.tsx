import { IDS_MAX, orderStates, ordersRoutes, type Order, type OrderStatus, type Product } from '@saas/contracts'
import { call } from '../client.ts'
import { Chips } from '../components/chips.tsx'
import { ProductPicture } from '../components/product-picture.tsx'
import { StatusBadge } from '../components/order-status.tsx'
import { Page, SignedInOnly } from '../components/page.tsx'
import { Empty, ListFrame } from '../components/states.tsx'
import { count, dateTime, money } from '../formats.ts'
import { texts } from '../language.ts'
import { useList } from '../loaded.ts'
import { useProducts } from '../loaded-products.ts'
import { go, linkTo, place } from '../router.ts'

const PAGE_ITEMS = 20
const PICTURES_MAX = 3

export function OrdersPage() {
  return (
    <SignedInOnly>
      <Orders />
    </SignedInOnly>
  )
}

function Orders() {
  const { orders, basket, shop } = texts.value
  const status = orderStates.find((known) => known === place.value.query.get('status'))
  const { list, more, reload } = useList<Order>(
    async (cursor, signal) =>
      (await call(ordersRoutes.listOrders, { query: { limit: PAGE_ITEMS, cursor, status }, signal })).body,
    [status],
    { main: true },
  )
  // The pictures of what is shown; a card without them has composed ones.
  const pictured = list.value.items
    .flatMap(({ lines }) => lines.slice(0, PICTURES_MAX))
    .map(({ productId }) => productId)
  const known = useProducts([...new Set(pictured)].slice(0, IDS_MAX))
  const isEmpty = status === undefined && list.value.state === 'ready' && list.value.items.length === 0
  const empty = !isEmpty ? (
    <Empty title={shop.nothingFound} />
  ) : (
    <Empty title={orders.empty} hint={orders.emptyHint}>
      <a class="button" href={linkTo('shop')}>
        {basket.browse}
      </a>
    </Empty>
  )
  return (
    <Page title={orders.title}>
      {!isEmpty && <StatusChoice chosen={status} />}
      <ListFrame list={list.value} more={more} reload={reload} empty={empty}>
        <ul class="orders">
          {list.value.items.map((order) => (
            <li key={order.id}>
              <OrderCard order={order} known={known} />
            </li>
          ))}
        </ul>
      </ListFrame>
    </Page>
  )
}

/** What is asked for stands in the URL, so that back, reload and a sent link show the same. */
function StatusChoice({ chosen }: { chosen: OrderStatus | undefined }) {
  const { order, orders, office } = texts.value
  const show = (status: OrderStatus | undefined) => go(linkTo('orders', {}, { status }), { replace: true })
  return (
    <div class="filters">
      <Chips label={office.status} chosen={String(chosen)}>
        {[undefined, ...orderStates].map((status) => (
          <button type="button" key={status} aria-pressed={status === chosen} onClick={() => show(status)}>
            {status === undefined ? orders.all : order.statuses[status]}
          </button>
        ))}
      </Chips>
    </div>
  )
}

function OrderCard({ order, known }: { order: Order; known: ReadonlyMap<string, Product> }) {
  const items = order.lines.reduce((total, { quantity }) => total + quantity, 0)
  return (
    <article class="order-card">
      <div class="order-pictures" aria-hidden="true">
        {order.lines.slice(0, PICTURES_MAX).map(({ productId }) => (
          <ProductPicture
            key={productId}
            product={{ id: productId, pictures: known.get(productId)?.pictures }}
            width="64px"
          />
        ))}
      </div>
      <div class="order-words">
        <h2>
          <a href={linkTo('order', { id: order.id })}>{dateTime(order.createdAt)}</a>
        </h2>
        <p class="hint">
          <bdi>{order.lines[0]?.name}</bdi>
          {order.lines.length > 1 && ' …'} · {texts.value.orders.items(items, count(items))}
        </p>
      </div>
      <StatusBadge status={order.status} />
      <p class="price">{money(order.total)}</p>
    </article>
  )
}
