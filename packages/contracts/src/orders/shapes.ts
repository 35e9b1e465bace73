import type { Static } from 'typebox'
import { Type } from '../schema.ts'
import { refusalReasons } from '../products/index.ts'
import { Id, Money, Quantity, Time } from '../shapes.ts'

export const orderStates = ['pending', 'confirmed', 'rejected', 'cancelled'] as const
export const OrderStatus = Type.Enum(orderStates)
export type OrderStatus = Static<typeof OrderStatus>

/** Why an order was rejected: what products said, or that nothing was heard before the deadline. */
export const rejectionReasons = [...refusalReasons, 'deadline'] as const
export const RejectionReason = Type.Enum(rejectionReasons)

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
  /** Whose it is; said to those who may read all orders. */
  customerId: Type.Optional(Id),
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
      /** What it cost when it was put in or last looked at, where that is not what it costs now. */
      priceWas: Type.Optional(Money),
      available: Type.Boolean({ description: 'False if the product was removed from the catalogue' }),
    }),
  ),
  total: Type.Union([Money, Type.Null()], {
    description: 'Of the available items; null if there are none, their currencies differ, or it is too large to order',
  }),
})
export type Cart = Static<typeof Cart>
