import { needs } from '@saas/contracts'
import type { StatefulService } from '../stage/service-child.ts'
import { rowsOf, type Checker, type Checkers, type Evidence, type Queryable } from './evidence.ts'

const BACKLOG_MS_MAX = 30_000

type Entry = readonly [service: StatefulService, database: Queryable]

function databasesOf({ databases }: Evidence): readonly Entry[] {
  return Object.entries(databases) as unknown as readonly Entry[]
}

/** Runs a query on every database, and says which one a violation is from. */
async function everywhere(evidence: Evidence, text: string): Promise<string[]> {
  const found = databasesOf(evidence).map(async ([service, database]) =>
    (await rowsOf(database, text)).map((row) => `${service}: ${row}`),
  )
  return (await Promise.all(found)).flat()
}

/** Every acknowledged write is in Postgres. */
const acknowledgedIsStored: Checker = async ({ ledger, databases: { orders, products } }) => {
  const acknowledged = ledger.placed.filter(({ status }) => status === 201).map(({ order }) => order?.id)
  const missing = async (
    name: string,
    database: Queryable | undefined,
    text: string,
    values: unknown,
  ): Promise<string[]> =>
    (await rowsOf(database, text, [values])).map((row) => `${name} ${row} was acknowledged and is not there`)
  return [
    await missing(
      'order',
      orders,
      'select id from unnest($1::uuid[]) as id where not exists (select from orders where order_id = id)',
      acknowledged,
    ),
    await missing(
      'cancellation of',
      orders,
      `select id from unnest($1::uuid[]) as id
       where not exists (select from orders where order_id = id and status = 'cancelled')`,
      ledger.cancelled,
    ),
    await missing(
      'product',
      products,
      'select id from unnest($1::uuid[]) as made (id) where not exists (select from product where product.id = made.id)',
      ledger.products.map(({ id }) => id),
    ),
    await missing(
      'stock change',
      products,
      `select key from unnest($1::text[]) as key
       where not exists (select from stock_movement where idempotency_key = key)`,
      ledger.stockChanges.filter(({ status }) => status === 200).map(({ key }) => key),
    ),
  ].flat()
}

/** What was refused left nothing; whatever else is there is whole. */
const refusedOrWhole: Checker = async ({ ledger, databases: { orders, products } }) => {
  const isRefused = (status: number): boolean => status >= 400 && status < 500
  const keysOf = (wanted: (status: number) => boolean): Set<string> =>
    new Set(
      ledger.placed.flatMap(({ userId, key, status }) =>
        wanted(status) && key !== undefined ? [`${userId} ${key}`] : [],
      ),
    )
  // A key that was refused may be used again with success.
  const others = keysOf((status) => !isRefused(status))
  const refused = [...keysOf(isRefused)].filter((key) => !others.has(key))
  const changes = new Set(ledger.stockChanges.filter(({ status }) => isRefused(status)).map(({ key }) => key))
  for (const { key, status } of ledger.stockChanges) if (!isRefused(status)) changes.delete(key)
  return [
    await rowsOf(orders, `select key as refused_key from idempotency where user_id::text || ' ' || key = any($1)`, [
      refused,
    ]),
    await rowsOf(
      products,
      'select idempotency_key as refused_change from stock_movement where idempotency_key = any($1)',
      [[...changes]],
    ),
    await rowsOf(
      orders,
      `select order_id, status, version from orders
       where not exists (select from order_line where order_line.order_id = orders.order_id)`,
    ),
    await rowsOf(
      orders,
      // Of tens of thousands: what has an index in neither table is joined, not looked up row by row.
      `select order_id, status, version, events from orders
       left join (
         select aggregate_id::uuid as order_id, count(*) as events from outbox where aggregate_type = 'order' group by 1
       ) as told using (order_id)
       where events is distinct from version`,
    ),
    await rowsOf(
      orders,
      `select order_id as line_without_order from order_line
       where not exists (select from orders where orders.order_id = order_line.order_id)`,
    ),
    await rowsOf(
      orders,
      `select key as key_without_order from idempotency
       where not exists (select from orders where orders.order_id = idempotency.order_id)`,
    ),
    await rowsOf(
      orders,
      `select aggregate_id as event_without_order from outbox
       where aggregate_type = 'order' and not exists (select from orders where order_id = aggregate_id::uuid)`,
    ),
  ].flat()
}

/** Every row of the outbox is in the stream where it says, and nothing in the stream lacks one. */
const outboxIsStream: Checker = async (evidence) => {
  const { stream } = evidence
  if (stream === undefined) return []
  const published = new Map(stream.filter(({ isInjected }) => !isInjected).map((message) => [message.id, message]))
  const violations: string[] = []
  const known = new Set<string>()
  for (const [service, database] of databasesOf(evidence)) {
    const rows = await database.query<{ id: string; subject: string; published: boolean; aggregate_version: string }>(
      'select id, subject, published_at is not null as published, aggregate_version from outbox',
    )
    for (const { id, subject, published: isMarked } of rows) {
      known.add(id)
      const message = published.get(id)
      if (!isMarked) violations.push(`${service}: ${subject} ${id} was never published`)
      else if (message?.subject !== subject)
        violations.push(`${service}: ${subject} ${id} is marked and not in the stream`)
    }
  }
  const services = new Set(Object.keys(evidence.databases))
  for (const { id, subject } of published.values()) {
    if (services.has(subject.split('.')[1] ?? '') && !known.has(id) && !evidence.ledger.injected.has(id)) {
      violations.push(`${subject} ${id} is in the stream and in no outbox`)
    }
  }
  return violations
}

