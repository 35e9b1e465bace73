import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { cloneDirectory } from '@saas/devstack'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { brokenPromises, checkers, Ledger, violationsOf, type Evidence, type Queryable } from './checkers/index.ts'
import { drained, evidenceOf } from './stage/evidence.ts'
import { guards } from './stage/guards.ts'
import { impatience, shortMemory } from './stage/mutation.ts'
import { introduce } from './stage/recipients.ts'
import { direct, Shopper } from './stage/shopper.ts'
import { Stack } from './stage/stack.ts'
import { eventually } from '@saas/testing'

type Service = 'orders' | 'products' | 'notifications'

const SECRET = 'a-token-that-was-live-and-must-be-nowhere'
const SCHEDULE = '01977c1e-6a00-7000-8000-0000000c0c0c'

let stack: Stack
let honest: Evidence
const ledger = new Ledger()

beforeAll(async () => {
  stack = await Stack.start({ services: ['orders', 'products', 'notifications'] })
  const manager = new Shopper(randomUUID(), direct(stack, randomUUID(), ['manager']), ledger)
  const people = [1, 2, 3].map(() => {
    const userId = randomUUID()
    return new Shopper(userId, direct(stack, userId), ledger)
  })
  const [ada, ben, cleo] = people as [Shopper, Shopper, Shopper]
  await introduce(
    stack.databases.notifications,
    people.map(({ userId }) => userId),
  )
  const productId = await manager.sell(10, 490)
  await manager.changeStock(productId, 5)
  await eventually(async () => (await stack.databases.orders?.query('select 1 from product_copy'))?.length === 1)
  await ada.place([{ productId, quantity: 3 }], 'ada', 10)
  await ada.place([{ productId, quantity: 3 }], 'ada')
  await ada.place([{ productId, quantity: 100 }], 'too-many', 10)
  const regretted = await ben.place([{ productId, quantity: 2 }], 'ben', 10)
  await ben.cancel(regretted?.id ?? '')
  await ben.place([{ productId: randomUUID(), quantity: 2 }], 'unknown')
  await cleo.fillCart(productId, 1)
  await cleo.place(undefined, 'cleo', 10)
  ledger.secrets.add(SECRET)
  await drained(stack)
  for (const service of ['orders', 'products', 'notifications'] as const) await stack.kill(service)
  // A day of every edge; written when nobody runs any more who would fire what is due.
  await stack.databases.notifications?.query(
    `with made as (
       insert into schedule (id, name, kind, origin, cron, zone, catch_up, content, created_at)
       values ('${SCHEDULE}', 'Daily', 'announcement', 'operator', '30 2 * * *', 'Europe/Berlin', 'all', '{}', '2026-03-27T12:00Z')
     ), stands as (
       insert into schedule_zone (schedule_id, zone, next_at, last_fire_at)
       values ('${SCHEDULE}', 'Europe/Berlin', '2026-03-31T00:30Z', '2026-03-30T00:30Z')
     )
     insert into fire (id, schedule_id, zone, fire_at, local_date, facts, status, created_at)
     select uuidv7(), '${SCHEDULE}', 'Europe/Berlin', at, day, '{}', 'done', at
     from (values
       (timestamptz '2026-03-28T01:30Z', date '2026-03-28'), ('2026-03-29T01:00Z', '2026-03-29'), ('2026-03-30T00:30Z', '2026-03-30')
     ) as fired(at, day)`,
  )
  honest = await evidenceOf(stack, ledger)
})
afterAll(async () => {
  await stack[Symbol.asyncDispose]()
})

/** Evidence in which a database was changed as if its guard were not there; all is undone afterwards. */
async function withChanged(
  service: Service,
  statements: string,
  look: (evidence: Evidence) => Promise<void>,
): Promise<void> {
  const client = new Client({ connectionString: stack.database(service).adminUrl })
  await client.connect()
  try {
    await client.query(`begin; set local session_replication_role = replica`)
    await client.query(statements)
    const changed: Queryable = {
      query: async <Row>(text: string, values: readonly unknown[] = []) =>
        (await client.query(text, [...values])).rows as Row[],
    }
    await look({ ...honest, databases: { ...honest.databases, [service]: changed } })
  } finally {
    await client.query('rollback')
    await client.end()
  }
}

async function brokenBy(evidence: Evidence): Promise<string[]> {
  return [...new Set((await violationsOf(evidence)).map(({ promise }) => promise))]
}

test('every promise holds after an honest run', async () => {
  expect(await brokenPromises(honest)).toBe('')
})

interface Control {
  readonly promise: keyof typeof checkers
  readonly without: string
  readonly service: Service
  readonly statements: string
}

const someOrder = `(select order_id from orders where status = 'confirmed' order by order_id limit 1)`

