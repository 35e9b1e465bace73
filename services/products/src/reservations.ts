import { newId } from '@saas/config'
import { ordersEvents } from '@saas/contracts'
import { sql, type MessageOf, type Transaction } from '@saas/state'
import { ReservationBatch, type KnownReservation, type LockedProduct } from './reservation-batch.ts'

const { orderPlaced, orderRejected, orderCancelled } = ordersEvents

/** The order events that move stock. */
export const reservationEvents = [orderPlaced, orderRejected, orderCancelled] as const
export type OrderMessage = MessageOf<(typeof reservationEvents)[number]>

// Every batch locks in the order of ids, so that two of them wait for each other instead of deadlocking.
const lockProducts = sql<{
  id: string
  price_version: number
  is_deleted: boolean
  available: number
  stock_version: number
  sku: string
  name: string
  low_stock_threshold: number | null
  low_stock_version: number
}>(
  'products.lock_for_reservation',
  `select id, price_version, deleted_at is not null as is_deleted, available, stock_version, sku, name,
     low_stock_threshold, low_stock_version
   from product
   where id = any($1::uuid[])
   order by id
   for no key update`,
)

// Read after the locks: two messages of one order name the same products, so the later one sees what the first decided.
const readReservations = sql<{
  order_id: string
  state: KnownReservation['state']
  lines: KnownReservation['lines']
  version: number
}>(
  'products.read_reservations',
  `select order_id, state, lines, version
   from reservation
   where order_id = any($1::uuid[])`,
)

const writeReservations = sql(
  'products.write_reservations',
  `with stocked as (
     update product
     set available = available + delta, stock_version = stock_version + movements,
       low_stock_version = low_stock_version + crossings
     from jsonb_to_recordset($1::jsonb) as change(product_id uuid, delta bigint, movements bigint, crossings bigint)
     where id = change.product_id
   ), moved as (
     insert into stock_movement (product_id, stock_version, kind, delta, available_after, order_id, source, created_at)
     select product_id, stock_version, kind, delta, available_after, order_id, source, $5
     from jsonb_to_recordset($2::jsonb) as movement(product_id uuid, stock_version bigint, kind text, delta bigint,
       available_after bigint, order_id uuid, source text)
   ), decided as (
     insert into reservation (order_id, state, lines, refusal_reason, version, created_at, released_at)
     select order_id, state, lines, refusal_reason, version, $5, case when state = 'released' then $5 end
     from jsonb_to_recordset($3::jsonb) as decision(order_id uuid, state text, lines jsonb, refusal_reason text,
       version bigint)
     order by order_id
   ), released as (
     update reservation
     set state = 'released', version = version + 1, released_at = $5
     where order_id = any($6::uuid[])
       and state = 'reserved'
   )
   insert into outbox (id, aggregate_type, aggregate_id, aggregate_version, subject, data, trace_parent)
   select id, aggregate_type, aggregate_id, aggregate_version, subject, data, trace_parent
   from jsonb_to_recordset($4::jsonb) as sent(id uuid, aggregate_type text, aggregate_id text, aggregate_version bigint,
     subject text, data jsonb, trace_parent text)`,
)

/**
 * Applies order events to the stock: the products of the whole batch are locked, each event is decided in its turn, and
 * everything is written by one statement, in which a product is one row however many orders want it.
 */
export async function applyOrderEvents(tx: Transaction, messages: readonly OrderMessage[], now: Date): Promise<void> {
  const relevant = messages.filter(movesStock)
  if (relevant.length === 0) return
  const productIds = new Set(relevant.flatMap(({ data }) => data.lines.map(({ productId }) => productId)))
  // Sent together: Postgres begins the second when it has the locks, with a snapshot of its own.
  const [products, known] = await Promise.all([
    tx.query(lockProducts, [[...productIds]]),
    tx.query(readReservations, [relevant.map(({ data }) => data.orderId)]),
  ])
  const batch = new ReservationBatch(
    products.map((row): LockedProduct => ({
      id: row.id,
      priceVersion: row.price_version,
      isDeleted: row.is_deleted,
      available: row.available,
      stockVersion: row.stock_version,
      sku: row.sku,
      name: row.name,
      lowStockThreshold: row.low_stock_threshold,
      lowStockVersion: row.low_stock_version,
    })),
    known.map(({ order_id, state, lines, version }) => ({ orderId: order_id, state, lines, version })),
    now,
  )
  for (const { data, event, subject, traceParent } of relevant) {
    const step = { orderId: data.orderId, source: subject, traceParent }
    if (event === orderPlaced) batch.place(step, data.lines)
    else batch.release(step)
  }
  write(tx, batch, now)
}

/** An order that was rejected because products refused it holds nothing; only one that nobody decided in time might. */
function movesStock({ event, data }: OrderMessage): boolean {
  return event !== orderRejected || ('reason' in data && data.reason === 'deadline')
}

function write(tx: Transaction, batch: ReservationBatch, now: Date): void {
  const stock = batch.stock.map(({ productId, ...change }) => ({ product_id: productId, ...change }))
  const movements = batch.movements.map((movement) => ({
    product_id: movement.productId,
    stock_version: movement.stockVersion,
    kind: movement.kind,
    delta: movement.delta,
    available_after: movement.availableAfter,
    order_id: movement.orderId,
    source: movement.source,
  }))
  const decided = batch.decided.map(({ orderId, state, lines, version, refusalReason }) => ({
    order_id: orderId,
    state,
    lines,
    version,
    refusal_reason: refusalReason,
  }))
  const events = batch.events.map(({ event, aggregateId, version, data, traceParent }) => ({
    id: newId(),
    aggregate_type: event.aggregate,
    aggregate_id: aggregateId,
    aggregate_version: version,
    subject: event.subject,
    data,
    trace_parent: traceParent,
  }))
  const json = [stock, movements, decided, events].map((rows) => JSON.stringify(rows))
  tx.send(writeReservations, [...json, now, batch.released])
}
