import { productsEvents, type DeadLetter } from '@saas/contracts'
import { headers } from '@nats-io/transport-node'
import { Unprocessable } from '@saas/state'
import { Registry } from 'prom-client'
import { v7 as uuidv7 } from 'uuid'
import { expect, test } from 'vitest'
import {
  connectState,
  effectsIn,
  emit,
  eventually,
  insertEffect,
  recordEffects,
  testBus,
  type TestState,
} from './fixtures.ts'

const { example, subject, type } = productsEvents.productDeleted
const operator = uuidv7()
const dismissal = { by: operator, reason: 'A test of theirs' }
const ended = { problem: { name: 'dead-letter-ended' } }

/** Keeps letters of messages that can be applied, as a consumer would, and returns their ids. */
async function keep({ database }: TestState, count: number, reason = 'not yet'): Promise<string[]> {
  const rows = await database.query<{ id: string }>(
    `insert into dead_letter (id, consumer, message_id, subject, headers, body, reason)
     select id, 'orders', id, $2,
       jsonb_build_object('ce-id', id, 'ce-type', $3::text, 'ce-time', now(), 'ce-subject', id, 'ce-aggregateversion', '1'),
       convert_to($4, 'UTF8'), $5
     from (select uuidv7() as id from generate_series(1, $1)) as made
     returning id`,
    [count, subject, type, JSON.stringify(example), reason],
  )
  return rows.map(({ id }) => id).toSorted()
}

/** Each as a letter that is there. */
async function keepOne(orders: TestState): Promise<string> {
  const [id = ''] = await keep(orders, 1)
  return id
}

async function countedIn({ state }: TestState): Promise<string | undefined> {
  const registry = new Registry()
  state.exposeMetrics(registry)
  return /saas_dead_letters\{service="orders"\} (\d+)/.exec(await registry.metrics())?.[1]
}

test('a dead letter that is dismissed counts no more and says who dismissed it, when and why', async () => {
  await using bus = await testBus()
  await using orders = await connectState('orders', bus)
  recordEffects(orders)
  const { deadLetters } = orders.state.bus
  const [first = '', second = ''] = await keep(orders, 2)
  expect(await countedIn(orders)).toBe('2')
  const dismissed = await deadLetters.dismiss(first, dismissal)
  expect(dismissed).toMatchObject({ replayedAt: null, dismissal: { ...dismissal, at: expect.any(String) } })
  expect(await countedIn(orders)).toBe('1')
  const idsOf = async (status?: 'open' | 'ended'): Promise<string[]> =>
    (await deadLetters.list({ status })).items.map(({ id }) => id)
  expect(await idsOf('open')).toEqual([second])
  expect(await idsOf('ended')).toEqual([first])
  expect(await idsOf()).toEqual([second, first])
  // Whoever had no answer asks again, and whoever comes later changes nothing.
  expect(await deadLetters.dismiss(first, dismissal)).toEqual(dismissed)
  expect(await deadLetters.dismiss(first, { by: uuidv7(), reason: 'Another' })).toEqual(dismissed)
  expect(await deadLetters.dismiss(uuidv7(), dismissal)).toBeUndefined()
})

test('a dismissed letter is replayed only after it was reopened, and one that was replayed has ended for good', async () => {
  await using bus = await testBus()
  await using orders = await connectState('orders', bus)
  recordEffects(orders)
  const { deadLetters } = orders.state.bus
  const id = await keepOne(orders)
  await deadLetters.dismiss(id, dismissal)
  await expect(deadLetters.replay(id)).rejects.toMatchObject(ended)
  expect(await effectsIn(orders)).toEqual([])
  expect(await deadLetters.reopen(id)).toMatchObject({ dismissal: null })
  expect(await deadLetters.reopen(id)).toMatchObject({ dismissal: null })
  expect(await countedIn(orders)).toBe('1')
  expect(await deadLetters.replay(id)).toMatchObject({ replayedAt: expect.any(String), dismissal: null })
  await expect(deadLetters.dismiss(id, dismissal)).rejects.toMatchObject(ended)
  await expect(deadLetters.reopen(id)).rejects.toMatchObject(ended)
  expect(await deadLetters.replay(id)).toMatchObject({ replayedAt: expect.any(String), dismissal: null })
  expect(await effectsIn(orders)).toEqual([id])
  expect(await deadLetters.reopen(uuidv7())).toBeUndefined()
})

test('what is dismissed while it is being replayed has no effect', async () => {
  await using bus = await testBus()
  await using orders = await connectState('orders', bus)
  const entered = Promise.withResolvers<void>()
  const left = Promise.withResolvers<void>()
  orders.state.bus.consume({
    durable: 'orders',
    events: [productsEvents.productDeleted],
    apply: async (tx, messages) => {
      for (const { id, aggregateId } of messages) await tx.query(insertEffect, [id, aggregateId, 1])
      entered.resolve()
      await left.promise
    },
  })
  const { deadLetters } = orders.state.bus
  const id = await keepOne(orders)
  const refused = deadLetters.replay(id).catch((error: unknown) => error)
  await entered.promise
  expect(await deadLetters.dismiss(id, dismissal)).toMatchObject({ dismissal })
  left.resolve()
  expect(await refused).toMatchObject(ended)
  expect(await effectsIn(orders)).toEqual([])
  expect(await orders.database.query('select 1 from inbox')).toEqual([])
})