const controls: readonly Control[] = [
  {
    promise: 'D1',
    without: 'the commit of an acknowledged order',
    service: 'orders',
    statements: `delete from orders where order_id = ${someOrder}`,
  },
  {
    promise: 'D1',
    without: 'the commit of an acknowledged stock change',
    service: 'products',
    statements: `delete from stock_movement where kind = 'change'`,
  },
  {
    promise: 'D2',
    without: 'one statement for order and event',
    service: 'orders',
    statements: `delete from outbox where aggregate_id = ${someOrder}::text and aggregate_version = 1`,
  },
  {
    promise: 'D2',
    without: 'one statement for order and lines',
    service: 'orders',
    statements: `delete from order_line where order_id = ${someOrder}`,
  },
  {
    promise: 'D2',
    without: 'the release of a refused key',
    service: 'orders',
    statements: `insert into idempotency select user_id, 'unknown', fingerprint, order_id, created_at from idempotency where key = 'ben'`,
  },
  {
    promise: 'D3',
    without: 'the acknowledgement before the mark',
    service: 'products',
    statements: `insert into outbox (id, aggregate_type, aggregate_id, aggregate_version, subject, data, published_at) values (uuidv7(), 'product', 'x', 1, 'msg.products.product.created', '{}', now())`,
  },
  {
    promise: 'D3',
    without: 'the outbox',
    service: 'orders',
    statements: `delete from outbox where aggregate_id = ${someOrder}::text`,
  },
  {
    promise: 'D4',
    without: 'republication to who missed it',
    service: 'products',
    statements: `delete from inbox where message_id = (select max(message_id::text)::uuid from inbox)`,
  },
  {
    promise: 'D5',
    without: 'the inbox',
    service: 'products',
    statements: `drop index stock_movement_of_order; insert into stock_movement select product_id, stock_version + 50, kind, delta, available_after, order_id, reason, changed_by, source, created_at from stock_movement where kind = 'reservation' limit 1`,
  },
  {
    promise: 'D5',
    without: 'the natural key of a mail',
    service: 'notifications',
    statements: `insert into mail select (jsonb_populate_record(mail, jsonb_build_object('id', uuidv7(), 'natural_key', natural_key || '2'))).* from mail where kind = 'order-confirmed' limit 1`,
  },
  {
    promise: 'D6',
    without: 'a version for each event',
    service: 'orders',
    statements: `update outbox set aggregate_version = aggregate_version + 1 where aggregate_version = 2`,
  },
  {
    promise: 'D7',
    without: 'patience with what can be applied',
    service: 'orders',
    statements: `insert into dead_letter (id, consumer, message_id, subject, headers, body, reason) select uuidv7(), consumer, message_id, 'x', '{}', '', 'gave up' from inbox limit 1`,
  },
  {
    promise: 'D8',
    without: 'the poll of what a dead replica left',
    service: 'orders',
    statements: `update outbox set published_at = null where aggregate_version = 1`,
  },
  {
    promise: 'O1',
    without: 'the claim of a key',
    service: 'orders',
    statements: `insert into orders select (jsonb_populate_record(orders, jsonb_build_object('order_id', uuidv7()))).* from orders where order_id = ${someOrder}`,
  },
  {
    promise: 'O2',
    without: 'the emptied cart',
    service: 'orders',
    statements: `insert into orders select (jsonb_populate_record(orders, jsonb_build_object('order_id', uuidv7()))).* from orders join idempotency using (order_id) where key = 'cleo'`,
  },
  {
    promise: 'O3',
    without: 'the price as it was read',
    service: 'orders',
    statements: `update order_line set unit_amount = unit_amount - 1`,
  },
  {
    promise: 'O4',
    without: '`where status = pending`',
    service: 'orders',
    statements: `update orders set status = 'confirmed' where status = 'cancelled'`,
  },
  {
    promise: 'O4',
    without: 'final states',
    service: 'orders',
    statements: `update outbox set subject = 'msg.orders.order.confirmed' where subject = 'msg.orders.order.rejected'`,
  },
  {
    promise: 'O5',
    without: 'the expiry job',
    service: 'orders',
    statements: `update orders set status = 'pending', decided_at = null, deadline_at = now() - interval '1 minute' where order_id = ${someOrder}`,
  },
  {
    promise: 'S1',
    without: 'the check',
    service: 'products',
    statements: `alter table product drop constraint product_available_not_negative; update product set available = -1`,
  },
  {
    promise: 'S2',
    without: 'the movement of a change',
    service: 'products',
    statements: `update product set available = available + 1`,
  },
  {
    promise: 'S2',
    without: 'balances',
    service: 'products',
    statements: `update stock_movement set available_after = available_after + 1 where stock_version = 2`,
  },
  {
    promise: 'S3',
    without: 'the refusal of what is not there',
    service: 'orders',
    statements: `update order_line set quantity = 90 where order_id = ${someOrder}`,
  },
  {
    promise: 'S4',
    without: 'the release',
    service: 'products',
    statements: `delete from stock_movement where kind = 'release'`,
  },
  {
    promise: 'S4',
    without: 'the state of a reservation',
    service: 'products',
    statements: `drop index stock_movement_of_order; insert into stock_movement select product_id, stock_version + 50, kind, delta, available_after, order_id, reason, changed_by, source, created_at from stock_movement where kind = 'release'`,
  },
  {
    promise: 'N1',
    without: 'the mail row',
    service: 'notifications',
    statements: `delete from mail where kind = 'order-confirmed'`,
  },
  {
    promise: 'N1',
    without: 'retries',
    service: 'notifications',
    statements: `update mail set status = 'dead', sent_at = null, last_error = '451 try again later'`,
  },
  {
    promise: 'N3',
    without: 'the event of a mail',
    service: 'notifications',
    statements: `update mail set natural_key = 'order-confirmed:' || gen_random_uuid() where kind = 'order-confirmed'`,
  },
  {
    promise: 'C1',
    without: 'one firing a date',
    service: 'notifications',
    statements: `insert into fire (id, schedule_id, zone, fire_at, local_date, facts, status, created_at) select uuidv7(), schedule_id, zone, fire_at + interval '1 minute', local_date, facts, status, created_at from fire where fire_at = '2026-03-28T01:30Z'`,
  },
  {
    promise: 'C2',
    without: 'catching up',
    service: 'notifications',
    statements: `delete from fire where fire_at = '2026-03-29T01:00Z'`,
  },
  {
    promise: 'C3',
    without: 'the end of the gap',
    service: 'notifications',
    statements: `update fire set fire_at = '2026-03-29T00:30Z' where fire_at = '2026-03-29T01:00Z'`,
  },
  {
    promise: 'A12',
    without: 'sealing',
    service: 'notifications',
    statements: `update mail set data = '{"token": "${SECRET}"}'`,
  },
]

