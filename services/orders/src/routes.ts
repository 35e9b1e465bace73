import { isAllowed, WAIT_SECONDS_DEFAULT, WAIT_SECONDS_MAX, type ordersRoutes } from '@saas/contracts'
import { parseIdempotencyKey, parsePrefer, streamEvents, type Handlers } from '@saas/http'
import type { Carts } from './carts.ts'
import type { DecisionWatch } from './decision-watch.ts'
import type { History } from './history.ts'
import type { Orders } from './orders.ts'

export interface OrdersDomain {
  readonly orders: Orders
  readonly history: History
  readonly carts: Carts
  readonly watch: DecisionWatch
}

export function ordersHandlers({ orders, history, carts, watch }: OrdersDomain): Handlers<typeof ordersRoutes> {
  return {
    placeOrder: async ({ identity: { userId }, headers, body, traceParent, signal }) => {
      const key = parseIdempotencyKey(headers['idempotency-key'])
      const { seconds, applied } = waitOf(headers.prefer)
      const { replayed, ...placed } = await orders.place({ ...body, userId, key, traceParent })
      const { order } = await watch.decision(userId, placed, seconds * 1_000, signal)
      const replay = replayed ? { 'idempotency-replayed': 'true' } : {}
      return { status: 201, body: order, headers: { location: `/order/${order.id}`, ...applied, ...replay } }
    },
    listOrders: async ({ identity, query }) => ({ status: 200, body: await history.ofUser(identity.userId, query) }),
    listAllOrders: async ({ query }) => ({ status: 200, body: await history.ofAll(query) }),
    getOrder: async ({ identity, params }) => {
      if (isAllowed('orders:read', identity.roles)) return { status: 200, body: await orders.getAny(params.id) }
      const { order } = await orders.get(identity.userId, params.id)
      return { status: 200, body: order }
    },
    cancelOrder: async ({ identity, params, traceParent }) => {
      const { order } = await orders.cancel(identity.userId, params.id, traceParent)
      watch.nudge(order.id)
      return { status: 200, body: order }
    },
    watchOrder: async (call) => {
      const current = await orders.get(call.identity.userId, call.params.id)
      return await streamEvents(call, watch.events(call.identity, current, call.signal))
    },
    getCart: async ({ identity }) => ({ status: 200, body: await carts.get(identity.userId) }),
    putCartItem: async ({ identity, params: { productId }, body: { quantity }, traceParent }) => {
      return { status: 200, body: await carts.put({ ...identity, traceParent }, { productId, quantity }) }
    },
    deleteCartItem: async ({ identity, params, traceParent }) => {
      return { status: 200, body: await carts.remove({ ...identity, traceParent }, params.productId) }
    },
    mergeCart: async ({ identity, headers, body, traceParent }) => {
      const key = parseIdempotencyKey(headers['idempotency-key'])
      const { cart, replayed } = await carts.merge({ ...identity, traceParent }, body.lines, key)
      return { status: 200, body: cart, ...(replayed ? { headers: { 'idempotency-replayed': 'true' } } : {}) }
    },
  }
}

/** How long the client is ready to wait for the decision (RFC 7240); what was asked for and done is said in the answer. */
function waitOf(prefer: string | undefined): { seconds: number; applied: Record<string, string> } {
  const { wait } = parsePrefer(prefer)
  if (wait === undefined) return { seconds: WAIT_SECONDS_DEFAULT, applied: {} }
  const seconds = Math.min(wait, WAIT_SECONDS_MAX)
  return { seconds, applied: { 'preference-applied': `wait=${seconds}` } }
}
