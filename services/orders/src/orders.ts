import { newId, type Clock } from '@saas/config'
import { DECISION_DEADLINE_MINUTES, ProblemError, problems, type Money, type Order } from '@saas/contracts'
import { sql, type Bus, type CoalescedRead, type CoalescedWrite, type Database } from '@saas/state'
import { sendDecided } from './decisions.ts'
import { toCustomerOrder } from './history.ts'
import { KeyTurns, type KeyedCall } from './key-turns.ts'
import { OrderIds } from './order-ids.ts'
import {
  orderColumns,
  stateColumns,
  toOrder,
  toOrderLine,
  type OrderRow,
  type OrderState,
  type VersionedOrder,
} from './order-row.ts'
import {
  askFor,
  distinctLines,
  fingerprintOf,
  findPlaced,
  placing,
  refusalOf,
  type AskedLine,
  type KnownOrderRow,
  type PlaceOrderCall,
  type PlaceOrderRow,
} from './place-order.ts'

const DEADLINE_MS = DECISION_DEADLINE_MINUTES * 60_000

/** What the domain needs of the world. */
export interface OrdersContext {
  readonly database: Database
  readonly bus: Pick<Bus, 'nudge'>
  readonly clock: Clock
}

/** A key is `<user id> <order id>`, so that a shared statement has the owner in its `where` too. */
const ownKeys = `
from unnest($1::text[]) as wanted (key)
join orders
  on orders.order_id = split_part(wanted.key, ' ', 2)::uuid
  and orders.user_id = split_part(wanted.key, ' ', 1)::uuid
`
const readOrders = sql<OrderRow>('orders.read', `select ${orderColumns} ${ownKeys}`)
const readAnyOrders = sql<OrderRow>(
  'orders.read_any',
  `select ${orderColumns}
   from orders
   where order_id = any($1::uuid[])`,
)
const readStates = sql<OrderState>('orders.read_states', `select ${stateColumns} ${ownKeys}`)

/** What placing gave: a new order, or the one that its key made before. */
type Placed = VersionedOrder & { readonly replayed: boolean }

/** Orders as their owner sees them: placed, read, listed and cancelled. */
export class Orders {
  readonly #context: OrdersContext
  readonly #ids = new OrderIds()
  readonly #placing: CoalescedWrite<PlaceOrderCall, PlaceOrderRow>
  readonly #keyTurns: KeyTurns<PlaceOrderCall & KeyedCall, KnownOrderRow>
  readonly #placed: CoalescedRead<KnownOrderRow>
  readonly #orders: CoalescedRead<OrderRow>
  readonly #anyOrders: CoalescedRead<OrderRow>
  readonly #states: CoalescedRead<OrderState>

  constructor(context: OrdersContext) {
    const { database } = context
    this.#context = context
    this.#placing = database.coalescedWrite(placing)
    this.#placed = database.coalescedRead({ statement: findPlaced, keyOfRow: ({ asked }) => asked })
    this.#keyTurns = new KeyTurns((call) => this.#orderOf(call))
    this.#orders = database.coalescedRead({ statement: readOrders, keyOfRow: ownKey })
    this.#anyOrders = database.coalescedRead({ statement: readAnyOrders, keyOfRow: ({ order_id }) => order_id })
    this.#states = database.coalescedRead({ statement: readStates, keyOfRow: ownKey })
  }

  /**
   * Places an order of `lines`, or of the cart when there are none. A key that made an order before gives that order again,
   * with its status as it is now.
   *
   * @throws {ProblemError} when it is refused; nothing was stored then, and the key may be used again.
   */
  async place(asked: {
    readonly userId: string
    readonly key: string | undefined
    readonly lines?: readonly AskedLine[] | undefined
    readonly total?: Money | undefined
    readonly traceParent: string
  }): Promise<Placed> {
    if (asked.lines !== undefined && asked.key === undefined) throw new ProblemError(problems.idempotencyKeyMissing)
    const placedAt = this.#context.clock.now()
    const lines = asked.lines === undefined ? undefined : distinctLines(asked.lines)
    const call: PlaceOrderCall = {
      ...asked,
      lines,
      total: asked.total,
      fingerprint: fingerprintOf(lines, asked.total),
      orderId: this.#ids.next(placedAt),
      eventId: newId(),
      placedAt,
      deadlineAt: new Date(placedAt.getTime() + DEADLINE_MS),
    }
    const send = async () => await this.#send(call)
    const { key } = call
    if (key === undefined) return await send()
    return await this.#keyTurns.take({ ...call, key }, send, (row) => ({ ...orderUnderKey(row, call), replayed: true }))
  }