test('of a replay and a dismissal at the same time one wins, and the other is told', async () => {
  await using bus = await testBus()
  await using orders = await connectState('orders', bus)
  await using replica = await connectState('orders', bus, { database: orders.database })
  recordEffects(orders)
  const ids = await keep(orders, 40)
  const outcomes = await Promise.all(
    ids.map(async (id, index) => {
      const calls = [
        () => orders.state.bus.deadLetters.replay(id),
        () => replica.state.bus.deadLetters.dismiss(id, dismissal),
      ]
      if (index % 2 === 0) calls.reverse()
      return await Promise.allSettled(calls.map((call) => call()))
    }),
  )
  const effects = new Set(await effectsIn(orders))
  const { items } = await orders.state.bus.deadLetters.list({ limit: 100 })
  const byId = new Map<string, DeadLetter>(items.map((letter) => [letter.id, letter]))
  for (const [index, id] of ids.entries()) {
    expect(outcomes[index]?.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    expect(byId.get(id)?.replayedAt !== null).toBe(effects.has(id))
    expect(byId.get(id)?.dismissal !== null).toBe(!effects.has(id))
  }
})

test('a dismissed message has no effect when it comes again, although it could be applied by now', async () => {
  await using bus = await testBus()
  await using products = await connectState('products', bus)
  await using orders = await connectState('orders', bus)
  products.state.bus.startRelay()
  let isBroken = true
  recordEffects(orders, () => {
    if (isBroken) throw new Unprocessable('not yet')
  })
  const messageId = await emit(products)
  const { deadLetters } = orders.state.bus
  const [letter] = await eventually(async () => {
    const { items } = await deadLetters.list({})
    expect(items).toHaveLength(1)
    return items
  })
  await deadLetters.dismiss(letter?.id ?? '', dismissal)
  isBroken = false
  const again = headers()
  const all = { 'ce-id': messageId, 'ce-type': type, 'ce-time': new Date().toISOString(), 'ce-subject': 'a' }
  for (const [name, value] of Object.entries({ ...all, 'ce-aggregateversion': '1' })) again.set(name, value)
  await (await bus.administrator()).request(subject, JSON.stringify(example), { headers: again, timeout: 2_000 })
  const next = await emit(products)
  await eventually(async () => expect(await effectsIn(orders)).toContain(next))
  await eventually(async () => {
    const { stream, consumers } = await orders.state.bus.lag()
    expect({ ...stream, ...consumers[0] }).toMatchObject({ messages: 3, pending: 0, unacknowledged: 0 })
  })
  expect(await effectsIn(orders)).toEqual([next])
  expect((await deadLetters.list({})).items).toMatchObject([{ messageId, dismissal }])
})

test('neither an older version nor one that knows the message by now applies what was dismissed', async () => {
  await using bus = await testBus()
  await using orders = await connectState('orders', bus)
  const [dismissed = '', other = ''] = await keep(orders, 2, 'From a newer version: not known yet')
  await orders.state.bus.deadLetters.dismiss(dismissed, dismissal)
  // As the version before this one marks what it has applied, in the same transaction.
  await expect(
    orders.database.query(
      'update dead_letter set replayed_at = clock_timestamp() where id = $1 and replayed_at is null returning id',
      [dismissed],
    ),
  ).rejects.toMatchObject({ code: '23514' })
  recordEffects(orders)
  await eventually(async () => expect(await effectsIn(orders)).toEqual([other]), { timeoutMs: 20_000 })
  expect((await orders.state.bus.deadLetters.list({ status: 'ended' })).items).toHaveLength(2)
  expect(orders.log.lines).not.toContainEqual(expect.objectContaining({ message: 'Dead letters could not be adopted' }))
})

test('thousands of dead letters are read in pages of bounded size, whatever their bodies are', async () => {
  await using bus = await testBus()
  await using orders = await connectState('orders', bus)
  const nested = `${'['.repeat(8_000)}${']'.repeat(8_000)}`
  const bodies = [
    Buffer.from(nested),
    Buffer.from('ä'.repeat(400_001)),
    Buffer.from([0xff, 0xfe]),
    Buffer.from('{"a":1}'),
  ]
  for (const body of bodies) {
    await orders.database.query(
      `insert into dead_letter (id, consumer, message_id, subject, headers, body, reason)
       values (uuidv7(), 'orders', uuidv7(), $1, '{}', $2, 'x')`,
      [subject, body],
    )
  }
  await keep(orders, 2_500)
  const { deadLetters } = orders.state.bus
  const all: DeadLetter[] = []
  let cursor: string | undefined
  do {
    const page = await deadLetters.list({ limit: 100, cursor, status: 'open' })
    expect(JSON.stringify(page).length).toBeLessThan(200_000)
    all.push(...page.items)
    cursor = page.next ?? undefined
  } while (cursor !== undefined)
  expect(new Set(all.map(({ id }) => id)).size).toBe(2_504)
  const [deep, long, bytes, short] = all.slice(-4).toReversed()
  expect(deep).toMatchObject({ data: nested, bytes: 16_000, cut: false })
  expect(long).toMatchObject({ data: 'ä'.repeat(8_192), bytes: 800_002, cut: true })
  expect(bytes).toMatchObject({ data: '\ufffd\ufffd', cut: false })
  expect(short).toMatchObject({ data: { a: 1 }, bytes: 7, cut: false })
})
