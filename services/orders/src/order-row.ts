import type { DataOf, Order, OrderStatus, ordersEvents } from '@saas/contracts'

/** A line as the events tell it; the answer leaves the price version out. */
export type PlacedLine = DataOf<typeof ordersEvents.orderPlaced>['lines'][number]

/** What changes about an order after it was placed. */
export interface OrderState {
  readonly order_id: string
  readonly user_id: string
  readonly status: OrderStatus
  readonly version: number
  readonly reason: NonNullable<Order['reason']> | null
  readonly decided_at: Date | null
}

/** An order as `orderColumns` reads it. */
export interface OrderRow extends OrderState {
  readonly total_amount: number
  readonly currency: string
  readonly created_at: Date
  readonly lines: readonly PlacedLine[]
}

/** An order together with the version of its state, which numbers the events of its stream. */
export interface VersionedOrder {
  readonly order: Order
  readonly version: number
}

/** The lines of the row `orders`, in the form that events and answers have. */
const orderLines = `(
    select jsonb_agg(jsonb_build_object(
      'productId', order_line.product_id,
      'sku', order_line.sku,
      'name', order_line.name,
      'quantity', order_line.quantity,
      'unitPrice', jsonb_build_object('amount', order_line.unit_amount, 'currency', orders.currency),
      'priceVersion', order_line.price_version
    ) order by order_line.position)
    from order_line
    where order_line.order_id = orders.order_id
  )`

export const stateColumns = `orders.order_id, orders.user_id, orders.status, orders.version, orders.reason, orders.decided_at`

export const orderColumns = `${stateColumns}, orders.total_amount, orders.currency, orders.created_at,
  ${orderLines} as lines`

export function toOrder(row: OrderRow): VersionedOrder {
  const order = {
    id: row.order_id,
    status: row.status,
    lines: row.lines.map(toOrderLine),
    total: { amount: row.total_amount, currency: row.currency },
    createdAt: row.created_at.toISOString(),
  }
  return withState({ order, version: row.version }, row)
}

/** The order with its state as `state` says; all else about an order never changes. */
export function withState({ order }: VersionedOrder, state: OrderState): VersionedOrder {
  return {
    order: {
      ...order,
      status: state.status,
      ...(state.reason === null ? {} : { reason: state.reason }),
      ...(state.decided_at === null ? {} : { decidedAt: state.decided_at.toISOString() }),
    },
    version: state.version,
  }
}

export function toOrderLine({ productId, sku, name, quantity, unitPrice }: PlacedLine): Order['lines'][number] {
  return { productId, sku, name, quantity, unitPrice }
}
