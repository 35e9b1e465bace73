import { ordersEvents, productsEvents } from '@saas/contracts'
import { headers } from '@nats-io/transport-node'
import { Registry } from 'prom-client'
import { v7 as uuidv7 } from 'uuid'
import { expect, test } from 'vitest'
import {
  connectState,
  effectsIn,
  emit,
  eventually,
  insertEffect,
  outboxIsEmpty,
  recordEffects,
  testBus,
  type DeletedMessage,
} from './fixtures.ts'

test('what is written to the outbox has its effect at the consumer', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  await using orders = await connectState('orders', bus)
  products.state.bus.startRelay()
  recordEffects(orders)
  const id = await emit(products)
  products.state.bus.nudge()
  await eventually(async () => expect(await effectsIn(orders)).toEqual([id]))
  await eventually(async () => {
    expect(await orders.state.bus.lag()).toMatchObject({
      consumers: [{ durable: 'orders', pending: 0, unacknowledged: 0 }],
    })
  })
  expect(await products.state.bus.lag()).toMatchObject({ outboxPending: 0, stream: { messages: 1 } })
})

test('a message delivered twice has one effect', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  await using orders = await connectState('orders', bus)
  products.state.bus.startRelay()
  recordEffects(orders)
  const id = await emit(products)
  await eventually(async () => expect(await effectsIn(orders)).toEqual([id]))
  // The stream drops repetitions by this header alone; the copies below are new messages to it.
  const stored = await (await bus.manager()).streams.getMessage('messages', { seq: 1 })
  const administrator = await bus.administrator()
  for (let copy = 1; copy <= 5; copy += 1) {
    const copied = headers()
    for (const [name, values] of stored?.header ?? []) copied.set(name, values[0] ?? '')
    copied.set('Nats-Msg-Id', `copy ${copy}`)
    await administrator.request(productsEvents.productDeleted.subject, stored?.data, {
      headers: copied,
      timeout: 2_000,
    })
  }
  const last = await emit(products)
  await eventually(async () => expect(await effectsIn(orders)).toEqual([id, last]))
  await eventually(async () =>
    expect((await orders.state.bus.lag()).consumers[0]).toMatchObject({ pending: 0, unacknowledged: 0 }),
  )
  expect(await effectsIn(orders)).toEqual([id, last])
})

test('messages of one aggregate are applied one after the other in a transaction, and others go with them', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  await using orders = await connectState('orders', bus)
  products.state.bus.startRelay()
  const [hot, ...others] = Array.from({ length: 20 }, () => uuidv7()) as [string, ...string[]]
  const versions = Array.from({ length: 100 }, (_, n) => n + 1)
  for (const version of versions) await emit(products, { aggregateId: hot, version })
  for (const aggregateId of others) await emit(products, { aggregateId })
  await outboxIsEmpty(products)
  const applied: (readonly DeletedMessage[])[] = []
  recordEffects(orders, (messages) => applied.push(messages))
  await eventually(async () => expect(await effectsIn(orders)).toHaveLength(versions.length + others.length))
  for (const messages of applied) {
    const aggregates = messages.map(({ aggregateId }) => aggregateId)
    expect(new Set(aggregates).size).toBe(aggregates.length)
  }
  expect(Math.max(...applied.map((messages) => messages.length))).toBeGreaterThan(1)
  const hotVersions = applied.flat().filter(({ aggregateId }) => aggregateId === hot)
  expect(hotVersions.map(({ aggregateVersion }) => aggregateVersion)).toEqual(versions)
  const [row] = await orders.database.query<{ count: number }>(
    'select count(distinct xmin::text)::int as count from effect',
  )
  expect(row?.count).toBeLessThan(versions.length / 5)
})

test('a batch has 256 KiB of messages at most, so that large ones keep their locks no longer than small ones', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  await using orders = await connectState('orders', bus)
  products.state.bus.startRelay()
  const large = { ...productsEvents.productDeleted.example, addedLater: 'x'.repeat(100_000) }
  const ids: string[] = []
  for (let count = 0; count < 12; count += 1) ids.push(await emit(products, { data: large }))
  const huge = { ...large, addedLater: 'x'.repeat(400_000) }
  ids.push(await emit(products, { data: huge }))
  await outboxIsEmpty(products)
  recordEffects(orders)
  await eventually(async () => expect((await effectsIn(orders)).toSorted()).toEqual(ids.toSorted()))
  const transactions = await orders.database.query<{ count: number }>(
    'select count(*)::int as count from effect group by xmin::text',
  )
  expect(Math.max(...transactions.map(({ count }) => count))).toBe(2)
})

test('a batch that fails is tried one by one, and only what failed comes again', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  await using orders = await connectState('orders', bus)
  products.state.bus.startRelay()
  const ids: string[] = []
  for (let count = 0; count < 10; count += 1) ids.push(await emit(products))
  await outboxIsEmpty(products)
  let refusals = 0
  recordEffects(orders, (messages) => {
    if (refusals < 3 && messages.some(({ id }) => id === ids[4])) {
      refusals += 1
      throw new Error('not now')
    }
  })
  await eventually(async () => expect((await effectsIn(orders)).toSorted()).toEqual(ids.toSorted()))
  expect(refusals).toBe(3)
  expect((await effectsIn(orders)).at(-1)).toBe(ids[4])
})

