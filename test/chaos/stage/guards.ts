import type { Mutation } from './mutation.ts'

export type Provocation =
  | 'nothing'
  | 'a message is poison'
  | 'NATS is killed'
  | 'the stream is deleted before products heard'
  | 'the deadline passes while products is away'

/** A line of the code that keeps a promise, taken out. */
export interface Guard {
  readonly promise: string
  readonly without: string
  readonly mutations: readonly Mutation[]
  /** Guards of the products database that would catch it. */
  readonly statements?: readonly string[]
  readonly provocation: Provocation
}

const [placing, decisions, jobs] = [
  'services/orders/src/place-order.ts',
  'services/orders/src/decisions.ts',
  'services/orders/src/jobs.ts',
]
const [batch, reservations] = ['services/products/src/reservation-batch.ts', 'services/products/src/reservations.ts']
const [consumer, relay, republication] = [
  'packages/state/src/consumer.ts',
  'packages/state/src/relay.ts',
  'packages/state/src/republication.ts',
]
const [mails, courier, mailEvents] = [
  'services/notifications/src/mails.ts',
  'services/notifications/src/courier.ts',
  'services/notifications/src/events.ts',
]

const withoutInbox: Mutation = {
  file: consumer,
  from: 'messages.filter(({ id }) => unseen.has(id))',
  to: 'messages.filter(({ id }) => unseen.has(id) || true)',
}

/** Breaks two promises: the effect comes twice, and units are held that no order has. */
const reservingTwice = {
  mutations: [
    withoutInbox,
    { file: batch, from: "if (reservation !== undefined && reservation.state !== 'reserved') return", to: '' },
  ],
  statements: ['drop index stock_movement_of_order'],
}

/** Breaks two promises: stock falls below zero, and more is confirmed than there was. */
const sellingTooMuch = {
  mutations: [{ file: batch, from: 'available ?? 0) < line.quantity', to: 'available ?? 0) < -1_000 * line.quantity' }],
  statements: [
    'alter table product drop constraint product_available_not_negative',
    'alter table stock_movement drop constraint stock_movement_available_after_not_negative',
  ],
}

/** Each was seen to turn its promise red under load; the test does it again. */
export const guards: readonly Guard[] = [
  {
    promise: 'D2',
    without: 'the event in the statement of the order',
    mutations: [
      {
        file: placing,
        from: 'trace_parent, placed_at::timestamptz\n  from checked\n  join claimed using (order_id)\n',
        to: 'trace_parent, placed_at::timestamptz\n  from checked\n  join claimed using (order_id)\n  where total_amount % 2 = 1\n',
      },
    ],
    provocation: 'nothing',
  },
  {
    promise: 'D3',
    without: 'publishing before marking',
    mutations: [
      {
        file: 'packages/state/src/publisher.ts',
        from: 'ack: await client.publish(row.subject, row.body, { ...options, headers, timeout: ACK_TIMEOUT_MS }),',
        to: "ack: row.aggregate_version > 1 ? { stream: '', seq: 1, duplicate: true } : await client.publish(row.subject, row.body, { ...options, headers, timeout: ACK_TIMEOUT_MS }),",
      },
    ],
    provocation: 'nothing',
  },
  {
    promise: 'D4',
    without: 'publishing again on a new stream',
    mutations: [
      { file: republication, from: '    if (isTheSame(known, stream)) return\n', to: '    return\n' },
      { file: relay, from: 'throw new StreamWentBack()', to: 'await Promise.resolve()' },
    ],
    provocation: 'the stream is deleted before products heard',
  },
  {
    promise: 'D5',
    without: 'the inbox and the state of a reservation',
    ...reservingTwice,
    provocation: 'nothing',
  },
  {
    promise: 'S4',
    without: 'the state of a reservation and the inbox',
    ...reservingTwice,
    provocation: 'nothing',
  },
  {
    promise: 'D6',
    without: 'the lowest version first',
    mutations: [
      {
        file: relay,
        from: 'order by aggregate_type, aggregate_id, aggregate_version\n',
        to: 'order by aggregate_type, aggregate_id, aggregate_version desc\n',
      },
    ],
    provocation: 'NATS is killed',
  },
  {
    promise: 'D7',
    without: 'the dead letter of what is given up',
    mutations: [
      {
        file: consumer,
        from: 'insertDeadLetter(this.#context.database, this.durable, delivery.raw, reason),',
        to: 'Promise.resolve(insertDeadLetter),',
      },
    ],
    provocation: 'a message is poison',
  },
  {
    promise: 'O1',
    without: 'the claim of the key',
    mutations: [
      {
        file: placing,
        from: '  on conflict do nothing\n  returning order_id\n',
        to: '  on conflict (user_id, key) do update set order_id = excluded.order_id\n  returning order_id\n',
      },
    ],
    provocation: 'nothing',
  },
  {
    promise: 'O2',
    without: 'emptying the cart',
    mutations: [
      {
        file: placing,
        from: 'where checked.from_cart and cart.user_id = checked.user_id',
        to: 'where false and checked.from_cart and cart.user_id = checked.user_id',
      },
    ],
    provocation: 'nothing',
  },
  {
    promise: 'O3',
    without: 'the sum of the lines',
    mutations: [{ file: placing, from: 'sum(quantity * amount) as', to: 'sum(quantity * amount) + 1 as' }],
    provocation: 'nothing',
  },
  {
    promise: 'O4',
    without: '`where status = pending`',
    mutations: [
      {
        file: decisions,
        from: "case orders.status when 'pending' then true end",
        to: "orders.status <> 'rejected'",
      },
    ],
    provocation: 'nothing',
  },
  {
    promise: 'O5',
    without: 'the job that ends what waits too long',
    mutations: [
      {
        file: jobs,
        from: 'const expired = await expire(database, clock.now())',
        to: 'const expired = (await expire(database, new Date(0)))',
      },
      {
        file: jobs,
        from: 'database, bus, clock, logger, watch } = this.#context\n    while',
        to: 'database, bus, logger, watch } = this.#context\n    while',
      },
    ],
    provocation: 'the deadline passes while products is away',
  },
  {
    promise: 'S1',
    without: 'the refusal of what is not there',
    ...sellingTooMuch,
    provocation: 'nothing',
  },
  {
    promise: 'S3',
    without: 'the refusal of what is sold out',
    ...sellingTooMuch,
    provocation: 'nothing',
  },
  {
    promise: 'S2',
    without: 'one number for movement and balance',
    mutations: [
      { file: reservations, from: 'set available = available + delta,', to: 'set available = available + delta + 1,' },
    ],
    statements: ['set session_replication_role = origin; alter table product disable trigger all'],
    provocation: 'nothing',
  },
  {
    promise: 'N1',
    without: 'sending before recording',
    mutations: [
      {
        file: courier,
        from: 'return await smtp.send(message)',
        to: "return await Promise.resolve({ result: 'accepted', words: String(message) })",
      },
    ],
    provocation: 'nothing',
  },
  {
    promise: 'N2',
    without: 'the lease of a mail',
    mutations: [
      {
        file: mails,
        from: '       and due_at <= $1\n       and (expires_at is null or expires_at > $1)\n       and kind',
        to: '       and (expires_at is null or expires_at > $1)\n       and kind',
      },
    ],
    provocation: 'nothing',
  },
  {
    promise: 'N3',
    without: 'the order in the key of its mail',
    mutations: [
      {
        file: mailEvents,
        from: 'naturalKey: `${content.kind}:${orderId}`',
        to: 'naturalKey: `${content.kind}:${crypto.randomUUID()}`',
      },
    ],
    provocation: 'nothing',
  },
]
