import { productsEvents } from '@saas/contracts'
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
  type TestState,
} from './fixtures.ts'

const { productCreated, productDeleted } = productsEvents
const EVENTS = 12

/** Writes an event that the older version of the consumer does not know. */
async function emitNew(products: TestState): Promise<string> {
  const id = await emit(products)
  const values = [productCreated.subject, JSON.stringify(productCreated.example), id]
  await products.database.query('update outbox set subject = $1, data = $2 where id = $3', values)
  return id
}

/** The newer version, which knows more subjects. */
function recordMoreEffects({ state }: Pick<TestState, 'state'>): void {
  state.bus.consume({
    durable: 'orders',
    events: [productDeleted, productCreated],
    apply: async (tx, messages) => {
      for (const { id, aggregateId, aggregateVersion } of messages) {
        await tx.query(insertEffect, [id, aggregateId, aggregateVersion])
      }
    },
  })
}

test('what only a newer version knows is applied by it while an older one runs beside it, and is lost by neither', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  await using older = await connectState('orders', bus)
  await using newer = await connectState('orders', bus, { database: older.database })
  recordEffects(older)
  recordMoreEffects(newer)
  await eventually(async () => {
    const { config } = await (await bus.manager()).consumers.info('messages', 'orders')
    expect(config.filter_subjects).toContain(productCreated.subject)
  })
  const ids: string[] = []
  for (let count = 0; count < EVENTS; count += 1) ids.push(await emitNew(products), await emit(products))
  products.state.bus.startRelay()
  await outboxIsEmpty(products)
  await eventually(async () => expect((await effectsIn(older)).toSorted()).toEqual(ids.toSorted()), {
    timeoutMs: 20_000,
  })
  expect(await older.database.query('select reason from dead_letter where replayed_at is null')).toEqual([])
})

test('what no version here knows yet is kept, blocks nobody, and is applied by the first that knows it', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  await using older = await connectState('orders', bus)
  recordEffects(older)
  products.state.bus.startRelay()
  const known = await emit(products)
  await eventually(async () => expect(await effectsIn(older)).toEqual([known]))
  // As a newer version left the durable before it was rolled back.
  const manager = await bus.manager()
  await manager.consumers.update('messages', 'orders', {
    filter_subjects: [productDeleted.subject, productCreated.subject],
  })
  const unknown = await emitNew(products)
  products.state.bus.nudge()
  const after = await emit(products)
  await eventually(async () => expect(await effectsIn(older)).toEqual([known, after]))
  await eventually(async () =>
    expect(await older.database.query('select message_id, reason from dead_letter')).toEqual([
      { message_id: unknown, reason: expect.stringMatching(/^From a newer version: /) },
    ]),
  )
  await using newer = await connectState('orders', bus, { database: older.database })
  recordMoreEffects(newer)
  await eventually(async () => expect(await effectsIn(older)).toEqual([known, after, unknown]))
  await eventually(async () =>
    expect(await older.database.query('select 1 from dead_letter where replayed_at is null')).toEqual([]),
  )
})

test('one that cannot be applied keeps no other from being applied by the version that knows it', async () => {
  await using bus = await testBus()
  await using orders = await connectState('orders', bus)
  const [broken, fine] = [uuidv7(), uuidv7()]
  for (const id of [broken, fine]) {
    const headers = {
      'ce-id': id,
      'ce-type': productDeleted.type,
      'ce-time': new Date().toISOString(),
      'ce-subject': id,
      'ce-aggregateversion': '1',
    }
    await orders.database.query(
      `insert into dead_letter (id, consumer, message_id, subject, headers, body, reason)
       values ($1, 'orders', $1, $2, $3, $4, 'From a newer version: not known yet')`,
      [id, productDeleted.subject, JSON.stringify(headers), Buffer.from(JSON.stringify(productDeleted.example))],
    )
  }
  recordEffects(orders, (messages) => {
    if (messages.some(({ id }) => id === broken)) throw new TypeError('There is no such field')
  })
  await eventually(async () => expect(await effectsIn(orders)).toEqual([fine]), { timeoutMs: 20_000 })
  expect(orders.log.lines).toContainEqual(expect.objectContaining({ message: 'Dead letters could not be adopted' }))
})
