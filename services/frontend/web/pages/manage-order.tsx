import { ordersRoutes } from '@saas/contracts'
import { call } from '../client.ts'
import { Icon } from '../components/icon.tsx'
import { OrderLines, OrderProgress } from '../components/order-parts.tsx'
import { StatusBadge } from '../components/order-status.tsx'
import { Page, SignedInOnly } from '../components/page.tsx'
import { Loading } from '../components/states.tsx'
import { dateTime } from '../formats.ts'
import { texts } from '../language.ts'
import { useLoaded } from '../loaded.ts'
import { linkTo, place } from '../router.ts'
import { FailedPage } from './failed.tsx'

export function ManageOrderPage() {
  return (
    <SignedInOnly permission="orders:read">
      <a class="back" href={linkTo('manageOrders')}>
        <Icon name="back" />
        {texts.value.office.orders}
      </a>
      <AnyOrder id={place.value.params['id'] ?? ''} />
    </SignedInOnly>
  )
}

function AnyOrder({ id }: { id: string }) {
  const { order: words, office } = texts.value
  const { loaded, reload } = useLoaded(
    async (signal) => (await call(ordersRoutes.getOrder, { params: { id }, signal })).body,
    [id],
  )
  if (loaded.value.state === 'loading') return <Loading />
  if (loaded.value.state === 'failed') return <FailedPage error={loaded.value.error} retry={reload} />
  const order = loaded.value.value
  return (
    <Page title={words.title(dateTime(order.createdAt))} kind="office">
      <section class={`status-panel ${order.status}`} aria-label={words.progress}>
        <div>
          <StatusBadge status={order.status} />
          {order.reason !== undefined && <p class="status-words">{words.reasons[order.reason]}</p>}
        </div>
        <OrderProgress order={order} />
      </section>
      <h2>{office.articles}</h2>
      <OrderLines order={order} />
      <dl class="facts">
        <div>
          <dt>{words.number}</dt>
          <dd class="number">{order.id}</dd>
        </div>
        {order.customerId !== undefined && (
          <div>
            <dt>{office.customer}</dt>
            <dd class="number">
              <a href={linkTo('manageOrders', {}, { customer: order.customerId })}>{order.customerId}</a>
            </dd>
          </div>
        )}
      </dl>
    </Page>
  )
}
