import { newId } from '@saas/config'
import { ordersEvents, type rejectionReasons } from '@saas/contracts'
import { sql, type Database, type Transaction } from '@saas/state'
import { orderColumns, type OrderState } from './order-row.ts'

const EXPIRED_BATCH_MAX = 256

/** What was decided about an order that waits. */
export interface Decision {
  readonly orderId: string
  readonly status: 'confirmed' | 'rejected'
  /** Why it was rejected. */
  readonly reason?: (typeof rejectionReasons)[number]
  readonly decidedAt: Date
  readonly traceParent: string | undefined
}

/** The event of each row of `decided`, which has `event_id`, `decided_text` and `trace_parent` beside the order's columns. */
export const sendDecided = `
  insert into outbox (id, aggregate_type, aggregate_id, aggregate_version, subject, data, trace_parent, created_at)
  select
    event_id, 'order', order_id::text, version,
    case status
      when 'confirmed' then '${ordersEvents.orderConfirmed.subject}'
      when 'rejected' then '${ordersEvents.orderRejected.subject}'
      when 'cancelled' then '${ordersEvents.orderCancelled.subject}'
    end,
    jsonb_strip_nulls(jsonb_build_object(
      'orderId', order_id,
      'userId', user_id,
      'lines', lines,
      'total', jsonb_build_object('amount', total_amount, 'currency', currency),
      'reason', reason,
      'decidedAt', decided_text
    )),
    trace_parent, decided_at
  from decided
`

/** The new states, for those who wait. */
const decidedState = 'order_id, user_id, status, version, reason, decided_at'

/**
 * Not `status = 'pending'`: the planner would take the index of all pending orders for a batch of a hundred, and with 20,000
 * of them, or as many that no longer are and wait for vacuum, each batch would read them all.
 */
const isPending = `case orders.status when 'pending' then true end`

/**
 * Only what is pending is decided: a decision that comes late, twice, or after a cancellation matches no row and changes
 * nothing. Orders are locked in the order of their ids, like everywhere, so that two batches cannot wait for each other.
 */
export const decideOrders = sql<OrderState>(
  'orders.decide',
  `
with decision as materialized (
  select *
  from jsonb_to_recordset($1::jsonb) as d (
    order_id uuid, event_id uuid, status text, reason text, decided_text text, trace_parent text
  )
),
locked as materialized (
  select orders.order_id
  from orders
  where orders.order_id = any(array(select order_id from decision)) and ${isPending}
  order by orders.order_id
  for update
),
decided as (
  update orders
  set
    status = decision.status,
    reason = decision.reason,
    decided_at = decision.decided_text::timestamptz,
    version = orders.version + 1
  from decision
  join locked using (order_id)
  where orders.order_id = decision.order_id and ${isPending}
  returning ${orderColumns}, decision.event_id, decision.decided_text, decision.trace_parent
),
sent as (${sendDecided})
select ${decidedState} from decided
`,
)

/** Applies a batch of decisions and returns the states of the orders that changed. */
export async function decide(transaction: Transaction, decisions: readonly Decision[]): Promise<OrderState[]> {
  if (decisions.length === 0) return []
  const rows = decisions.map(({ orderId, status, reason, decidedAt, traceParent }) => ({
    order_id: orderId,
    event_id: newId(),
    status,
    reason: reason ?? null,
    decided_text: decidedAt.toISOString(),
    trace_parent: traceParent ?? null,
  }))
  return await transaction.query(decideOrders, [JSON.stringify(rows)])
}

/** Every replica runs it; `skip locked` lets each take other rows, and a row that is being decided is left alone. */
const expireOrders = sql<OrderState>(
  'orders.expire',
  `
with due as materialized (
  select order_id
  from orders
  where status = 'pending' and deadline_at <= $1::text::timestamptz
  order by deadline_at
  limit ${EXPIRED_BATCH_MAX}
  for update skip locked
),
decided as (
  update orders
  set status = 'rejected', reason = 'deadline', decided_at = $1::text::timestamptz, version = orders.version + 1
  from due
  where orders.order_id = due.order_id and orders.status = 'pending'
  returning ${orderColumns}, uuidv7() as event_id, $1::text as decided_text, null::text as trace_parent
),
sent as (${sendDecided})
select ${decidedState} from decided
`,
)

/** Rejects orders whose deadline has passed, at most 256; the returned ones no longer wait for a decision. */
export async function expire(database: Database, now: Date): Promise<OrderState[]> {
  return await database.write(expireOrders, [now.toISOString()])
}