test('the effect and the inbox row are written together or not at all', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  await using orders = await connectState('orders', bus)
  products.state.bus.startRelay()
  let attempts = 0
  orders.state.bus.consume({
    durable: 'orders',
    events: [productsEvents.productDeleted],
    apply: async (tx, messages) => {
      attempts += 1
      for (const message of messages) await tx.query(insertEffect, [message.id, message.aggregateId, 1])
      if (attempts === 1) throw new Error('after the effect')
    },
  })
  const id = await emit(products)
  await eventually(async () => expect(await effectsIn(orders)).toEqual([id]))
  expect(attempts).toBe(2)
})

test('replicas of a consumer share its messages', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  await using first = await connectState('orders', bus)
  await using second = await connectState('orders', bus, { database: first.database })
  products.state.bus.startRelay()
  recordEffects(first)
  recordEffects(second)
  const ids = await Promise.all(Array.from({ length: 500 }, () => emit(products)))
  await eventually(async () => expect(await effectsIn(first)).toHaveLength(500))
  expect((await effectsIn(first)).toSorted()).toEqual(ids.toSorted())
})

test('a broadcast reaches every replica', async () => {
  await using bus = await testBus()
  await using orders = await connectState('orders', bus)
  await using other = await connectState('orders', bus, { database: orders.database })
  const heard: string[] = []
  orders.state.bus.subscribe([ordersEvents.orderConfirmed], ({ data }) => heard.push(`first ${data.orderId}`))
  other.state.bus.subscribe([ordersEvents.orderConfirmed], ({ data }) => heard.push(`second ${data.orderId}`))
  orders.state.bus.startRelay()
  const { subject, example } = ordersEvents.orderConfirmed
  await Promise.all([orders, other].map(async ({ state }) => (await state.bus.connection()).flush()))
  await orders.database.query(
    `insert into outbox (id, aggregate_type, aggregate_id, aggregate_version, subject, data)
     values (uuidv7(), 'order', $1, 1, $2, $3)`,
    [example.orderId, subject, JSON.stringify(example)],
  )
  await eventually(() => expect(heard.toSorted()).toEqual([`first ${example.orderId}`, `second ${example.orderId}`]))
})

test('what is published and applied is counted', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  await using orders = await connectState('orders', bus)
  const registry = new Registry()
  orders.state.exposeMetrics(registry)
  products.state.bus.startRelay()
  recordEffects(orders)
  const id = await emit(products)
  await eventually(async () => expect(await effectsIn(orders)).toEqual([id]))
  await eventually(async () => {
    const text = await registry.metrics()
    expect(text).toMatch(/saas_messages_published_total\{service="products"\} \d+/)
    expect(text).toMatch(/saas_messages_consumed_total\{service="orders",durable="orders",outcome="applied"\} \d+/)
    expect(text).toMatch(/saas_batch_size_count\{service="orders",kind="consumer"\} \d+/)
  })
})

test('a scrape says how far a service is behind, as far as it can be known', async () => {
  await using bus = await testBus()
  await using orders = await connectState('orders', bus)
  const registry = new Registry()
  orders.state.exposeMetrics(registry)
  await orders.state.bus.ensureStream()
  const { subject, example } = ordersEvents.orderConfirmed
  await orders.database.query(
    `insert into outbox (id, aggregate_type, aggregate_id, aggregate_version, subject, data)
     values (uuidv7(), 'order', $1, 1, $2, $3)`,
    [example.orderId, subject, JSON.stringify(example)],
  )
  await orders.database.query(
    `insert into dead_letter (id, consumer, message_id, subject, headers, body, reason, replayed_at, dismissed_at, dismissed_by,
       dismissal_reason)
     select uuidv7(), 'orders', uuidv7(), $1, '{}', '', 'not understood', replayed, dismissed,
       case when dismissed is not null then uuidv7() end, case when dismissed is not null then 'worthless' end
     from (values (null::timestamptz, null::timestamptz), (now(), null), (null, now())) letter (replayed, dismissed)`,
    [subject],
  )
  const text = await registry.metrics()
  expect(text).toContain('saas_outbox_waiting{service="orders"} 1\n')
  expect(text).toContain('saas_dead_letters{service="orders"} 1\n')
  expect(text).toMatch(/saas_stream_used_ratio\{service="orders"\} 0/)
  await bus[Symbol.asyncDispose]()
  const without = await registry.metrics()
  expect(without).not.toContain('saas_stream_used_ratio{')
  // What waits for the bus is known without it.
  expect(without).toContain('saas_outbox_waiting{service="orders"} 1\n')
  expect(without).toContain('saas_dead_letters{service="orders"} 1\n')
  expect(without).toContain('saas_messages_published_total')
})
