import { signal } from '@preact/signals'
import { ordersRoutes, type Order } from '@saas/contracts'
import { v7 as uuidv7 } from 'uuid'
import { forgetCart } from './basket.ts'
import { call } from './client.ts'
import { isTemporary, Refused } from './send.ts'

/**
 * One key an attempt, kept in this tab until the shop has answered: a double click, a reload and a repetition after a
 * lost answer are all the same order.
 */
const KEY = 'checkout-key'

/** True after an order was sent whose fate is not known. */
export const isUnanswered = signal(sessionStorage.getItem(KEY) !== null)
let placing: Promise<Order> | undefined

export function placeOrder(): Promise<Order> {
  placing ??= attempt().finally(() => (placing = undefined))
  return placing
}

async function attempt(): Promise<Order> {
  const key = sessionStorage.getItem(KEY) ?? uuidv7()
  sessionStorage.setItem(KEY, key)
  try {
    // The order page shows the decision when it comes, so there is no need to wait for it here.
    const headers = { 'idempotency-key': key, prefer: 'wait=0' }
    const { body } = await call(ordersRoutes.placeOrder, { headers, body: {} })
    settle()
    forgetCart()
    return body
  } catch (error) {
    const isRefused = error instanceof Refused && !isTemporary(error) && error.status !== 401
    if (isRefused) settle()
    else isUnanswered.value = true
    throw error
  }
}

function settle(): void {
  sessionStorage.removeItem(KEY)
  isUnanswered.value = false
}
