import { productsEvents } from '@saas/contracts'
import { Client } from 'pg'
import { v7 as uuidv7 } from 'uuid'
import { expect, onTestFinished, test, vi } from 'vitest'
import {
  connectState,
  emit,
  eventually,
  outboxIsEmpty,
  testBus,
  type TestBus,
  type TestDatabase,
  type TestState,
} from './fixtures.ts'
import { SHARD_LOCK_CLASS, SHARDS } from '../src/relay-shards.ts'
import { Republication } from '../src/republication.ts'

const { subject: NEW } = productsEvents.productDeleted
const OLD = 'msg.products.product.created'

test('what is new does not wait for all that a lost stream had', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  await publishedOnLostStream(products, 5_000)
  products.state.bus.startRelay()
  await eventually(async () => expect((await state(bus)).last).toBeGreaterThan(0))
  const { last } = await state(bus)
  await emit(products)
  await eventually(async () => expect(await sequencesOf(bus, NEW)).toHaveLength(1))
  const [sequence = Infinity] = await sequencesOf(bus, NEW)
  // The pass that was under way, and what waited then.
  expect(sequence - last).toBeLessThan(3_000)
  await everythingIsPublished(products)
  expect((await state(bus)).messages).toBe(5_001)
})

test('however slowly anything is published, no more of what a lost stream had stands before what is new than one instalment', async () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => void vi.useRealTimers())
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  await publishedOnLostStream(products, 2_000)
  const stream = {
    createdAt: '2026-01-01',
    lastSequence: 0,
    messages: 0,
    takesBatches: true,
    isReplicated: false,
    bytes: 0,
    bytesMax: 0,
  }
  const republication = new Republication(
    products.state.database,
    { ensure: () => Promise.resolve(stream) },
    products.log.logger,
  )
  const recalled = async (): Promise<number> => {
    await republication.advance()
    const left = 'select from outbox where published_at is null and stream_sequence is not null'
    return (await products.database.query(left)).length
  }
  await republication.whenNeeded(stream)
  while ((await products.state.bus.kept()) !== 2_000) await republication.advance()
  expect(await recalled()).toBe(500)
  // Nobody publishes anything, however long that takes.
  vi.advanceTimersByTime(30_000)
  expect(await recalled()).toBe(500)
  // What it had, which stands before the others, and nine times as many of those.
  republication.published(4_999)
  expect(await recalled()).toBe(500)
  republication.published(1)
  expect(await recalled()).toBe(1_000)
  // What is published quickly would soon let in another one.
  republication.published(5_000)
  expect(await recalled()).toBe(1_000)
  vi.advanceTimersByTime(1_001)
  expect(await recalled()).toBe(1_500)
  // Rows that cannot be sent would keep the others for ever.
  vi.advanceTimersByTime(60_001)
  expect(await recalled()).toBe(2_000)
})

test('of an aggregate of which something new waits, the older versions come first', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  const aggregateId = uuidv7()
  await publishedOnLostStream(products, 3, { aggregateId, subject: NEW })
  // Newer than those, so that they would be the last.
  await publishedOnLostStream(products, 5_000)
  await emit(products, { aggregateId, version: 4 })
  products.state.bus.startRelay()
  await eventually(async () => expect(await sequencesOf(bus, NEW)).toHaveLength(4))
  expect((await sequencesOf(bus, NEW)).at(-1)).toBeLessThan(1_500)
  await everythingIsPublished(products)
  expect(await versionsOf(bus, NEW)).toEqual([1, 2, 3, 4])
})

test('an aggregate with more versions than one statement or pass takes keeps its order', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  const aggregateId = uuidv7()
  await publishedOnLostStream(products, 2_500, { aggregateId, subject: NEW })
  await emit(products, { aggregateId, version: 2_501 })
  products.state.bus.startRelay()
  await everythingIsPublished(products)
  expect(await versionsOf(bus, NEW)).toEqual(Array.from({ length: 2_501 }, (_, n) => n + 1))
})

