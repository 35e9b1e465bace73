import type { StreamConfig, StreamInfo } from '@nats-io/jetstream'
import { expect, test, vi } from 'vitest'
import { v7 as uuidv7 } from 'uuid'
import { publishFailures } from '../src/metrics.ts'
import {
  connectState,
  emit,
  forgetMarks,
  outboxIsEmpty,
  recognise,
  storedMessages,
  testBus,
  type TestBus,
} from './fixtures.ts'

const MANY = 40
const HOT = 400
/** So many that every shard has some. */
const OTHERS = 100

async function batchIds(bus: TestBus): Promise<(string | undefined)[]> {
  const manager = await bus.manager()
  const { state } = await manager.streams.info('messages')
  const sequences = Array.from({ length: state.messages }, (_, n) => state.first_seq + n)
  const messages = await Promise.all(sequences.map((seq) => manager.streams.getMessage('messages', { seq })))
  return messages.map((message) => message?.header.get('Nats-Batch-Id') || undefined)
}

async function addStream(bus: TestBus, more: Partial<StreamConfig> = {}): Promise<StreamInfo> {
  const manager = await bus.manager()
  return await manager.streams.add({
    ...more,
    name: 'messages',
    subjects: ['msg.>'],
    deny_delete: true,
    deny_purge: true,
  })
}

test('many rows go to the stream as one batch, and each is marked with its own sequence', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  const ids = await Promise.all(Array.from({ length: MANY }, () => emit(products)))
  products.state.bus.startRelay()
  await outboxIsEmpty(products)
  expect((await storedMessages(bus)).map(({ id }) => id).toSorted()).toEqual(ids.toSorted())
  const [batch, ...others] = new Set(await batchIds(bus))
  expect(batch).toBeDefined()
  expect(others).toEqual([])
  const rows = await products.database.query<{ id: string }>('select id from outbox order by stream_sequence')
  expect(rows.map(({ id }) => id)).toEqual((await storedMessages(bus)).map(({ id }) => id))
})

test('an aggregate that changed many times leaves in the order of its versions, many in a batch', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  const aggregateId = uuidv7()
  const ids: string[] = []
  for (let version = 1; version <= HOT; version += 1) ids.push(await emit(products, { aggregateId, version }))
  products.state.bus.startRelay()
  await outboxIsEmpty(products)
  expect((await storedMessages(bus)).map(({ id }) => id)).toEqual(ids)
  expect(new Set(await batchIds(bus)).size).toBeLessThan(HOT / 10)
})

test('what the stream refuses is tried again and again, and told once', async () => {
  await using bus = await testBus()
  await addStream(bus, { max_msg_size: 100 })
  await using products = await connectState('products', bus)
  await emit(products)
  const before = await failures()
  products.state.bus.startRelay()
  await vi.waitFor(async () => expect(await failures()).toBeGreaterThan(before + 3), { timeout: 10_000 })
  const told = products.log.lines.map(({ message }) => message).filter((message) => message !== 'NATS is back')
  expect(told).toEqual(['Messages were not acknowledged', 'The outbox cannot be published'])
})

async function failures(): Promise<number> {
  const { values } = await publishFailures.get()
  return values.reduce((sum, { value }) => sum + value, 0)
}

test('a row that is too large to be sent keeps no other aggregate waiting', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  // As jsonb a character, as JSON six.
  await emit(products, { data: { padding: '\u0001'.repeat(200_000) } })
  const ids = await Promise.all(Array.from({ length: MANY }, () => emit(products)))
  products.state.bus.startRelay()
  await vi.waitFor(async () => expect(await storedMessages(bus)).toHaveLength(MANY), { timeout: 10_000 })
  expect((await storedMessages(bus)).map(({ id }) => id).toSorted()).toEqual(ids.toSorted())
})

test('a version that the stream refuses holds back the later ones of its aggregate alone', async () => {
  await using bus = await testBus()
  const manager = await bus.manager()
  const stream = await addStream(bus, { max_msg_size: 3_000, allow_atomic: true })
  await using products = await connectState('products', bus)
  const aggregateId = uuidv7()
  const held = [await emit(products, { aggregateId, version: 1, data: { padding: 'x'.repeat(4_000) } })]
  for (let version = 2; version <= HOT; version += 1) held.push(await emit(products, { aggregateId, version }))
  products.state.bus.startRelay()
  await Promise.all(Array.from({ length: OTHERS }, () => emit(products)))
  await vi.waitFor(async () => expect(await storedMessages(bus)).toHaveLength(OTHERS), { timeout: 10_000 })
  await manager.streams.update('messages', { ...stream.config, max_msg_size: -1 })
  await outboxIsEmpty(products)
  expect((await storedMessages(bus)).slice(OTHERS).map(({ id }) => id)).toEqual(held)
})

test('a batch whose acknowledgement was lost is recognised and marked, and stored once', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  const ids = await Promise.all(Array.from({ length: MANY }, () => emit(products)))
  products.state.bus.startRelay()
  await outboxIsEmpty(products)
  await forgetMarks(products)
  await outboxIsEmpty(products)
  expect((await storedMessages(bus)).map(({ id }) => id).toSorted()).toEqual(ids.toSorted())
})

test('a batch of which the stream has some messages already is completed', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  const ids = await Promise.all(Array.from({ length: MANY }, () => emit(products)))
  products.state.bus.startRelay()
  await outboxIsEmpty(products)
  const more = await Promise.all(Array.from({ length: MANY }, () => emit(products)))
  await forgetMarks(products)
  await outboxIsEmpty(products)
  expect((await storedMessages(bus)).map(({ id }) => id).toSorted()).toEqual([...ids, ...more].toSorted())
})

test('an aggregate of which the stream has many versions already is recognised in a few passes, and completed', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  const { ids, stored, marked, passes } = await recognise(products, bus, HOT)
  expect({ stored, marked }).toEqual({ stored: ids, marked: ids })
  expect(passes).toBeLessThan(HOT / 20)
})

test('a stream that was made without batches gets the messages one by one', async () => {
  await using bus = await testBus()
  await addStream(bus)
  await using products = await connectState('products', bus)
  const ids = await Promise.all(Array.from({ length: MANY }, () => emit(products)))
  products.state.bus.startRelay()
  await outboxIsEmpty(products)
  expect((await storedMessages(bus)).map(({ id }) => id).toSorted()).toEqual(ids.toSorted())
  expect(await batchIds(bus)).toEqual(Array.from({ length: MANY }, () => undefined))
  expect(products.log.lines.filter(({ level }) => level !== 'info')).toEqual([])
})
