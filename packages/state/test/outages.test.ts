import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { sharedServers } from './fixtures.ts'
import { expect, test } from 'vitest'
import { Broker } from '../src/broker.ts'
import { Republication } from '../src/republication.ts'
import { Stream } from '../src/stream.ts'
import {
  connectState,
  effectsIn,
  emit,
  eventually,
  outboxIsEmpty,
  recordEffects,
  storedMessages,
  testBus,
} from './fixtures.ts'

const OUTAGE_TEST_TIMEOUT_MS = 60_000

test(
  'kill -9 of NATS between publishing and acknowledgement loses nothing',
  { timeout: OUTAGE_TEST_TIMEOUT_MS },
  async () => {
    await using bus = await testBus()
    await using products = await connectState('products', bus)
    await using orders = await connectState('orders', bus)
    products.state.bus.startRelay()
    recordEffects(orders)
    const ids = [await emit(products)]
    await eventually(async () => expect(await effectsIn(orders)).toEqual(ids))
    for (let round = 0; round < 3; round += 1) {
      // Frozen, it takes what is sent and acknowledges nothing; then it dies.
      bus.child.pause()
      const before = products.log.lines.length
      for (let count = 0; count < 20; count += 1) ids.push(await emit(products))
      await eventually(async () => {
        // It was just looking at the stream, and publishes nothing before that answers.
        if (products.log.lines.slice(before).some(({ message }) => message === 'The outbox cannot be published'))
          return true
        const waiting = await products.database.query<{ state: string }>(
          `select state from pg_stat_activity where datname = current_database() and state = 'idle in transaction'`,
        )
        return waiting.length > 0
      })
      await bus.child.kill()
      await bus.child.restart()
      // The next round freezes a server that the relay is connected to; to a frozen one nobody connects.
      await outboxIsEmpty(products)
    }
    await eventually(async () => expect((await effectsIn(orders)).toSorted()).toEqual(ids.toSorted()), {
      timeoutMs: 40_000,
    })
  },
)

test('what another replica published while a relay looked at the stream is no sign that the stream went back', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  const { logger } = products.log
  await using broker = new Broker({ url: bus.urlFor('products'), service: 'products', timeoutMs: 5_000, logger })
  const stream = new Stream(broker, 1)
  products.state.bus.startRelay()
  await emit(products)
  await outboxIsEmpty(products)
  const before = await stream.ensure()
  await emit(products)
  await outboxIsEmpty(products)
  await new Republication(products.state.database, stream, logger).whenNeeded(before)
  expect(products.log.lines).not.toContainEqual(expect.objectContaining({ message: expect.stringContaining('again') }))
  expect(await products.database.query('select 1 from outbox where published_at is null')).toEqual([])
})

test('that the stream went back is remembered until everything is published again', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  const { logger, lines } = products.log
  await using broker = new Broker({ url: bus.urlFor('products'), service: 'products', timeoutMs: 5_000, logger })
  const stream = new Stream(broker, 1)
  await stream.ensure()
  const republication = new Republication(products.state.database, stream, logger)
  await bus.child.kill()
  await expect(republication.force()).rejects.toThrow('NATS is not reachable')
  await bus.child.restart()
  await eventually(async () => await republication.whenNeeded(await stream.ensure()))
  expect(lines).toContainEqual(expect.objectContaining({ message: expect.stringContaining('published again') }))
})

test('the stream deleted is filled again from the outbox and nothing is applied twice', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  await using orders = await connectState('orders', bus)
  products.state.bus.startRelay()
  recordEffects(orders)
  const ids = await Promise.all(Array.from({ length: 50 }, () => emit(products)))
  await eventually(async () => expect(await effectsIn(orders)).toHaveLength(50))
  await bus.deleteStream()
  ids.push(await emit(products))
  await eventually(async () =>
    expect((await storedMessages(bus)).map(({ id }) => id).toSorted()).toEqual(ids.toSorted()),
  )
  await eventually(async () => {
    const { consumers } = await orders.state.bus.lag()
    expect(consumers[0]).toMatchObject({ pending: 0, unacknowledged: 0 })
  })
  expect((await effectsIn(orders)).toSorted()).toEqual(ids.toSorted())
})

test('whoever knew a stream that is gone leaves time for what was meant for it, and whoever did not makes it at once', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  const { logger } = products.log
  await using broker = new Broker({ url: bus.urlFor('products'), service: 'products', timeoutMs: 5_000, logger })
  const [knowing, unknowing] = [new Stream(broker, 1), new Stream(broker, 1)]
  const { createdAt } = await knowing.ensure()
  await bus.deleteStream()
  const remade = knowing.ensure()
  const other = await unknowing.ensure()
  expect(other.createdAt).not.toBe(createdAt)
  expect((await remade).createdAt).toBe(other.createdAt)
  await bus.deleteStream()
  const startedAtMs = performance.now()
  await knowing.ensure()
  expect(performance.now() - startedAtMs).toBeGreaterThan(400)
})

