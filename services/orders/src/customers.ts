import { exportEvents, ExportParts, type DataOf, type Order, type authEvents } from '@saas/contracts'
import { forgetDeadLetters, sendExportParts, sql, type MessageOf, type Transaction } from '@saas/state'
import { itemsOf } from './cart-lines.ts'
import { sendDecided } from './decisions.ts'
import { orderColumns, toOrder, type OrderRow } from './order-row.ts'

const PAGE_ORDERS = 200
const AFTER_ALL = 'ffffffff-ffff-ffff-ffff-ffffffffffff'

// Nobody is left to be told what becomes of it, to cancel it, or to whom it could go. The event names the customer: who mails knows that they
// are gone, and would wait for an id that nobody has.
const cancelPending = sql(
  'orders.cancel_pending_of_customer',
  `with pending as materialized (
     select order_id
     from orders
     where user_id = $1 and status = 'pending'
     order by order_id
     for update
   ),
   decided as (
     update orders
     set status = 'cancelled', version = version + 1, decided_at = $2::text::timestamptz
     from pending
     where orders.order_id = pending.order_id and orders.status = 'pending'
     returning ${orderColumns}, uuidv7() as event_id, $2::text as decided_text, $3::text as trace_parent
   )
   ${sendDecided}`,
)

// What was bought stays for the books, under an id that nobody has: no two of a person's orders can be told to be theirs
// by it any more than by looking, and no name or address was ever here.
const forget = sql(
  'orders.forget_customer',
  `with carts as (
     delete from cart where user_id = $1
   ),
   keys as (
     delete from idempotency where user_id = $1
   )
   update orders
   set user_id = $2
   where user_id = $1`,
)

const selectOrders = sql<OrderRow>(
  'orders.orders_to_export',
  `select ${orderColumns}
   from orders
   where user_id = $1
     and order_id < $2
   order by order_id desc
   limit ${PAGE_ORDERS}`,
)

const selectCart = sql<{ items: Record<string, unknown>[] | null }>(
  'orders.cart_to_export',
  `select ${itemsOf('cart')} as items from cart where user_id = $1`,
)

/** Forgets somebody whose account is gone: the cart, the keys, and whose the orders were. Those that nobody has decided are cancelled. */
export async function forgetCustomer(
  tx: Transaction,
  { data: { userId }, traceParent }: MessageOf<typeof authEvents.userDeleted>,
  now: Date,
): Promise<void> {
  await tx.query(cancelPending, [userId, now.toISOString(), traceParent ?? null])
  await tx.query(forget, [userId, crypto.randomUUID()])
  await forgetDeadLetters(tx, [userId])
}

/**
 * Answers with the orders of somebody, the newest first, read page by page: an order may have 100 lines. What lies in their cart comes with
 * the first part.
 */
export async function exportOrders(
  tx: Transaction,
  request: DataOf<typeof authEvents.exportRequested>,
  traceParent: string | undefined,
): Promise<void> {
  const { parts } = await partsOf(tx, request.userId)
  const [cart] = await tx.query(selectCart, [request.userId])
  const first = { cart: cart?.items ?? [] }
  await sendExportParts(tx, { event: exportEvents.ordersExportPartMade, request, parts, first, traceParent })
}

async function partsOf(tx: Transaction, userId: string): Promise<ExportParts<Order>> {
  const made = new ExportParts<Order>()
  for (let [before, size] = [AFTER_ALL, PAGE_ORDERS]; size === PAGE_ORDERS;) {
    const rows = await tx.query(selectOrders, [userId, before])
    for (const row of rows) if (!made.add(toOrder(row).order)) return made
    before = rows.at(-1)?.order_id ?? before
    size = rows.length
  }
  return made
}
