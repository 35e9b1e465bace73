import { Type } from '../schema.ts'
import { event } from '../event.ts'
import { Id, LINES_MAX, Money, Quantity, Time } from '../shapes.ts'
import { RejectionReason } from './shapes.ts'

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

const CartLine = Type.Object({ productId: Id, name: Type.String(), quantity: Quantity, unitPrice: Money })

export const ordersEvents = {
  orderPlaced: event({
    subject: 'msg.orders.order.placed',
    aggregate: 'order',
    summary: 'A customer placed an order; stock is to be reserved',
    data: Type.Object({ ...PlacedOrder, placedAt: Time, deadlineAt: Time }),
    example: { ...placedOrder, placedAt: '2026-01-01T12:00:00.000Z', deadlineAt: '2026-01-01T12:15:00.000Z' },
  }),
  orderConfirmed: event({
    subject: 'msg.orders.order.confirmed',
    aggregate: 'order',
    summary: 'The order is confirmed; a payment or shipment would start here',
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
    summary:
      'The customer cancelled, or their account was deleted before it was decided; reserved stock is to be given back',
    data: Type.Object({ ...PlacedOrder, decidedAt: Time }),
    example: { ...placedOrder, decidedAt: '2026-01-01T12:00:01.000Z' },
  }),
  cartChanged: event({
    subject: 'msg.orders.cart.changed',
    aggregate: 'cart',
    summary: 'A customer’s cart changed; it has no lines once it was emptied or ordered',
    data: Type.Object({
      userId: Id,
      lines: Type.Array(CartLine, { maxItems: LINES_MAX }),
      changedAt: Time,
    }),
    example: {
      userId,
      lines: [
        {
          productId: '01977c1e-6a00-7000-8000-000000000010',
          name: 'Green tea',
          quantity: 2,
          unitPrice: { amount: 490, currency: 'EUR' },
        },
      ],
      changedAt: '2026-01-01T12:00:00.000Z',
    },
  }),
}
