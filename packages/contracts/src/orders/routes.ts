import { Type } from '../schema.ts'
import * as problems from '../problems.ts'
import { route } from '../route.ts'
import {
  Id,
  IdParams,
  KeyHeaders,
  LINES_MAX,
  Money,
  Page,
  Quantity,
  STOCK_MAX,
  Strict,
  Time,
  pageQuery,
} from '../shapes.ts'
import { Cart, Order, OrderStatus } from './shapes.ts'

const Line = Strict({ productId: Id, quantity: Quantity })
/** A line as a browser kept it, with what it knew of the product when it last looked. */
const KeptLine = Strict({
  productId: Id,
  quantity: Quantity,
  stock: Type.Optional(
    Type.Integer({ minimum: 0, maximum: STOCK_MAX, description: 'The sum of both carts stays within this limit' }),
  ),
  unitPrice: Type.Optional(Money),
})
/** What the customer was shown. An order that costs something else now is refused. */
const ShownTotal = Type.Optional(Money)
const ProductParams = Strict({ productId: Id })
const placing = Type.Object({
  'idempotency-key': Type.Optional(Type.String({ maxLength: 255 })),
  prefer: Type.Optional(Type.String({ maxLength: 200 })),
})

/** Placed at `from` or later, and before `to`. */
const filters = {
  status: Type.Optional(OrderStatus),
  from: Type.Optional(Time),
  to: Type.Optional(Time),
}

export const ordersRoutes = {
  placeOrder: route({
    id: 'orders.placeOrder',
    service: 'orders',
    method: 'POST',
    path: '/order',
    access: 'user',
    summary: 'Order the cart, or explicit lines; waits up to `Prefer: wait=N` seconds for the decision',
    headers: placing,
    body: Strict({
      lines: Type.Optional(Type.Array(Line, { minItems: 1, maxItems: LINES_MAX })),
      total: ShownTotal,
    }),
    responses: { 201: Order },
    problems: [
      problems.cartEmpty,
      problems.productNotForSale,
      problems.mixedCurrencies,
      problems.totalTooLarge,
      problems.totalChanged,
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
    query: Strict({ ...pageQuery, ...filters }),
    responses: { 200: Page(Order) },
  }),
  listAllOrders: route({
    id: 'orders.listAllOrders',
    service: 'orders',
    method: 'GET',
    path: '/order/all',
    access: 'orders:read',
    summary: 'The orders of all customers, newest first',
    query: Strict({ ...pageQuery, ...filters, customer: Type.Optional(Id) }),
    responses: { 200: Page(Order) },
  }),
  getOrder: route({
    id: 'orders.getOrder',
    service: 'orders',
    method: 'GET',
    path: '/order/{id}',
    access: 'user',
    summary: 'One of the caller’s orders; any order for those who may read them all',
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
    summary: 'Remove a product from the cart',
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
    body: Strict({ lines: Type.Array(KeptLine, { maxItems: LINES_MAX }) }),
    responses: { 200: Cart },
    problems: [problems.cartFull, problems.idempotencyKeyReused],
  }),
}
