import { productsEvents } from '@saas/contracts'
import { headers } from '@nats-io/transport-node'
import { Unprocessable } from '@saas/state'
import { v7 as uuidv7 } from 'uuid'
import { expect, test } from 'vitest'
import { connectState, effectsIn, emit, eventually, outboxIsEmpty, recordEffects, testBus } from './fixtures.ts'

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
  const administrator = await bus.administrator()
  const publish = async (body: string | Uint8Array, changes: Record<string, string> = {}): Promise<void> => {
    const all = {
      'ce-id': uuidv7(),
      'ce-type': productsEvents.productDeleted.type,
      'ce-time': new Date().toISOString(),
    }
    const made = headers()
    for (const [name, value] of Object.entries({ ...all, 'ce-subject': 'a', 'ce-aggregateversion': '1', ...changes })) {
      made.set(name, value)
    }
    await administrator.request(productsEvents.productDeleted.subject, body, { headers: made, timeout: 2_000 })
  }
  const good = JSON.stringify(productsEvents.productDeleted.example)
  await publish('{')
  await publish(new Uint8Array([0xff, 0x00]))
  await publish('{}')
  await publish(good, { 'ce-type': 'saas.products.product.gone.v2' })
  await publish(good, { 'ce-id': 'seven' })
  await publish(good, { 'ce-aggregateversion': '0' })
  await publish(good, { 'ce-time': 'yesterday' })
  const id = await emit(products)
  await eventually(async () => expect(await effectsIn(orders)).toEqual([id]))
  const reasons = await eventually(async () => {
    const { items } = await orders.state.bus.deadLetters.list({ limit: 20 })
    expect(items).toHaveLength(7)
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
  ])
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