/** Every message of the outbox reached whoever consumes it: it was applied, or it is a dead letter. */
const everyEffect: Checker = async (evidence) => {
  const violations: string[] = []
  for (const [consumer, database] of databasesOf(evidence)) {
    const subjects = needs[consumer].consumes.map(({ subject }) => subject)
    if (subjects.length === 0) continue
    const seen = await database.query<{ message_id: string }>(
      'select message_id from inbox where consumer = $1 union select message_id from dead_letter where consumer = $1',
      [consumer],
    )
    const ids = new Set(seen.map(({ message_id }) => message_id))
    for (const [service, publisher] of databasesOf(evidence)) {
      const sent = await publisher.query<{ id: string; subject: string }>(
        'select id, subject from outbox where subject = any($1)',
        [subjects],
      )
      for (const { id, subject } of sent) {
        if (!ids.has(id)) violations.push(`${consumer} never applied ${subject} ${id} of ${service}`)
      }
    }
  }
  return violations
}

/** An order that was placed has one reservation, a reserved unit was taken once, a released one was given back once, a mail was written once. */
const oneEffect: Checker = async ({ databases: { orders, products, notifications } }) => [
  ...(await rowsOf(
    products,
    `select order_id, product_id, kind, count(*) as effects from stock_movement
     where order_id is not null group by 1, 2, 3 having count(*) > 1`,
  )),
  ...(await rowsOf(
    products,
    `select reservation.order_id, reservation.state,
       count(stock_movement.*) filter (where kind = 'reservation') as taken,
       count(stock_movement.*) filter (where kind = 'release') as given,
       jsonb_array_length(lines) as lines
     from reservation
     left join stock_movement using (order_id)
     group by 1
     having count(stock_movement.*) filter (where kind = 'reservation') <> jsonb_array_length(lines)
       or count(stock_movement.*) filter (where kind = 'release')
         <> case when state = 'released' then jsonb_array_length(lines) else 0 end`,
  )),
  ...(await rowsOf(
    orders,
    `select aggregate_id, subject, count(*) as effects from outbox
     where aggregate_type = 'order' group by 1, 2 having count(*) > 1`,
  )),
  ...(await rowsOf(
    notifications,
    `select data ->> 'orderId' as order_id, kind, count(*) as mails from mail
     where kind like 'order-%' group by 1, 2 having count(*) > 1`,
  )),
]

/** Each aggregate's events were written, and first appear in the stream, as 1 to n. */
const inOrder: Checker = async (evidence) => {
  const violations = await everywhere(
    evidence,
    `select aggregate_type, aggregate_id, array_agg(aggregate_version order by aggregate_version) as versions
     from outbox group by 1, 2
     having count(*) <> max(aggregate_version) or count(distinct aggregate_version) <> count(*)`,
  )
  if (evidence.stream === undefined) return violations
  const positions = new Map<string, number>()
  for (const { id, sequence, isInjected } of evidence.stream) {
    if (!isInjected && !positions.has(id)) positions.set(id, sequence)
  }
  for (const [service, database] of databasesOf(evidence)) {
    const rows = await database.query<{ id: string; aggregate: string; version: string }>(
      `select id, aggregate_type || ' ' || aggregate_id as aggregate, aggregate_version as version
       from outbox order by aggregate_type, aggregate_id, aggregate_version`,
    )
    for (const [index, row] of rows.entries()) {
      const before = rows[index - 1]
      if (before?.aggregate !== row.aggregate) continue
      const [first, second] = [positions.get(before.id), positions.get(row.id)]
      if (first !== undefined && second !== undefined && first > second) {
        violations.push(`${service}: of ${row.aggregate} version ${row.version} came before ${before.version}`)
      }
    }
  }
  return violations
}

/** Nothing is left in the middle: unpublished, or delivered and neither applied nor dead. Dead letters are what the test made up. */
const doneOrDead: Checker = async (evidence) => {
  const injected = [...evidence.ledger.injected]
  const found = databasesOf(evidence).map(async ([service, database]) => {
    const dead = await rowsOf(
      database,
      'select subject, message_id, reason from dead_letter where replayed_at is null and message_id <> all($1::uuid[])',
      [injected],
    )
    return dead.map((row) => `${service} gave up on a real message: ${row}`)
  })
  const known = await Promise.all(
    databasesOf(evidence).map(async ([, database]) => {
      const rows = await database.query<{ id: string }>(
        'select message_id as id from inbox union select message_id from dead_letter',
      )
      return rows.map(({ id }) => id)
    }),
  )
  const ended = new Set(known.flat())
  const lost = [...evidence.ledger.mustEnd]
    .filter((id) => !ended.has(id))
    .map((id) => `The made-up message ${id} ended nowhere`)
  return [...(await Promise.all(found)).flat(), ...lost]
}

/** After each outage the outbox drained in time. */
const backlogDrains: Checker = async (evidence) => [
  ...evidence.ledger.drains
    .filter(({ ms }) => ms > BACKLOG_MS_MAX)
    .map(
      ({ service, waiting, ms }) => `The outbox of ${service} took ${Math.round(ms)} ms to drain ${waiting} messages`,
    ),
  ...(await everywhere(
    evidence,
    'select count(*) as pending from outbox where published_at is null having count(*) > 0',
  )),
]

export const durability: Checkers = {
  D1: acknowledgedIsStored,
  D2: refusedOrWhole,
  D3: outboxIsStream,
  D4: everyEffect,
  D5: oneEffect,
  D6: inOrder,
  D7: doneOrDead,
  D8: backlogDrains,
}