test.for(controls)('$promise turns red without $without', async ({ promise, service, statements }) => {
  await withChanged(service, statements, async (changed) => {
    expect(await brokenBy(changed)).toContain(promise)
  })
})

test('D3, D6, N1, N2, N3 and A12 turn red when the stream or the mail server tell of it', async () => {
  const { stream = [], mails = [] } = honest
  const swapped = stream.map((message) => ({ ...message, sequence: -message.sequence }))
  const nobodys = { to: [], text: '', messageId: `${randomUUID()}@example.com`, isCut: false }
  expect(await brokenBy({ ...honest, stream: stream.slice(1) })).toEqual(['D3'])
  expect(await brokenBy({ ...honest, stream: swapped })).toEqual(['D6'])
  expect(await brokenBy({ ...honest, mails: mails.slice(1) })).toEqual(['N1'])
  expect(await brokenBy({ ...honest, mails: [...mails, ...mails.slice(0, 1)] })).toEqual(['N2'])
  expect(await brokenBy({ ...honest, mails: [...mails, nobodys] })).toEqual(['N3'])
  expect(await brokenBy({ ...honest, logs: [{ name: 'orders.log', text: `"token":"${SECRET}"` }] })).toEqual(['A12'])
})

test('D1, O1, O2 and D8 turn red when clients were told otherwise', async () => {
  const told = (change: (changed: Ledger) => void): Evidence => {
    const changed = Object.assign(new Ledger(), structuredClone(ledger))
    change(changed)
    return { ...honest, ledger: changed }
  }
  const [first] = ledger.placed
  if (first?.order === undefined) throw new Error('Nothing was placed')
  const { order } = first
  expect(await brokenBy(told(({ cancelled }) => cancelled.push(order.id)))).toEqual(['D1'])
  expect(
    await brokenBy(
      told(({ placed }) => placed.push({ ...first, order: { ...order, total: { ...order.total, amount: 1 } } })),
    ),
  ).toEqual(['O1'])
  expect(await brokenBy(told(({ placed }) => placed.push({ ...first, status: 200 })))).toEqual(['O1'])
  expect(await brokenBy(told(({ cartFills }) => cartFills.set(first.userId, 0)))).toEqual(['O2'])
  expect(await brokenBy(told(({ drains }) => drains.push({ service: 'orders', waiting: 1, ms: 31_000 })))).toEqual([
    'D8',
  ])
})

test('every promise has a control', () => {
  const controlled = new Set([...controls.map(({ promise }) => promise), 'N2'])
  expect(Object.keys(checkers).filter((promise) => !controlled.has(promise))).toEqual([])
})

test('the promises that are described as checked here are those that are', () => {
  const [, described = ''] = readFileSync(join(cloneDirectory, 'docs/promises.md'), 'utf8').split(/^## /m)
  const names = [...described.matchAll(/^\| ([A-Z]\d+) \|/gm)].map(([, name]) => name)
  expect(new Set(names)).toEqual(new Set(Object.keys(checkers)))
})

// The longer proofs take these lines out: one that was rewritten since would only be noticed there.
test('every line of the code that a proof takes out or shortens is there', () => {
  const mutations = [...guards.flatMap((guard) => guard.mutations), ...impatience, ...shortMemory]
  const stale = mutations.filter(({ file, from }) => !readFileSync(join(cloneDirectory, file), 'utf8').includes(from))
  expect(stale).toEqual([])
})
