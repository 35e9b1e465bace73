import { setImmediate as endOfTurn } from 'node:timers/promises'
import { Client } from 'pg'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { batchSize } from '../src/metrics.ts'
import { cloneDatabase, connectState, eventually, testBus, type TestBus } from './fixtures.ts'
import {
  batchSizes,
  entries,
  entriesOf,
  entry,
  migrations,
  readEntries,
  takeAllPlaces,
  wired,
  type EntryCall,
} from './ledger.ts'

let bus: TestBus

beforeAll(async () => {
  bus = await testBus()
})

afterAll(async () => {
  await bus[Symbol.asyncDispose]()
})

test('a lone call goes at once, and calls that come meanwhile go together', async () => {
  await using products = await connectState('products', bus)
  const calls = entriesOf(products.state.database)
  const first = calls.call(entry())
  await endOfTurn()
  const others = entries(600).map((call) => calls.call(call))
  const rows = await Promise.all([first, ...others])
  expect(rows.every(({ claimed }) => claimed)).toBe(true)
  // Three shares go at once; of the rest each batch that returns takes a quarter, but no fewer than 32.
  expect(await batchSizes(products)).toEqual([1, 23, 32, 32, 32, 32, 32, 32, 40, 53, 71, 95, 126])
})

test('a batch is at most 256 calls', async () => {
  await using products = await connectState('products', bus)
  const calls = entriesOf(products.state.database)
  await Promise.all(entries(2_000).map((call) => calls.call(call)))
  const sizes = await batchSizes(products)
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(2_000)
  expect(sizes.at(-1)).toBe(256)
})

test('those who wait are shared among the batches under way, so that answering one and working on another overlap', async () => {
  await using wire = await wired(bus)
  const calls = entriesOf(wire.products.state.database)
  wire.proxy.pause()
  const answers = Promise.all(entries(128).map((call) => calls.call(call)))
  await endOfTurn()
  wire.proxy.resume()
  await answers
  expect(await batchSizes(wire)).toEqual([32, 32, 32, 32])
})

test('calls of one turn of the event loop share a batch', async () => {
  await using products = await connectState('products', bus)
  const calls = entriesOf(products.state.database)
  await Promise.all(entries(10).map((call) => calls.call(call)))
  expect(await batchSizes(products)).toEqual([10])
})

test('two calls with one key never share a batch: the second finds what the first did', async () => {
  await using products = await connectState('products', bus)
  const calls = entriesOf(products.state.database)
  const account = uuidv7()
  const [first, second, third, stranger] = [entry({ account }), entry({ account }), entry({ account }), entry()]
  const rows = await Promise.all([first, second, third, stranger].map((call) => calls.call(call)))
  expect(rows.map(({ claimed }) => claimed)).toEqual([true, false, false, true])
  // In one statement the loser of a key would not see the winner's row.
  expect(rows.map((row) => row.known_id)).toEqual([null, first.id, first.id, null])
  expect(await batchSizes(products)).toEqual([2])
})

test('one key in batches of several replicas is claimed once', async () => {
  await using first = await connectState('products', bus)
  await using second = await connectState('products', bus, { database: first.database })
  const accounts = Array.from({ length: 300 }, () => uuidv7())
  const replicas = [entriesOf(first.state.database), entriesOf(second.state.database)]
  const claims = await Promise.all(
    replicas.map(async (calls, index) => {
      const order = index === 0 ? accounts : accounts.toReversed()
      const rows = await Promise.all(order.map((account) => calls.call(entry({ account }))))
      return rows.filter(({ claimed }) => claimed).length
    }),
  )
  expect(claims.reduce((sum, count) => sum + count, 0)).toBe(300)
})

test('one subject fills at most a quarter of the queue', async () => {
  await using wire = await wired(bus)
  const calls = entriesOf(wire.products.state.database)
  wire.proxy.pause()
  const first = await takeAllPlaces(calls)
  const account = uuidv7()
  const mine = Array.from({ length: 1_400 }, (_, index) => calls.call(entry({ account, key: String(index) })))
  const theirs = calls.call(entry())
  wire.proxy.resume()
  const results = await Promise.allSettled(mine)
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1_024)
  expect(results.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { name: 'Overloaded' } })
  expect(await theirs).toMatchObject({ claimed: true })
  await Promise.all(first)
})

test('the queue is bounded in length and in time', async () => {
  await using wire = await wired(bus)
  const calls = entriesOf(wire.products.state.database)
  wire.proxy.pause()
  const first = await takeAllPlaces(calls)
  const startedAt = performance.now()
  const results = await Promise.allSettled(entries(4_200).map((call) => calls.call(call)))
  expect(performance.now() - startedAt).toBeLessThan(4_500)
  expect(results.every(({ status }) => status === 'rejected')).toBe(true)
  const messages = results.map((result) => (result.status === 'rejected' ? (result.reason as Error).message : ''))
  expect(messages.filter((message) => message.startsWith('Too many'))).toHaveLength(104)
  wire.proxy.resume()
  for (const answer of first) expect(await answer).toMatchObject({ claimed: true })
})