  async #send(call: PlaceOrderCall): Promise<Placed> {
    const row = await this.#placing.call(call)
    if (!row.placed) return await this.#placedBefore(call, row)
    this.#context.bus.nudge()
    return { ...newOrder(call, row), replayed: false }
  }

  async #placedBefore(call: PlaceOrderCall, refused: PlaceOrderRow): Promise<Placed> {
    const row = await this.#placed.load(askFor(call))
    if (row === undefined) throw refusalOf(refused, call)
    const replayed = row.order_id !== call.orderId
    if (!replayed) this.#context.bus.nudge()
    return { ...orderUnderKey(row, call), replayed }
  }

  async #orderOf(call: PlaceOrderCall): Promise<KnownOrderRow> {
    const row = await this.#placed.load(askFor(call))
    if (row === undefined) throw new Error('The order that a key made is not there')
    return row
  }

  /** @throws {ProblemError} `not-found` for an order that is not there, and alike for another user's. */
  async get(userId: string, orderId: string): Promise<VersionedOrder> {
    const row = await this.#orders.load(`${userId} ${orderId.toLowerCase()}`)
    if (row === undefined) throw new ProblemError(problems.notFound)
    return toOrder(row)
  }

  /** Anybody's order, for those who may read all, with whose it is. @throws {ProblemError} `not-found` */
  async getAny(orderId: string): Promise<Order> {
    const row = await this.#anyOrders.load(orderId.toLowerCase())
    if (row === undefined) throw new ProblemError(problems.notFound)
    return toCustomerOrder(row)
  }

  /** What may have changed about an order, read after the call began. */
  async state(userId: string, orderId: string): Promise<OrderState | undefined> {
    return await this.#states.load(`${userId} ${orderId}`)
  }

  static readonly #cancel = sql<OrderRow>(
    'orders.cancel',
    `
with decided as (
  update orders
  set status = 'cancelled', version = version + 1, decided_at = $3::text::timestamptz
  where order_id = $1 and user_id = $2 and status in ('pending', 'confirmed')
  returning ${orderColumns}, $4::uuid as event_id, $3::text as decided_text, $5::text as trace_parent
),
sent as (${sendDecided})
select * from decided
`,
  )

  /**
   * Cancels an order. One that is cancelled already is answered as it is, so that a lost answer can be asked for again.
   *
   * @throws {ProblemError} `order-not-cancellable` when it was rejected, `not-found` when it is not the user's.
   */
  async cancel(userId: string, orderId: string, traceParent: string): Promise<VersionedOrder> {
    const values = [orderId.toLowerCase(), userId, this.#context.clock.now().toISOString(), newId(), traceParent]
    const [row] = await this.#context.database.write(Orders.#cancel, values)
    if (row !== undefined) {
      this.#context.bus.nudge()
      return toOrder(row)
    }
    const current = await this.get(userId, orderId)
    if (current.order.status !== 'cancelled') throw new ProblemError(problems.orderNotCancellable)
    return current
  }
}

function ownKey({ user_id, order_id }: OrderState): string {
  return `${user_id} ${order_id}`
}

/** @throws {ProblemError} `idempotency-key-reused` when the key came with another body. */
function orderUnderKey(row: KnownOrderRow, { fingerprint }: PlaceOrderCall): VersionedOrder {
  if (row.fingerprint !== null && row.fingerprint !== fingerprint) {
    throw new ProblemError(problems.idempotencyKeyReused)
  }
  return toOrder(row)
}

function newOrder(call: PlaceOrderCall, { lines, total_amount, currency }: PlaceOrderRow): VersionedOrder {
  if (lines === null || total_amount === null || currency === null) throw new Error('A placed order has no lines')
  const order = {
    id: call.orderId,
    status: 'pending' as const,
    lines: lines.map(toOrderLine),
    total: { amount: total_amount, currency },
    createdAt: call.placedAt.toISOString(),
  }
  return { order, version: 1 }
}