test('it keeps its order as well when several new versions wait, and a relay publishes them beside others', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  const aggregateId = uuidv7()
  await publishedOnLostStream(products, 2_500, { aggregateId, subject: NEW })
  for (let version = 2_501; version <= 2_510; version += 1) await emit(products, { aggregateId, version })
  // What a replica leaves that was killed when all was written down.
  await products.state.bus.ensureStream()
  await products.database.query(
    `insert into republication
     select id, aggregate_type, aggregate_id from outbox where published_at is not null order by id desc`,
  )
  await products.database.query(
    `update stream_position
     set stream_created_at = $1, last_sequence = 0, republish_below = 'ffffffff-ffff-ffff-ffff-ffffffffffff'`,
    [(await (await bus.manager()).streams.info('messages')).created],
  )
  await products.database.query('analyze republication')
  // Another relay has a shard of its own for long, so no instalment comes.
  await using other = await lockHeld(products.database, `select (shard + 1) % ${SHARDS} as lock from outbox limit 1`)
  products.state.bus.startRelay()
  await eventually(async () => expect((await state(bus)).messages).toBe(2_510))
  expect(await versionsOf(bus, NEW)).toEqual(Array.from({ length: 2_510 }, (_, n) => n + 1))
  await other[Symbol.asyncDispose]()
  await everythingIsPublished(products)
})

test('replicas publish together what a lost stream had, and another goes on with what a stopped one left', async () => {
  await using bus = await testBus()
  await using first = await connectState('products', bus)
  await publishedOnLostStream(first, 5_000)
  {
    await using second = await connectState('products', bus, { database: first.database })
    second.state.bus.startRelay()
    await eventually(async () => expect((await state(bus)).last).toBeGreaterThan(0))
  }
  await using third = await connectState('products', bus, { database: first.database })
  first.state.bus.startRelay()
  third.state.bus.startRelay()
  await everythingIsPublished(first)
  expect((await state(bus)).messages).toBe(5_000)
})

test('while it is found out what a lost stream had, only what may have older versions waits, and another replica goes on', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  const { database } = products
  const [old, young] = [uuidv7({ msecs: Date.now() - 86_400_000 }), uuidv7()]
  await publishedOnLostStream(products, 3, { aggregateId: old, subject: NEW, daysAgo: 1 })
  await publishedOnLostStream(products, 600, { daysAgo: 1 })
  await publishedOnLostStream(products, 100, { daysAgo: 1 })
  // What a replica leaves that was killed after a step, and the lock of one that does not go on.
  await products.state.bus.ensureStream()
  await database.query(
    `insert into republication
     select id, aggregate_type, aggregate_id from outbox order by id desc limit 100`,
  )
  await database.query(
    `update stream_position
     set stream_created_at = $1, last_sequence = 0, republish_below = 'ffffffff-ffff-ffff-ffff-ffffffffffff',
       keep_below = (select id from outbox order by id desc offset 99 limit 1)`,
    [(await (await bus.manager()).streams.info('messages')).created],
  )
  {
    await using _writer = await lockHeld(database, `select ${SHARDS} as lock`)
    products.state.bus.startRelay()
    const late = await emit(products, { aggregateId: old, version: 4 })
    for (const version of [1, 2]) {
      const id = await emit(products, { aggregateId: young, version })
      await eventually(async () => expect(await waiting(database)).not.toContain(id))
    }
    expect(await waiting(database)).toEqual([late])
    expect(await products.state.bus.kept()).toBe(101)
  }
  await everythingIsPublished(products)
  expect((await state(bus)).messages).toBe(706)
  expect(await versionsOf(bus, NEW)).toEqual([1, 2, 1, 2, 3, 4])
})

test('a row that cannot be sent keeps nothing waiting of what a lost stream had', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  await publishedOnLostStream(products, 20)
  // As jsonb a character, as JSON six.
  await emit(products, { data: { padding: '\u0001'.repeat(200_000) } })
  products.state.bus.startRelay()
  await eventually(async () => expect((await state(bus)).messages).toBe(20))
})

