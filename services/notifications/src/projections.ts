import { ordersEvents, productsEvents } from '@saas/contracts'
import { sql, type MessageOf, type Transaction } from '@saas/state'

type ProductMessage = MessageOf<(typeof productsEvents)['productCreated' | 'productChanged' | 'productDeleted']>
type SaleMessage = MessageOf<(typeof ordersEvents)['orderConfirmed' | 'orderCancelled']>

// The newest state wins; when a product came is known from its creation alone, in whatever order they arrive.
const recordProducts = sql(
  'notifications.record_products',
  `insert into product_copy (product_id, version, name, amount, currency, deleted, created_at)
   select product_id, version, name, amount, currency, deleted, created_at
   from jsonb_to_recordset($1::jsonb) as changed(
     product_id uuid, version bigint, name text, amount bigint, currency text, deleted boolean, created_at timestamptz
   )
   order by product_id
   on conflict (product_id) do update
   set version = greatest(product_copy.version, excluded.version),
       name = case when product_copy.version < excluded.version then excluded.name else product_copy.name end,
       amount = case when product_copy.version < excluded.version then excluded.amount else product_copy.amount end,
       currency = case when product_copy.version < excluded.version then excluded.currency else product_copy.currency end,
       deleted = product_copy.deleted or excluded.deleted,
       created_at = coalesce(product_copy.created_at, excluded.created_at)`,
)

// An order is confirmed and cancelled at most once each, so each event sets its own time and nothing else.
const recordSales = sql(
  'notifications.record_sales',
  `insert into sale (order_id, amount, currency, lines, confirmed_at, cancelled_at)
   select order_id, amount, currency, lines, confirmed_at, cancelled_at
   from jsonb_to_recordset($1::jsonb) as decided(
     order_id uuid, amount bigint, currency text, lines jsonb, confirmed_at timestamptz, cancelled_at timestamptz
   )
   order by order_id
   on conflict (order_id) do update
   set confirmed_at = coalesce(sale.confirmed_at, excluded.confirmed_at),
       cancelled_at = coalesce(sale.cancelled_at, excluded.cancelled_at)`,
)

/** Brings the copies of products up to date. No two of `messages` are of one product. */
export async function applyProducts(tx: Transaction, messages: readonly ProductMessage[]): Promise<void> {
  if (messages.length === 0) return
  const rows = messages.map(({ subject, data, aggregateVersion, time }) => ({
    product_id: data.productId,
    version: aggregateVersion,
    name: data.name,
    ...data.price,
    deleted: data.deleted,
    created_at: subject === productsEvents.productCreated.subject ? time : null,
  }))
  await tx.query(recordProducts, [JSON.stringify(rows)])
}

/** Remembers what was sold and what was cancelled, for the report of the day. */
export async function applySales(tx: Transaction, messages: readonly SaleMessage[]): Promise<void> {
  if (messages.length === 0) return
  const rows = messages.map(({ subject, data }) => ({
    order_id: data.orderId,
    ...data.total,
    lines: data.lines.map(({ productId, name, quantity }) => ({ productId, name, quantity })),
    confirmed_at: subject === ordersEvents.orderConfirmed.subject ? data.decidedAt : null,
    cancelled_at: subject === ordersEvents.orderCancelled.subject ? data.decidedAt : null,
  }))
  await tx.query(recordSales, [JSON.stringify(rows)])
}
