import { productsEvents } from '@saas/contracts'
import { expect, test } from 'vitest'
import { connectState, emit, eventually, insertEffect, testBus, type TestState } from './fixtures.ts'

function consumeInto({ state }: TestState): void {
  state.bus.consume({
    durable: 'orders',
    events: [productsEvents.productDeleted],
    apply: async (tx, messages) => {
      for (const { id, aggregateId, aggregateVersion } of messages) {
        await tx.query(insertEffect, [id, aggregateId, aggregateVersion])
      }
    },
  })
}

test('what is written to the outbox has its effect at the consumer', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  await using orders = await connectState('orders', bus)
  products.state.bus.startRelay()
  consumeInto(orders)
  const id = await emit(products)
  products.state.bus.nudge()
  const rows = await eventually(async () => {
    const effects = await orders.database.query<{ message_id: string }>('select message_id from effect')
    expect(effects).toHaveLength(1)
    return effects
  })
  expect(rows[0]?.message_id).toBe(id)
  await eventually(async () =>
    expect(await orders.state.bus.lag()).toMatchObject({ consumers: [{ pending: 0, unacknowledged: 0 }] }),
  )
  expect(await products.state.bus.lag()).toMatchObject({ outboxPending: 0, stream: { messages: 1 } })
})
