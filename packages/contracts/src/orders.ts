import { Type, type Static } from 'typebox'
import { event } from './event.ts'
import * as problems from './problems.ts'
import { refusalReasons } from './products.ts'
import { route } from './route.ts'
import { Id, IdParams, KeyHeaders, LINES_MAX, Money, Page, Quantity, Strict, Time, pageQuery } from './shapes.ts'

export const orderStates = ['pending', 'confirmed', 'rejected', 'cancelled'] as const
export const OrderStatus = Type.Enum(orderStates)
export type OrderStatus = Static<typeof OrderStatus>

/** Why an order was rejected: what products said, or that nothing was heard before the deadline. */
export const rejectionReasons = [...refusalReasons, 'deadline'] as const
const RejectionReason = Type.Enum(rejectionReasons)

export const DECISION_DEADLINE_MINUTES = 15
export const WAIT_SECONDS_DEFAULT = 2
export const WAIT_SECONDS_MAX = 30

const OrderLine = Type.Object({
  productId: Id,
  sku: Type.String(),
  name: Type.String(),
  quantity: Quantity,
  unitPrice: Money,
})

export const Order = Type.Object({
  id: Id,
  status: OrderStatus,
  lines: Type.Array(OrderLine),
  total: Money,
  reason: Type.Optional(RejectionReason),
  createdAt: Time,
  decidedAt: Type.Optional(Time),
})
export type Order = Static<typeof Order>

export const Cart = Type.Object({
  items: Type.Array(
    Type.Object({
      productId: Id,
      name: Type.String(),
      quantity: Quantity,
      unitPrice: Money,
      available: Type.Boolean({ description: 'False when the product was taken out of the catalogue' }),
    }),
  ),
  total: Type.Union([Money, Type.Null()], {
    description: 'Of the available items; null when there are none, currencies differ, or it is too large to order',
  }),
})
export type Cart = Static<typeof Cart>

const Line = Strict({ productId: Id, quantity: Quantity })
const ProductParams = Strict({ productId: Id })
const placing = Type.Object({
  'idempotency-key': Type.Optional(Type.String({ maxLength: 255 })),
  prefer: Type.Optional(Type.String({ maxLength: 200 })),
})

export const ordersRoutes = {
  placeOrder: route({
    id: 'orders.placeOrder',
    service: 'orders',
    method: 'POST',
    path: '/order',
    access: 'user',
    summary: 'Order the cart, or explicit lines; waits up to `Prefer: wait=N` seconds for the decision',
    headers: placing,
    body: Strict({ lines: Type.Optional(Type.Array(Line, { minItems: 1, maxItems: LINES_MAX })) }),
    responses: { 201: Order },
    problems: [
      problems.cartEmpty,
      problems.productNotForSale,
      problems.mixedCurrencies,
      problems.totalTooLarge,
      problems.idempotencyKeyMissing,
      problems.idempotencyKeyReused,
    ],
  }),
  listOrders: route({
    id: 'orders.listOrders',
    service: 'orders',
    method: 'GET',
    path: '/order',
    access: 'user',
    summary: 'The caller’s orders, newest first',
    query: Strict({ ...pageQuery, status: Type.Optional(OrderStatus) }),
    responses: { 200: Page(Order) },
  }),
  getOrder: route({
    id: 'orders.getOrder',
    service: 'orders',
    method: 'GET',
    path: '/order/{id}',
    access: 'user',
    summary: 'One of the caller’s orders',
    params: IdParams,
    responses: { 200: Order },
  }),
  cancelOrder: route({
    id: 'orders.cancelOrder',
    service: 'orders',
    method: 'POST',
    path: '/order/{id}/cancel',
    access: 'user',
    summary: 'Cancel an order; its stock is given back',
    params: IdParams,
    responses: { 200: Order },
    problems: [problems.orderNotCancellable],
    repeatable: true,
  }),
  watchOrder: route({
    id: 'orders.watchOrder',
    service: 'orders',
    method: 'GET',
    path: '/order/{id}/events',
    access: 'user',
    summary: 'Server-sent events: the order now, and again whenever its status changes, for up to 60 seconds',
    params: IdParams,
    responses: { 200: { content: 'text/event-stream' } },
  }),
  getCart: route({
    id: 'orders.getCart',
    service: 'orders',
    method: 'GET',
    path: '/cart',
    access: 'user',
    summary: 'The caller’s cart with prices as they are now',
    responses: { 200: Cart },
  }),
  putCartItem: route({
    id: 'orders.putCartItem',
    service: 'orders',
    method: 'PUT',
    path: '/cart/{productId}',
    access: 'user',
    summary: 'Set how many of a product are in the cart',
    params: ProductParams,
    body: Strict({ quantity: Quantity }),
    responses: { 200: Cart },
    problems: [problems.productNotForSale, problems.cartFull],
  }),
  deleteCartItem: route({
    id: 'orders.deleteCartItem',
    service: 'orders',
    method: 'DELETE',
    path: '/cart/{productId}',
    access: 'user',
    summary: 'Take a product out of the cart',
    params: ProductParams,
    responses: { 200: Cart },
  }),
  mergeCart: route({
    id: 'orders.mergeCart',
    service: 'orders',
    method: 'POST',
    path: '/cart/merge',
    access: 'user',
    summary: 'Add the lines of the cart that a browser kept before signing in; unknown products are left out',
    headers: KeyHeaders,
    body: Strict({ lines: Type.Array(Line, { maxItems: LINES_MAX }) }),
    responses: { 200: Cart },
    problems: [problems.cartFull, problems.idempotencyKeyReused],
  }),
}

