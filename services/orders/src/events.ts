import type { Clock } from '@saas/config'
import { authEvents, ordersEvents, productsEvents } from '@saas/contracts'
import type { Bus, MessageOf, Transaction } from '@saas/state'
import { decide, type Decision } from './decisions.ts'
import type { DecisionWatch } from './decision-watch.ts'
import { exportOrders, forgetCustomer } from './customers.ts'
import type { OrderState } from './order-row.ts'
import { copyProductsOf, type ProductMessage } from './product-copies.ts'

const { productCreated, productChanged, productDeleted, stockReserved, stockRefused } = productsEvents
const { userDeleted, exportRequested } = authEvents
const consumed = [
  productCreated,
  productChanged,
  productDeleted,
  stockReserved,
  stockRefused,
  userDeleted,
  exportRequested,
] as const
type Consumed = MessageOf<(typeof consumed)[number]>

const { orderConfirmed, orderRejected, orderCancelled } = ordersEvents
const heard = [orderConfirmed, orderRejected, orderCancelled] as const

/** Applies what products says, wakes whoever waits for a decision, and ends the streams of sessions that were revoked. */
export function followEvents(context: {
  readonly bus: Bus
  readonly clock: Clock
  readonly watch: DecisionWatch
}): void {
  const { bus, clock, watch } = context
  bus.consume({
    durable: 'orders',
    events: consumed,
    apply: async (tx, messages) => {
      const changed = await applyEvents(tx, messages, clock)
      // Our own decisions need not come back through the broker to be seen.
      return () => {
        for (const state of changed) watch.tell(state)
      }
    },
    // One statement decides many, so an order must not be in it twice, whoever wrote the messages.
    keyOf: ({ data }) => {
      if ('orderId' in data) return data.orderId
      return 'userId' in data ? data.userId : data.productId
    },
  })
  bus.subscribe(
    heard,
    ({ data }) => watch.nudge(data.orderId),
    () => watch.isWatched,
  )
  bus.subscribe([authEvents.sessionRevoked], ({ data }) => watch.endStreams(data.userId, data.sessionId))
}

/** Applies one batch of events, set by set, and returns the states of the orders that changed. */
export async function applyEvents(tx: Transaction, messages: readonly Consumed[], clock: Clock): Promise<OrderState[]> {
  const decidedAt = clock.now()
  const products: ProductMessage[] = []
  const decisions: Decision[] = []
  for (const message of messages) {
    if (message.subject === stockReserved.subject) {
      const { orderId } = message.data
      decisions.push({ orderId, status: 'confirmed', decidedAt, traceParent: message.traceParent })
    } else if (message.subject === stockRefused.subject) {
      const { orderId, reason } = message.data
      decisions.push({ orderId, status: 'rejected', reason, decidedAt, traceParent: message.traceParent })
    } else if (message.subject === userDeleted.subject) {
      await forgetCustomer(tx, message, decidedAt)
    } else if (message.subject === exportRequested.subject) {
      await exportOrders(tx, message.data, message.traceParent)
    } else {
      products.push(message)
    }
  }
  await copyProductsOf(tx, products)
  return await decide(tx, decisions)
}