test('a stream that is lost again meanwhile gets everything', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  await publishedOnLostStream(products, 5_000)
  products.state.bus.startRelay()
  await eventually(async () => expect((await state(bus)).last).toBeGreaterThan(1_000))
  await bus.deleteStream()
  await eventually(async () => expect((await state(bus)).messages).toBe(5_000), { timeoutMs: 60_000 })
  await everythingIsPublished(products)
})

test('the metrics say how much of it is left', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  await publishedOnLostStream(products, 5_000)
  expect(await products.state.bus.kept()).toBe(0)
  products.state.bus.startRelay()
  await eventually(async () => expect(await products.state.bus.kept()).toBeGreaterThan(0))
  await everythingIsPublished(products)
  expect(await products.state.bus.kept()).toBe(0)
})

/** Writes versions from 1 on, of one aggregate or each of another, as if a stream had them that is no more. */
async function publishedOnLostStream(
  { database }: { readonly database: TestDatabase },
  count: number,
  {
    aggregateId,
    subject = OLD,
    daysAgo = 0,
  }: { readonly aggregateId?: string; readonly subject?: string; readonly daysAgo?: number } = {},
): Promise<void> {
  await database.query(
    `insert into outbox (
       id, aggregate_type, aggregate_id, aggregate_version, subject, data, published_at, stream_created_at, stream_sequence
     )
     select uuidv7(make_interval(days => -($5::integer))), 'product', coalesce($2, uuidv7()::text), case when $2 is null then 1 else n end, $3, $4, now(), '2020-01-01', n
     from generate_series(1, $1::integer) as n`,
    [count, aggregateId ?? null, subject, JSON.stringify(productsEvents.productDeleted.example), daysAgo],
  )
  await database.query(
    `insert into stream_position (stream, stream_created_at, last_sequence)
     values ('messages', '2020-01-01', $1)
     on conflict do nothing`,
    [count],
  )
}

/** Holds the lock of a shard, or of who writes down, until it is disposed. */
async function lockHeld(database: TestDatabase, which: string): Promise<AsyncDisposable> {
  const holder = new Client({ connectionString: database.url })
  await holder.connect()
  await holder.query(`select pg_advisory_lock(${SHARD_LOCK_CLASS}, lock) from (${which}) as held`)
  const held = new AsyncDisposableStack()
  held.defer(() => holder.end())
  return held
}

async function everythingIsPublished(products: TestState): Promise<void> {
  await eventually(
    async () => {
      const [row] = await products.database.query<{ done: boolean }>(
        `select not exists (select from outbox where published_at is null)
           and not exists (select from republication)
           and republish_below is null
           and keep_below is null as done
         from stream_position`,
      )
      expect(row?.done).toBe(true)
    },
    { timeoutMs: 60_000 },
  )
  await outboxIsEmpty(products)
}

/** The ids of what waits for its publication. */
async function waiting(database: TestDatabase): Promise<string[]> {
  const rows = await database.query<{ id: string }>('select id from outbox where published_at is null order by id')
  return rows.map(({ id }) => id)
}

/** What the stream holds; nothing while there is none. */
async function state(bus: TestBus): Promise<{ last: number; messages: number }> {
  const info = await (await bus.manager()).streams.info('messages').catch(() => undefined)
  return { last: info?.state.last_seq ?? 0, messages: info?.state.messages ?? 0 }
}

async function messagesOf(bus: TestBus, subject: string): Promise<{ sequence: number; version: number }[]> {
  const consumers = (await bus.manager()).jetstream().consumers
  const consumer = await consumers.get('messages', { filter_subjects: [subject] })
  const { num_pending: count } = await consumer.info()
  const found = []
  if (count === 0) return []
  for await (const { seq, headers } of await consumer.fetch({ max_messages: count })) {
    found.push({ sequence: seq, version: Number(headers?.get('ce-aggregateversion')) })
  }
  return found
}

async function sequencesOf(bus: TestBus, subject: string): Promise<number[]> {
  return (await messagesOf(bus, subject)).map(({ sequence }) => sequence)
}

async function versionsOf(bus: TestBus, subject: string): Promise<number[]> {
  return (await messagesOf(bus, subject)).map(({ version }) => version)
}