const orderId = '01977c1e-6a00-7000-8000-000000000020'
const userId = '01977c1e-6a00-7000-8000-000000000001'

const PlacedLine = Type.Object({
  productId: Id,
  sku: Type.String(),
  name: Type.String(),
  quantity: Quantity,
  unitPrice: Money,
  priceVersion: Type.Integer({ minimum: 1 }),
})
const PlacedOrder = { orderId: Id, userId: Id, lines: Type.Array(PlacedLine, { maxItems: LINES_MAX }), total: Money }
const placedOrder = {
  orderId,
  userId,
  lines: [
    {
      productId: '01977c1e-6a00-7000-8000-000000000010',
      sku: 'TEA-1',
      name: 'Green tea',
      quantity: 2,
      unitPrice: { amount: 490, currency: 'EUR' },
      priceVersion: 1,
    },
  ],
  total: { amount: 980, currency: 'EUR' },
}

export const ordersEvents = {
  orderPlaced: event({
    subject: 'msg.orders.order.placed',
    aggregate: 'order',
    summary: 'A customer ordered; stock is to be reserved',
    data: Type.Object({ ...PlacedOrder, placedAt: Time, deadlineAt: Time }),
    example: { ...placedOrder, placedAt: '2026-01-01T12:00:00.000Z', deadlineAt: '2026-01-01T12:15:00.000Z' },
  }),
  orderConfirmed: event({
    subject: 'msg.orders.order.confirmed',
    aggregate: 'order',
    summary: 'The order is certain; where a payment or shipment would begin',
    data: Type.Object({ ...PlacedOrder, decidedAt: Time }),
    example: { ...placedOrder, decidedAt: '2026-01-01T12:00:01.000Z' },
  }),
  orderRejected: event({
    subject: 'msg.orders.order.rejected',
    aggregate: 'order',
    summary: 'The order cannot be filled, or was not decided in time',
    data: Type.Object({ ...PlacedOrder, reason: RejectionReason, decidedAt: Time }),
    example: { ...placedOrder, reason: 'out-of-stock' as const, decidedAt: '2026-01-01T12:00:01.000Z' },
  }),
  orderCancelled: event({
    subject: 'msg.orders.order.cancelled',
    aggregate: 'order',
    summary: 'The customer cancelled; reserved stock is to be given back',
    data: Type.Object({ ...PlacedOrder, decidedAt: Time }),
    example: { ...placedOrder, decidedAt: '2026-01-01T12:00:01.000Z' },
  }),
}
