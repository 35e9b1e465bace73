import type { Clock } from '@saas/config'
import { ordersEvents, productsEvents } from '@saas/contracts'
import type { Bus, MessageOf, Transaction } from '@saas/state'
import { decide, type Decision } from './decisions.ts'
import type { DecisionWatch } from './decision-watch.ts'
import { copyProductsOf, type ProductMessage } from './product-copies.ts'

const { productCreated, productChanged, productDeleted, stockReserved, stockRefused } = productsEvents
const consumed = [productCreated, productChanged, productDeleted, stockReserved, stockRefused] as const
type Consumed = MessageOf<(typeof consumed)[number]>

const { orderConfirmed, orderRejected, orderCancelled } = ordersEvents
const heard = [orderConfirmed, orderRejected, orderCancelled] as const

/** Applies what products says, and wakes whoever waits for a decision. */
export function followEvents(context: {
  readonly bus: Bus
  readonly clock: Clock
  readonly watch: DecisionWatch
}): void {
  const { bus, clock, watch } = context
  bus.consume({ durable: 'orders', events: consumed, apply: (tx, messages) => applyEvents(tx, messages, clock) })
  bus.subscribe(heard, ({ data }) => watch.nudge(data.orderId))
}

/** One batch of events, set by set. */
export async function applyEvents(tx: Transaction, messages: readonly Consumed[], clock: Clock): Promise<void> {
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
    } else {
      products.push(message)
    }
  }
  await copyProductsOf(tx, products)
  await decide(tx, decisions)
}
