import { hash } from 'node:crypto'
import { AMOUNT_MAX, ProblemError, problems, ordersEvents, type FieldError, type Money } from '@saas/contracts'
import { sql, type CoalescedWriteOptions } from '@saas/state'
import { orderColumns, type OrderRow, type PlacedLine } from './order-row.ts'

/** A line as a customer asks for it. */
export interface AskedLine {
  readonly productId: string
  readonly quantity: number
}

/** One call of `POST /order`, its ids made before it is first sent so that sending it again changes nothing. */
export interface PlaceOrderCall {
  readonly orderId: string
  readonly eventId: string
  readonly userId: string
  readonly key: string | undefined
  /** Which body the key came with. */
  readonly fingerprint: string
  /** `undefined` orders the cart. */
  readonly lines: readonly AskedLine[] | undefined
  /** What it is to cost; `undefined` for whatever it costs. */
  readonly total: Money | undefined
  readonly placedAt: Date
  readonly deadlineAt: Date
  readonly traceParent: string
}

export interface PlaceOrderRow {
  readonly n: number
  readonly verdict:
    | 'ok'
    | 'cart-empty'
    | 'product-not-for-sale'
    | 'mixed-currencies'
    | 'total-too-large'
    | 'total-changed'
  /** False when the verdict was against it, or the key was claimed by an earlier call, or by this one when the batch is sent again. */
  readonly placed: boolean
  /** Asked lines without a product on sale; positions count from 0. */
  readonly missing: readonly { readonly position: number; readonly productId: string }[] | null
  readonly lines: readonly PlacedLine[] | null
  readonly total_amount: number | null
  readonly currency: string | null
}

/**
 * Places a batch of orders: verdict, idempotency claim, order, lines, emptied cart and event commit together or not at all.
 *
 * A refusal is a verdict and never an error, because an error would refuse the whole batch. Carts are locked in the order of
 * their users before the first key is claimed, keys are claimed in their order, so two batches cannot wait for each other.
 * The lock returns a cart as its last owner left it, so the second of two orders of one cart finds it empty. The loser of a
 * claim does not see the winner's row here: it is looked up by a second statement. A call without a key claims its order's id, so that
 * its batch can be sent again even when the cart has been filled again meanwhile.
 *
 * Products are found by an array of ids. Joined with the lines, of which the planner expects ten thousand, they were all read: in a shop of a
 * million each batch took 386 ms.
 */