test('the stream deleted while nothing is published is filled again all the same', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  products.state.bus.startRelay()
  const ids = [await emit(products), await emit(products)]
  await outboxIsEmpty(products)
  await bus.deleteStream()
  await eventually(async () =>
    expect((await storedMessages(bus)).map(({ id }) => id).toSorted()).toEqual(ids.toSorted()),
  )
})

test('a consumer whose stream is deleted while it begins reads the next one within seconds', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  await using orders = await connectState('orders', bus)
  products.state.bus.startRelay()
  recordEffects(orders)
  const manager = await bus.manager()
  const isMade = async (): Promise<boolean> =>
    await manager.consumers.info('messages', 'orders').then(
      () => true,
      () => false,
    )
  const ids: string[] = []
  for (let round = 0; round < 2; round += 1) {
    for (let deletion = 0; deletion < 3; deletion += 1) {
      // At once, and not at the next look: what was just made is asked for messages when it is gone, and gives no answer.
      while (!(await isMade()));
      await bus.deleteStream()
    }
    ids.push(await emit(products))
    await eventually(async () => expect((await effectsIn(orders)).toSorted()).toEqual(ids), { timeoutMs: 10_000 })
  }
})

test('a stream that went back to an old copy is filled again', { timeout: OUTAGE_TEST_TIMEOUT_MS }, async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  await using orders = await connectState('orders', bus)
  products.state.bus.startRelay()
  recordEffects(orders)
  const ids = [await emit(products), await emit(products)]
  await eventually(async () => expect(await effectsIn(orders)).toHaveLength(2))
  await bus.child.stop()
  const copy = join(sharedServers().directory, `copy-of-nats-${process.pid}`)
  cpSync(bus.storeDirectory, copy, { recursive: true })
  await bus.child.restart()
  for (let count = 0; count < 10; count += 1) ids.push(await emit(products))
  await eventually(async () => expect(await effectsIn(orders)).toHaveLength(12), { timeoutMs: 30_000 })
  await outboxIsEmpty(products)
  await bus.child.stop()
  rmSync(bus.storeDirectory, { recursive: true })
  cpSync(copy, bus.storeDirectory, { recursive: true })
  await bus.child.restart()
  await eventually(async () => expect(new Set((await storedMessages(bus)).map(({ id }) => id))).toEqual(new Set(ids)), {
    timeoutMs: 30_000,
  })
  expect((await effectsIn(orders)).toSorted()).toEqual(ids.toSorted())
})

test('NATS down at the start and for a while is waited for', async () => {
  await using bus = await testBus()
  await bus.child.kill()
  await using products = await connectState('products', bus)
  await using orders = await connectState('orders', bus)
  products.state.bus.startRelay()
  recordEffects(orders)
  await expect(products.state.checks['bus']?.()).rejects.toThrow('not usable')
  const id = await emit(products)
  await bus.child.restart()
  await eventually(async () => expect(await effectsIn(orders)).toEqual([id]))
  await products.state.checks['bus']?.()
})

test('a service may neither delete, purge nor change the stream', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  await products.state.bus.connection()
  await eventually(() => products.state.bus.ensureStream())
  const connection = await products.state.bus.connection()
  for (const call of ['DELETE', 'PURGE', 'UPDATE', 'MSG.GET', 'MSG.DELETE']) {
    await expect(connection.request(`$JS.API.STREAM.${call}.messages`, '{}', { timeout: 500 })).rejects.toThrow(
      /permission/i,
    )
  }
  await expect(connection.request('msg.orders.order.confirmed', '{}', { timeout: 500 })).rejects.toThrow(/permission/i)
})

test('a stream that promises less than ours must is refused', async () => {
  await using bus = await testBus()
  await (await bus.manager()).streams.add({ name: 'messages', subjects: ['msg.>'] })
  await using products = await connectState('products', bus)
  await products.state.bus.connection()
  await expect(products.state.bus.ensureStream()).rejects.toThrow('without denied deletion, denied purging')
})

test('a start while everything is up warns of nothing', async () => {
  await using bus = await testBus()
  await using orders = await connectState('orders', bus)
  orders.state.bus.startRelay()
  recordEffects(orders)
  await orders.state.bus.check()
  expect(orders.log.lines.filter(({ level }) => level !== 'info')).toEqual([])
})

test('a start without NATS says so once a part, without stacks, and goes on by itself', async () => {
  await using bus = await testBus()
  await bus.child.kill()
  await using orders = await connectState('orders', bus)
  orders.state.bus.startRelay()
  recordEffects(orders)
  await eventually(async () => expect(orders.log.lines.map(({ message }) => message)).toHaveLength(3))
  await expect(orders.state.bus.check()).rejects.toThrow('The stream messages is not usable')
  expect(orders.log.lines.map(({ message }) => message).toSorted()).toEqual([
    'NATS is not reachable',
    'The consumer gets no messages',
    'The outbox cannot be published',
  ])
  expect(orders.log.text()).not.toContain('stack')
  await bus.child.restart()
  await eventually(async () => await orders.state.bus.check())
})
