import { productsEvents } from '@saas/contracts'
import { AckPolicy, jetstream } from '@nats-io/jetstream'
import { headers } from '@nats-io/transport-node'
import { DatabaseUnavailable, sql, Unprocessable } from '@saas/state'
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
  type TestBus,
} from './fixtures.ts'

const { example, subject, type } = productsEvents.productDeleted
const good = JSON.stringify(example)

/** Publishes what no outbox would: it is up to the consumer what comes of it. */
async function publish(
  bus: TestBus,
  body: string | Uint8Array,
  changes: Readonly<Record<string, string>> = {},
): Promise<void> {
  const all = { 'ce-id': uuidv7(), 'ce-type': type, 'ce-time': new Date().toISOString() }
  const made = headers()
  for (const [name, value] of Object.entries({ ...all, 'ce-subject': 'a', 'ce-aggregateversion': '1', ...changes })) {
    made.set(name, value)
  }
  await (await bus.administrator()).request(subject, body, { headers: made, timeout: 2_000 })
}

test('a poison message blocks nobody and can be replayed', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  await using orders = await connectState('orders', bus)
  products.state.bus.startRelay()
  const before = await emit(products)
  const poison = await emit(products)
  const after = await emit(products)
  await outboxIsEmpty(products)
  let isCured = false
  recordEffects(orders, (messages) => {
    if (!isCured && messages.some(({ id }) => id === poison)) throw new Unprocessable('There is no such product')
  })
  await eventually(async () => expect((await effectsIn(orders)).toSorted()).toEqual([before, after].toSorted()))
  const letter = await eventually(async () => {
    const { items } = await orders.state.bus.deadLetters.list({ limit: 10 })
    expect(items).toHaveLength(1)
    return items[0]
  })
  expect(letter).toMatchObject({
    consumer: 'orders',
    messageId: poison,
    subject: productsEvents.productDeleted.subject,
    reason: 'There is no such product',
    data: productsEvents.productDeleted.example,
    replayedAt: null,
  })
  const id = letter?.id ?? ''
  expect(await orders.state.bus.deadLetters.replay(id)).toMatchObject({ replayedAt: null })
  expect(await effectsIn(orders)).not.toContain(poison)
  isCured = true
  expect((await orders.state.bus.deadLetters.replay(id))?.replayedAt).toEqual(expect.any(String))
  await orders.state.bus.deadLetters.replay(id)
  expect((await effectsIn(orders)).filter((effect) => effect === poison)).toHaveLength(1)
  await eventually(async () =>
    expect((await orders.state.bus.lag()).consumers[0]).toMatchObject({ pending: 0, unacknowledged: 0 }),
  )
})

test('a message that nobody can understand becomes a dead letter with the reason', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  await using orders = await connectState('orders', bus)
  products.state.bus.startRelay()
  await products.state.bus.ensureStream()
  recordEffects(orders)
  await publish(bus, '{')
  await publish(bus, new Uint8Array([0xff, 0x00]))
  await publish(bus, '{}')
  await publish(bus, good, { 'ce-type': 'saas.products.product.gone.v2' })
  await publish(bus, good, { 'ce-id': 'seven' })
  await publish(bus, good, { 'ce-aggregateversion': '0' })
  await publish(bus, good, { 'ce-time': 'yesterday' })
  await publish(bus, good, { 'ce-time': '+275760-09-13T00:00:00Z' })
  await publish(bus, good, { 'ce-subject': 'a\0b' })
  await publish(bus, JSON.stringify({ ...example, name: 'a\0b' }))
  await publish(bus, JSON.stringify({ ...example, addedLater: [{ ['\ud800']: 1 }] }))
  const id = await emit(products)
  await eventually(async () => expect(await effectsIn(orders)).toEqual([id]))
  const reasons = await eventually(async () => {
    const { items } = await orders.state.bus.deadLetters.list({ limit: 20 })
    expect(items).toHaveLength(11)
    return items.map(({ reason }) => reason).toReversed()
  })
  expect(reasons).toEqual([
    'The body is not JSON in UTF-8',
    'The body is not JSON in UTF-8',
    expect.stringContaining('required'),
    'ce-type is not saas.products.product.deleted.v1',
    'ce-id is not a UUID',
    'ce-aggregateversion is not a positive number',
    'ce-time is not a time',
    'ce-time is not a time',
    'ce-subject is not text',
    'The body has U+0000 or half of a surrogate pair, which is no text that can be kept',
    'The body has U+0000 or half of a surrogate pair, which is no text that can be kept',
  ])
})

test('a dead letter is kept whatever its headers say', async () => {
  await using bus = await testBus()
  await using orders = await connectState('orders', bus)
  await orders.state.bus.ensureStream()
  recordEffects(orders)
  await publish(bus, '{', { 'ce-id': 'one', 'ce-note': 'a backslash and \\u0000, which is no escape' })
  await publish(bus, '[', { 'ce-id': 'two', 'ce-note': 'a\0b' })
  await eventually(async () => expect((await orders.state.bus.deadLetters.list({ limit: 10 })).items).toHaveLength(2))
})

const keepPriceVersion = sql('test.keep_price_version', 'select $1::jsonb::text::bigint')

