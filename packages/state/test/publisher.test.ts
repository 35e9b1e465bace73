import type { StreamConfig } from '@nats-io/jetstream'
import { expect, test } from 'vitest'
import { connectState, emit, outboxIsEmpty, storedMessages, testBus, type TestBus, type TestState } from './fixtures.ts'

const MANY = 40

async function batchIds(bus: TestBus): Promise<(string | undefined)[]> {
  const manager = await bus.manager()
  const { state } = await manager.streams.info('messages')
  const sequences = Array.from({ length: state.messages }, (_, n) => state.first_seq + n)
  const messages = await Promise.all(sequences.map((seq) => manager.streams.getMessage('messages', { seq })))
  return messages.map((message) => message?.header.get('Nats-Batch-Id') || undefined)
}

async function forgetMarks({ database, state }: TestState): Promise<void> {
  await database.query('update outbox set published_at = null, stream_sequence = null')
  state.bus.nudge()
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

test('a stream that was made without batches gets the messages one by one', async () => {
  await using bus = await testBus()
  const config = { name: 'messages', subjects: ['msg.>'], deny_delete: true, deny_purge: true } as Partial<StreamConfig>
  await (await bus.manager()).streams.add(config as StreamConfig & { name: string })
  await using products = await connectState('products', bus)
  const ids = await Promise.all(Array.from({ length: MANY }, () => emit(products)))
  products.state.bus.startRelay()
  await outboxIsEmpty(products)
  expect((await storedMessages(bus)).map(({ id }) => id).toSorted()).toEqual(ids.toSorted())
  expect(await batchIds(bus)).toEqual(Array.from({ length: MANY }, () => undefined))
  expect(products.log.lines.filter(({ level }) => level !== 'info')).toEqual([])
})
