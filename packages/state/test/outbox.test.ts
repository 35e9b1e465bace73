import { productsEvents } from '@saas/contracts'
import { Client } from 'pg'
import { v7 as uuidv7 } from 'uuid'
import { expect, test } from 'vitest'
import { connectState, emit, eventually, outboxIsEmpty, storedMessages, testBus } from './fixtures.ts'

test('events of one aggregate arrive in version order, whatever order they were written in', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  const aggregates = [uuidv7(), uuidv7(), uuidv7()]
  for (let version = 8; version >= 1; version -= 1) {
    for (const aggregateId of aggregates) await emit(products, { aggregateId, version })
  }
  products.state.bus.startRelay()
  await outboxIsEmpty(products)
  const stored = await storedMessages(bus)
  for (const aggregateId of aggregates) {
    const versions = stored.filter((message) => message.aggregateId === aggregateId).map(({ version }) => version)
    expect(versions).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  }
})

test('a late commit with a lower id is still published', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  products.state.bus.startRelay()
  const late = new Client({ connectionString: products.database.url })
  await late.connect()
  const lateId = uuidv7()
  await late.query('begin')
  await late.query(
    `insert into outbox (id, aggregate_type, aggregate_id, aggregate_version, subject, data)
     values ($1, 'product', $2, 1, 'msg.products.product.deleted', '{}')`,
    [lateId, uuidv7()],
  )
  const earlyId = await emit(products)
  await eventually(async () => expect((await storedMessages(bus)).map(({ id }) => id)).toEqual([earlyId]))
  await late.query('commit')
  await late.end()
  expect(lateId < earlyId).toBe(true)
  await eventually(async () => expect((await storedMessages(bus)).map(({ id }) => id)).toEqual([earlyId, lateId]))
})

test('replicas share the outbox and publish nothing twice', async () => {
  await using bus = await testBus()
  await using first = await connectState('products', bus)
  await using second = await connectState('products', bus, { database: first.database })
  const ids = await Promise.all(Array.from({ length: 300 }, () => emit(first)))
  first.state.bus.startRelay()
  second.state.bus.startRelay()
  await outboxIsEmpty(first)
  const stored = await storedMessages(bus)
  expect(stored.map(({ id }) => id).toSorted()).toEqual(ids.toSorted())
})

test('a message is a CloudEvent', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  products.state.bus.startRelay()
  const aggregateId = uuidv7()
  const id = await emit(products, { aggregateId })
  await outboxIsEmpty(products)
  const message = await (await bus.manager()).streams.getMessage('messages', { seq: 1 })
  const headers = Object.fromEntries([...(message?.header ?? [])].map(([name, values]) => [name, values[0]]))
  expect(headers).toMatchObject({
    'Nats-Msg-Id': id,
    'ce-specversion': '1.0',
    'ce-id': id,
    'ce-source': '/products',
    'ce-type': productsEvents.productDeleted.type,
    'ce-subject': aggregateId,
    'ce-aggregateversion': '1',
    'ce-datacontenttype': 'application/json',
  })
  expect(new Date(headers['ce-time'] ?? '').getTime()).toBeGreaterThan(0)
  expect(message?.json()).toEqual(productsEvents.productDeleted.example)
})

test('a row that a broker would refuse cannot be written', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  await expect(emit(products, { data: { text: 'x'.repeat(600_000) } })).rejects.toMatchObject({ code: '23514' })
})

test('a replica takes over what a killed one left', async () => {
  await using bus = await testBus()
  await using first = await connectState('products', bus)
  // Held like the killed replica's locks would be until Postgres notices: only its own shard waits.
  const holder = new Client({ connectionString: first.database.url })
  holder.on('error', () => undefined)
  await holder.connect()
  await holder.query('begin')
  await holder.query('select pg_advisory_xact_lock(1869968482, shard) from generate_series(0, 7) as shard')
  const ids = await Promise.all(Array.from({ length: 100 }, () => emit(first)))
  first.state.bus.startRelay()
  await eventually(async () => expect((await storedMessages(bus)).length).toBeGreaterThan(10))
  expect((await storedMessages(bus)).length).toBeLessThan(100)
  holder.connection.stream.destroy()
  await holder.end()
  await outboxIsEmpty(first)
  expect((await storedMessages(bus)).map(({ id }) => id).toSorted()).toEqual(ids.toSorted())
})