const placeOrders = sql<PlaceOrderRow>(
  'orders.place',
  `
with call as materialized (
  select *
  from jsonb_to_recordset($1::jsonb) as c (
    n int, order_id uuid, event_id uuid, user_id uuid, key text, fingerprint text, from_cart boolean, lines jsonb,
    shown_amount bigint, shown_currency text, placed_at text, deadline_at text, trace_parent text
  )
),
locked as materialized (
  select user_id, lines
  from cart
  where user_id in (select user_id from call where from_cart)
  order by user_id
  for update
),
asked as materialized (
  select call.n, line.position, line.product_id, line.quantity
  from call
  left join locked on call.from_cart and locked.user_id = call.user_id
  cross join lateral rows from (
    jsonb_to_recordset(case when call.from_cart then coalesce(locked.lines, '[]') else call.lines end)
      as ("productId" uuid, quantity bigint)
  ) with ordinality as line (product_id, quantity, position)
),
on_sale as materialized (
  select product_id, sku, name, amount, currency, price_version
  from product_copy
  where product_id = any(array(select product_id from asked)) and not deleted
),
priced as materialized (
  select
    asked.n, asked.position, product_id, asked.quantity,
    on_sale.sku, on_sale.name, on_sale.amount, on_sale.currency, on_sale.price_version,
    on_sale.sku is null as missing
  from asked
  left join on_sale using (product_id)
),
summed as materialized (
  select
    n,
    bool_or(missing) as missing,
    min(currency) <> max(currency) as mixed,
    sum(quantity * amount) as total_amount,
    min(currency) as currency,
    jsonb_agg(jsonb_build_object('position', position - 1, 'productId', product_id) order by position)
      filter (where missing) as missing_lines,
    jsonb_agg(jsonb_build_object(
      'productId', product_id,
      'sku', sku,
      'name', name,
      'quantity', quantity,
      'unitPrice', jsonb_build_object('amount', amount, 'currency', currency),
      'priceVersion', price_version
    ) order by position) as lines
  from priced
  group by n
),
checked as materialized (
  select
    call.*,
    case
      when summed.n is null then 'cart-empty'
      when summed.missing then 'product-not-for-sale'
      when summed.mixed then 'mixed-currencies'
      when summed.total_amount > ${AMOUNT_MAX} then 'total-too-large'
      when (call.shown_amount, call.shown_currency) <> (summed.total_amount, summed.currency) then 'total-changed'
      else 'ok'
    end as verdict,
    summed.total_amount,
    summed.currency,
    summed.missing_lines,
    summed.lines as priced_lines
  from call
  left join summed using (n)
),
claimed as (
  insert into idempotency (user_id, key, fingerprint, order_id, created_at)
  select user_id, key, fingerprint, order_id, placed_at::timestamptz
  from checked
  where verdict = 'ok'
  order by user_id, key
  on conflict do nothing
  returning order_id
),
placed as (
  insert into orders (order_id, user_id, status, version, total_amount, currency, created_at, deadline_at)
  select
    order_id, user_id, 'pending', 1, total_amount::bigint, currency, placed_at::timestamptz, deadline_at::timestamptz
  from checked
  join claimed using (order_id)
),
lined as (
  insert into order_line (order_id, position, product_id, sku, name, quantity, unit_amount, price_version)
  select
    checked.order_id, priced.position, priced.product_id, priced.sku, priced.name, priced.quantity, priced.amount,
    priced.price_version
  from checked
  join claimed using (order_id)
  join priced using (n)
),
emptied as (
  update cart
  set lines = '[]', version = cart.version + 1, updated_at = checked.placed_at::timestamptz
  from checked
  join claimed using (order_id)
  where checked.from_cart and cart.user_id = checked.user_id
  returning cart.user_id, cart.version, checked.placed_at, checked.trace_parent
),
told as (
  insert into outbox (id, aggregate_type, aggregate_id, aggregate_version, subject, data, trace_parent, created_at)
  select
    uuidv7(), '${ordersEvents.cartChanged.aggregate}', user_id::text, version, '${ordersEvents.cartChanged.subject}',
    jsonb_build_object('userId', user_id, 'lines', '[]'::jsonb, 'changedAt', placed_at),
    trace_parent, placed_at::timestamptz
  from emptied
),
sent as (
  insert into outbox (id, aggregate_type, aggregate_id, aggregate_version, subject, data, trace_parent, created_at)
  select
    event_id, 'order', order_id::text, 1, '${ordersEvents.orderPlaced.subject}',
    jsonb_build_object(
      'orderId', order_id,
      'userId', user_id,
      'lines', priced_lines,
      'total', jsonb_build_object('amount', total_amount, 'currency', currency),
      'placedAt', placed_at,
      'deadlineAt', deadline_at
    ),
    trace_parent, placed_at::timestamptz
  from checked
  join claimed using (order_id)
)
select
  checked.n,
  checked.verdict,
  claimed.order_id is not null as placed,
  checked.missing_lines as missing,
  case when claimed.order_id is not null then checked.priced_lines end as lines,
  checked.total_amount::bigint as total_amount,
  checked.currency
from checked
left join claimed using (order_id)
`,
)

/** How calls of `POST /order` share a statement. */
export const placing: CoalescedWriteOptions<PlaceOrderCall, PlaceOrderRow> = {
  statement: placeOrders,
  toRow: (call) => ({
    order_id: call.orderId,
    event_id: call.eventId,
    user_id: call.userId,
    // Keys of clients have no spaces.
    key: call.key ?? `order ${call.orderId}`,
    fingerprint: call.fingerprint,
    from_cart: call.lines === undefined,
    lines: call.lines ?? null,
    shown_amount: call.total?.amount ?? null,
    shown_currency: call.total?.currency ?? null,
    placed_at: call.placedAt.toISOString(),
    deadline_at: call.deadlineAt.toISOString(),
    trace_parent: call.traceParent,
  }),
  conflictKeys: (call) => [
    ...(call.key === undefined ? [] : [`key ${call.userId} ${call.key}`]),
    ...(call.lines === undefined ? [`cart ${call.userId}`] : []),
  ],
  lockKey: (call) => `${call.userId} ${call.key ?? ''}`,
  subject: (call) => call.userId,
}

