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
  expect(await products.state.bus.prune()).toEqual({ outbox: 1, inbox: 0, deadLetters: 0 })
  expect(await counts()).toEqual({ outbox: [waiting], inbox: 2_500 })
  products.clock.advance(23 * DAY_MS)
  expect(await products.state.bus.prune()).toEqual({ outbox: 0, inbox: 2_500, deadLetters: 0 })
  expect(await counts()).toEqual({ outbox: [waiting], inbox: 0 })
})

test('dead letters go thirty days after they were replayed or dismissed, and open ones never', async () => {
  await using bus = await testBus()
  await using orders = await connectState('orders', bus)
  await orders.database.query(
    `insert into dead_letter (id, consumer, message_id, subject, headers, body, reason, replayed_at, dismissed_at, dismissed_by,
       dismissal_reason)
     select uuidv7(), 'orders', uuidv7(), 'msg.x', '{}'::jsonb, ''::bytea, 'why', now(), null::timestamptz, null::uuid, null
     from generate_series(1, 1500)
     union all
     select uuidv7(), 'orders', uuidv7(), 'msg.x', '{}', '', 'why', null, now(), uuidv7(), 'worthless' from generate_series(1, 1000)
     union all
     select uuidv7(), 'orders', uuidv7(), 'msg.x', '{}', '', 'open', null, null, null, null from generate_series(1, 2)`,
  )
  orders.clock.advance(29.9 * DAY_MS)
  expect(await orders.state.bus.prune()).toMatchObject({ deadLetters: 0 })
  orders.clock.advance(0.2 * DAY_MS)
  expect(await orders.state.bus.prune()).toMatchObject({ deadLetters: 2_500 })
  orders.clock.advance(1_000 * DAY_MS)
  expect(await orders.state.bus.prune()).toMatchObject({ deadLetters: 0 })
  expect(await orders.database.query('select reason from dead_letter')).toEqual([
    { reason: 'open' },
    { reason: 'open' },
  ])
})
