import { useSignal } from '@preact/signals'
import { ordersRoutes, type Order } from '@saas/contracts'
import { useEffect, useRef } from 'preact/hooks'
import { preparePuttingBack, putBack, type PuttingBack } from '../basket.ts'
import { call } from '../client.ts'
import { OrderLines, OrderProgress } from '../components/order-parts.tsx'
import { StatusBadge } from '../components/order-status.tsx'
import { Page, SignedInOnly } from '../components/page.tsx'
import { AskingButton } from '../components/question.tsx'
import { Loading } from '../components/states.tsx'
import { dateTime } from '../formats.ts'
import { texts } from '../language.ts'
import { useLoaded } from '../loaded.ts'
import { say, sayTrouble } from '../notices.ts'
import { watchOrder } from '../order-watch.ts'
import { go, linkTo, place } from '../router.ts'
import { FailedPage } from './failed.tsx'

export function OrderPage() {
  return (
    <SignedInOnly>
      <OrderById id={place.value.params['id'] ?? ''} />
    </SignedInOnly>
  )
}

function OrderById({ id }: { id: string }) {
  const { loaded, reload } = useLoaded(
    async (signal) => (await call(ordersRoutes.getOrder, { params: { id }, signal })).body,
    [id],
  )
  if (loaded.value.state === 'loading') return <Loading />
  if (loaded.value.state === 'failed') return <FailedPage error={loaded.value.error} retry={reload} />
  return <OrderView first={loaded.value.value} />
}

function OrderView({ first }: { first: Order }) {
  const { order: words } = texts.value
  const current = useSignal(first)
  const isConnected = useSignal(true)
  const order = current.value
  useEffect(() => {
    const controller = new AbortController()
    if (first.status !== 'pending') controller.abort()
    watchOrder(first.id, controller.signal, {
      order: (changed) => (current.value = changed),
      connected: (connected) => (isConnected.value = connected),
    }).catch(sayTrouble)
    return () => controller.abort()
  }, [first.id])
  const cancel = async (): Promise<void> => {
    try {
      current.value = (await call(ordersRoutes.cancelOrder, { params: { id: order.id } })).body
    } catch (error) {
      sayTrouble(error)
    }
  }
  return (
    <Page title={words.title(dateTime(order.createdAt))} kind="order">
      <section class={`status-panel ${order.status}`} aria-label={words.progress}>
        <div role="status" aria-live="polite">
          <StatusBadge status={order.status} />
          <p class="status-words">
            {words.explanations[order.status]} {order.reason !== undefined && words.reasons[order.reason]}
          </p>
        </div>
        <OrderProgress order={order} />
        {order.status === 'pending' && (
          <p class={isConnected.value ? 'live' : 'live off'}>
            {isConnected.value ? words.watching : words.reconnecting}
          </p>
        )}
      </section>
      <h2>{words.lines}</h2>
      <OrderLines order={order} />
      <dl class="facts">
        <div>
          <dt>{words.number}</dt>
          <dd class="number">{order.id}</dd>
        </div>
      </dl>
      {(order.status === 'pending' || order.status === 'confirmed') && (
        <AskingButton
          label={words.cancel}
          question={words.cancelQuestion}
          confirm={words.cancel}
          cancel={words.keep}
          act={() => void cancel()}
        />
      )}
      {(order.status === 'rejected' || order.status === 'cancelled') && <PutBack order={order} />}
    </Page>
  )
}

/** The basket was emptied by the order. Nobody should have to look for everything again because one thing was sold out. */
function PutBack({ order }: { order: Order }) {
  const { order: words } = texts.value
  const isActing = useSignal(false)
  const prepared = useRef<PuttingBack | undefined>(undefined)
  const act = async (): Promise<void> => {
    if (isActing.value) return
    isActing.value = true
    try {
      prepared.current ??= await preparePuttingBack(order)
      const isAll = await putBack(prepared.current)
      go(linkTo('basket'))
      if (!isAll) say(words.notAllBack)
    } catch (error) {
      sayTrouble(error)
    } finally {
      isActing.value = false
    }
  }
  return (
    <button type="button" class="button" aria-disabled={isActing.value} onClick={() => void act()}>
      {words.putBack}
    </button>
  )
}