/** An order under a key, and what was asked with. */
export interface KnownOrderRow extends OrderRow {
  readonly asked: string
  /** Null when the order was made without a key. */
  readonly fingerprint: string | null
}

/**
 * The order that a call which placed nothing has: the one its key made, or its own, when the batch was sent twice because the
 * first answer was lost. Calls are asked for by `askFor`.
 */
export const findPlaced = sql<KnownOrderRow>(
  'orders.find_placed',
  `
with wanted as (
  select
    asked, split_part(asked, ' ', 1)::uuid as user_id, split_part(asked, ' ', 2)::uuid as order_id,
    split_part(asked, ' ', 3) as key
  from unnest($1::text[]) as call (asked)
)
select ${orderColumns}, wanted.asked, idempotency.fingerprint
from wanted
left join idempotency on idempotency.user_id = wanted.user_id and idempotency.key = wanted.key
join orders
  on orders.order_id = coalesce(idempotency.order_id, wanted.order_id)
  and orders.user_id = wanted.user_id
`,
)

/** Keys have no spaces; a call without one asks with an empty key, which no order has. */
export function askFor({ userId, orderId, key }: PlaceOrderCall): string {
  return `${userId} ${orderId} ${key ?? ''}`
}

/** Which body a key was used for: the route, the lines and the total, however the JSON was written. */
export function fingerprintOf(lines: readonly AskedLine[] | undefined, total: Money | undefined): string {
  const canonical = lines?.map(({ productId, quantity }) => [productId, quantity]) ?? 'cart'
  const shown = total === undefined ? [] : [total.amount, total.currency]
  return hash('sha256', JSON.stringify(['orders.placeOrder', canonical, ...shown]), 'base64url')
}

/**
 * The lines with ids as Postgres writes them.
 *
 * @throws {ProblemError} `invalid-request` pointing at each line whose product another line names.
 */
export function distinctLines<L extends AskedLine>(lines: readonly L[]): readonly L[] {
  const first = new Map<string, number>()
  const errors: FieldError[] = []
  const normal = lines.map((line, index) => {
    const id = line.productId.toLowerCase()
    const earlier = first.get(id)
    if (earlier === undefined) first.set(id, index)
    else errors.push({ pointer: `/lines/${index}/productId`, detail: `is the same product as in line ${earlier}` })
    return { ...line, productId: id }
  })
  if (errors.length > 0) throw new ProblemError(problems.invalidRequest, { errors })
  return normal
}

const problemOfVerdict = {
  'cart-empty': problems.cartEmpty,
  'product-not-for-sale': problems.productNotForSale,
  'mixed-currencies': problems.mixedCurrencies,
  'total-too-large': problems.totalTooLarge,
  'total-changed': problems.totalChanged,
} as const

/** Why a call was refused. */
export function refusalOf(row: PlaceOrderRow, call: PlaceOrderCall): ProblemError {
  if (row.verdict === 'ok') throw new Error('The key of an order was claimed by an order that is not there')
  const errors = row.verdict === 'total-changed' ? [changedTotal(row)] : missingLines(row, call)
  return new ProblemError(problemOfVerdict[row.verdict], errors.length === 0 ? {} : { errors })
}

function changedTotal({ total_amount, currency }: PlaceOrderRow): FieldError {
  return { pointer: '/total', detail: `is ${total_amount} ${currency} now, in minor units` }
}

/** The cart is not in the body, so its lines are named by their product. */
function missingLines({ missing }: PlaceOrderRow, { lines }: PlaceOrderCall): readonly FieldError[] {
  return (missing ?? []).map(({ position, productId }) =>
    lines === undefined
      ? { pointer: '', detail: `The cart holds ${productId}, which is not for sale` }
      : { pointer: `/lines/${position}/productId`, detail: 'is not for sale' },
  )
}