test('a batch is at most a megabyte', async () => {
  await using products = await connectState('products', bus)
  const calls = entriesOf(products.state.database)
  await Promise.all(entries(10).map((call) => calls.call({ ...call, key: uuidv7().repeat(60).slice(0, 2_000) })))
  const large = database300KilobyteCalls()
  await Promise.all(large.map((call) => calls.call(call)))
  const sizes = await batchSizes(products)
  expect(sizes).toEqual([1, 3, 3, 10])
})

/** The column `account` is not sent on; what makes these long is a field the statement leaves unread. */
function database300KilobyteCalls(): EntryCall[] {
  return entries(7).map((call) => Object.assign({}, call, { unread: 'x'.repeat(300_000) }))
}

test('reads of many keys share a statement, and each gets its row', async () => {
  await using products = await connectState('products', bus)
  const calls = entriesOf(products.state.database)
  const written = Array.from({ length: 50 }, (_, index) => entry({ amount: index + 100 }))
  await Promise.all(written.map((call) => calls.call(call)))
  const reads = products.state.database.coalescedRead({ statement: readEntries, keyOfRow: ({ id }) => id })
  const rows = await Promise.all([...written, ...written].map(({ id }) => reads.load(id)))
  expect(rows.map((row) => row?.amount)).toEqual([...written, ...written].map(({ amount }) => amount))
  expect(await reads.load(uuidv7())).toBeUndefined()
})

test('reads of one turn of the event loop share a statement, whatever microtask they come from', async () => {
  await using products = await connectState('products', bus)
  const reads = products.state.database.coalescedRead({ statement: readEntries, keyOfRow: ({ id }) => id })
  await reads.load(uuidv7())
  const statements = await readStatements()
  const loads: Promise<unknown>[] = []
  for (let n = 0; n < 10; n += 1) {
    loads.push(reads.load(uuidv7()))
    for (let tick = 0; tick < 10; tick += 1) await Promise.resolve()
  }
  await Promise.all(loads)
  expect((await readStatements()) - statements).toBe(1)
})

async function readStatements(): Promise<number> {
  const { values } = await batchSize.get()
  const counts = values.filter(
    ({ metricName, labels }) => metricName === 'saas_batch_size_count' && labels.kind === 'read',
  )
  return counts.reduce((sum, { value }) => sum + value, 0)
}

test('a read that begins after a write was answered sees it', async () => {
  await using products = await connectState('products', bus)
  const calls = entriesOf(products.state.database)
  const reads = products.state.database.coalescedRead({ statement: readEntries, keyOfRow: ({ id }) => id })
  await Promise.all(
    entries(200).map(async (call) => {
      const before = reads.load(call.id)
      await calls.call(call)
      expect(await reads.load(call.id)).toMatchObject({ id: call.id })
      await before
    }),
  )
})

test('a key that is no key fails its own read only', async () => {
  await using products = await connectState('products', bus)
  const calls = entriesOf(products.state.database)
  const call = entry()
  await calls.call(call)
  const reads = products.state.database.coalescedRead({ statement: readEntries, keyOfRow: ({ id }) => id })
  const results = await Promise.allSettled([reads.load(call.id), reads.load('no uuid'), reads.load(call.id)])
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
})

test('two batches run at once, and calls of one key never do', async () => {
  await using database = await cloneDatabase('products', { migrations })
  // The holder below ends the wait for its lock, not the clock.
  await database.query(`alter role products in database ${database.name} set lock_timeout = '20s'`)
  await using products = await connectState('products', bus, { database })
  const calls = entriesOf(products.state.database)
  const account = uuidv7()
  const lanes = `select from pg_stat_activity where datname = $1 and application_name like 'products write%'`
  await eventually(async () => expect(await database.query(lanes, [database.name])).toHaveLength(2))
  await products.state.database.check()
  const holder = new Client({ connectionString: products.database.url })
  await holder.connect()
  try {
    await holder.query('begin')
    await holder.query(`insert into ledger_entry (id, account, key, amount) values ($1, $2, 'key', 1)`, [
      uuidv7(),
      account,
    ])
    const first = entry({ account })
    const blocked = calls.call(first)
    // Once it is sent, what follows is of another batch.
    await new Promise((resolve) => setImmediate(resolve))
    const sameKey = calls.call(entry({ account }))
    // Answered while the batch before it still waits for the holder.
    expect(await calls.call(entry())).toMatchObject({ claimed: true })
    await holder.query('rollback')
    expect(await blocked).toMatchObject({ claimed: true })
    expect(await sameKey).toMatchObject({ claimed: false, known_id: first.id })
  } finally {
    await holder.end()
  }
})