test('values that Postgres does not know are a dead letter at once', async () => {
  await using bus = await testBus()
  await using orders = await connectState('orders', bus)
  await orders.state.bus.ensureStream()
  orders.state.bus.consume({
    durable: 'orders',
    events: [productsEvents.productDeleted],
    apply: async (tx, messages) => {
      for (const { id, aggregateId, data } of messages) {
        await tx.query(keepPriceVersion, [JSON.stringify(data.priceVersion)])
        await tx.query(insertEffect, [id, aggregateId, 1])
      }
    },
  })
  const id = uuidv7()
  await publish(bus, JSON.stringify({ ...example, priceVersion: 1e300 }))
  await publish(bus, good, { 'ce-id': id })
  const letter = await eventually(async () => {
    const { items } = await orders.state.bus.deadLetters.list({ limit: 10 })
    expect(items).toHaveLength(1)
    return items[0]
  })
  expect(letter?.reason).toBe('What it says cannot be kept (SQLSTATE 22003)')
  await eventually(async () => expect(await effectsIn(orders)).toEqual([id]))
  expect(await orders.state.bus.deadLetters.replay(letter?.id ?? '')).toMatchObject({ replayedAt: null })
})

test('what fails again and again by itself is a dead letter in the end, and what others cause is tried on', async () => {
  await using bus = await testBus()
  await using orders = await connectState('orders', bus)
  await orders.state.bus.ensureStream()
  const manager = await bus.manager()
  await manager.consumers.add('messages', {
    durable_name: 'orders',
    filter_subjects: [subject],
    ack_policy: AckPolicy.Explicit,
    max_deliver: -1,
  })
  const [broken, busy] = [uuidv7(), uuidv7()]
  await publish(bus, good, { 'ce-id': broken })
  await publish(bus, good, { 'ce-id': busy, 'ce-subject': 'b' })
  // Somebody else gave them back so often.
  const consumer = await jetstream(await bus.administrator()).consumers.get('messages', 'orders')
  const deliveries = new Map<string, number>()
  while (deliveries.size < 2 || Math.min(...deliveries.values()) < 24) {
    const message = await consumer.next()
    deliveries.set(message?.headers?.get('ce-id') ?? '', message?.info.deliveryCount ?? 0)
    message?.nak()
  }
  let isBusy = true
  recordEffects(orders, (messages) => {
    if (messages.some(({ id }) => id === broken)) throw new TypeError('There is no such field')
    if (isBusy && messages.some(({ id }) => id === busy)) {
      isBusy = false
      throw new DatabaseUnavailable('not now')
    }
  })
  const { items } = await eventually(async () => {
    const page = await orders.state.bus.deadLetters.list({ limit: 10 })
    expect(page.items).toHaveLength(1)
    return page
  })
  expect(items[0]).toMatchObject({ messageId: broken, reason: 'It failed 25 times: There is no such field' })
  await eventually(async () => expect(await effectsIn(orders)).toEqual([busy]))
})

test('a dead letter is replayed once, also when the inbox has forgotten its message', async () => {
  await using bus = await testBus()
  await using orders = await connectState('orders', bus)
  await orders.state.bus.ensureStream()
  let isCured = false
  recordEffects(orders, () => {
    if (!isCured) throw new Unprocessable('not yet')
  })
  await publish(bus, good)
  const { deadLetters } = orders.state.bus
  const letter = await eventually(async () => {
    const { items } = await deadLetters.list({ limit: 10 })
    expect(items).toHaveLength(1)
    return items[0]
  })
  isCured = true
  const id = letter?.id ?? ''
  await Promise.all([deadLetters.replay(id), deadLetters.replay(id)])
  await orders.database.query('delete from inbox')
  expect((await deadLetters.replay(id))?.replayedAt).toEqual(expect.any(String))
  expect(await effectsIn(orders)).toHaveLength(1)
})

test('fields that were added later are no reason to refuse an event', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  await using orders = await connectState('orders', bus)
  products.state.bus.startRelay()
  recordEffects(orders)
  const id = await emit(products, { data: { ...productsEvents.productDeleted.example, addedLater: true } })
  await eventually(async () => expect(await effectsIn(orders)).toEqual([id]))
})

test('dead letters are listed page by page, the newest first', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  await using orders = await connectState('orders', bus)
  products.state.bus.startRelay()
  recordEffects(orders, () => {
    throw new Unprocessable('never')
  })
  const ids: string[] = []
  for (let count = 0; count < 5; count += 1) ids.push(await emit(products))
  const { deadLetters } = orders.state.bus
  await eventually(async () => expect((await deadLetters.list({ limit: 10 })).items).toHaveLength(5))
  const first = await deadLetters.list({ limit: 3 })
  const second = await deadLetters.list({ limit: 3, cursor: first.next ?? '' })
  expect(second.next).toBeNull()
  const listed = [...first.items, ...second.items]
  expect(listed.map(({ messageId }) => messageId).toSorted()).toEqual(ids.toSorted())
  expect(listed.map(({ id }) => id)).toEqual(
    listed
      .map(({ id }) => id)
      .toSorted()
      .toReversed(),
  )
  expect(await deadLetters.replay(uuidv7())).toBeUndefined()
  await expect(deadLetters.list({ limit: 3, cursor: 'nonsense' })).rejects.toMatchObject({
    problem: { name: 'invalid-request' },
  })
})
