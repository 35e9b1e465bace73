import { expect, test } from 'vitest'
import { connectState, emit, outboxIsEmpty, testBus } from './fixtures.ts'

const DAY_MS = 86_400_000

test('published rows go after seven days, inbox rows after thirty, and what is unpublished never', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  products.state.bus.startRelay()
  const published = await emit(products)
  await outboxIsEmpty(products)
  await bus.child.kill()
  const waiting = await emit(products)
  await products.database.query(
    `insert into inbox (consumer, message_id) select 'products', id from (select uuidv7() as id from generate_series(1, 2500)) as made`,
  )
  const counts = async (): Promise<unknown> => {
    const [row] = await products.database.query(
      `select (select array_agg(id) from outbox) as outbox, (select count(*)::int from inbox) as inbox`,
    )
    return row
  }
  await products.state.bus.prune()
  expect(await counts()).toEqual({ outbox: expect.arrayContaining([published, waiting]), inbox: 2_500 })
  products.clock.advance(6.9 * DAY_MS)
  await products.state.bus.prune()
  expect(await counts()).toEqual({ outbox: expect.arrayContaining([published, waiting]), inbox: 2_500 })
  products.clock.advance(0.2 * DAY_MS)
  expect(await products.state.bus.prune()).toEqual({ outbox: 1, inbox: 0 })
  expect(await counts()).toEqual({ outbox: [waiting], inbox: 2_500 })
  products.clock.advance(23 * DAY_MS)
  expect(await products.state.bus.prune()).toEqual({ outbox: 0, inbox: 2_500 })
  expect(await counts()).toEqual({ outbox: [waiting], inbox: 0 })
})
