import { computed } from '@preact/signals'
import { ordersRoutes, type Money, type Order } from '@saas/contracts'
import { v7 as uuidv7 } from 'uuid'
import { forgetCart } from './basket.ts'
import { call } from './client.ts'
import { kept } from './kept.ts'
import { isTemporary, Refused } from './send.ts'

/** One key an attempt, with what was shown to cost: the same order is asked for again with both. */
interface Attempt {
  readonly key: string
  readonly total: Money | null
}

/** Kept in this tab until the shop has answered: a double click, a reload and a repetition after a lost answer are all the same order. */
const sent = kept('checkout-key', (value) => value as Attempt)

/** True after an order was sent whose fate is not known. */
export const isUnanswered = computed(() => sent.value !== undefined)
let placing: Promise<Order> | undefined

export function placeOrder(total: Money | null): Promise<Order> {
  placing ??= attempt(total).finally(() => (placing = undefined))
  return placing
}

async function attempt(shown: Money | null): Promise<Order> {
  const earlier = sent.value
  const { key, total } = earlier ?? { key: uuidv7(), total: shown }
  sent.value = { key, total }
  try {
    // The order page shows the decision when it comes, so there is no need to wait for it here.
    const headers = { 'idempotency-key': key, prefer: 'wait=0' }
    const { body } = await call(ordersRoutes.placeOrder, { headers, body: total === null ? {} : { total } })
    sent.value = undefined
    forgetCart()
    return body
  } catch (error) {
    const isRefused = error instanceof Refused && !isTemporary(error)
    // A session that ended says nothing of an earlier try.
    if (isRefused && (error.status !== 401 || earlier === undefined)) sent.value = undefined
    throw error
  }
}
