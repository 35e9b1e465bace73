import { setImmediate as endOfTurn } from 'node:timers/promises'
import { sql, type CoalescedWrite, type Database } from '@saas/state'
import { Client } from 'pg'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  cloneDatabase,
  connectState,
  eventually,
  testBus,
  testPostgres,
  testProxy,
  type TestBus,
  type TestDatabase,
  type TestProxy,
  type TestState,
} from './fixtures.ts'
import { fileURLToPath } from 'node:url'
import { batchSize } from '../src/metrics.ts'

const migrations = fileURLToPath(new URL('./migrations', import.meta.url))
const OUTAGE_TEST_TIMEOUT_MS = 60_000

interface EntryCall {
  readonly id: string
  readonly account: string
  readonly key: string
  readonly amount: number
}

interface EntryRow {
  readonly n: number
  readonly claimed: boolean
  /** Who had the key before this statement began. */
  readonly known_id: string | null
}

const enterAll = sql<EntryRow>(
  'test.enter_all',
  `with call as materialized (
     select *
     from jsonb_to_recordset($1::jsonb) as call (n int, id uuid, account text, key text, amount int)
   ),
   claimed as (
     insert into ledger_entry (id, account, key, amount)
     select id, account, key, amount
     from call
     order by account, key
     on conflict (account, key) do nothing
     returning id
   )
   select n, claimed.id is not null as claimed, known.id as known_id
   from call
   left join claimed using (id)
   left join ledger_entry as known on known.account = call.account and known.key = call.key`,
)

const readEntries = sql<{ id: string; amount: number }>(
  'test.read_entries',
  'select id, amount from ledger_entry where id = any($1::uuid[])',
)

function entriesOf(database: Database): CoalescedWrite<EntryCall, EntryRow> {
  return database.coalescedWrite<EntryCall, EntryRow>({
    statement: enterAll,
    toRow: (call) => ({ ...call }),
    conflictKeys: ({ account, key }) => [`${account} ${key}`],
    lockKey: ({ account, key }) => `${account} ${key}`,
    subject: ({ account }) => account,
  })
}

function entry(changes: Partial<EntryCall> = {}): EntryCall {
  return { id: uuidv7(), account: uuidv7(), key: 'key', amount: 1, ...changes }
}

function entries(count: number): EntryCall[] {
  return Array.from({ length: count }, () => entry())
}

/** As many batches of one call as may be under way at once, on a wire that is paused. */
async function takeAllPlaces(calls: CoalescedWrite<EntryCall, EntryRow>): Promise<readonly Promise<EntryRow>[]> {
  const answers: Promise<EntryRow>[] = []
  for (let n = 0; n < 4; n += 1) {
    answers.push(calls.call(entry()))
    await endOfTurn()
  }
  return answers
}

/** Each batch is one transaction, so it leaves its own transaction id in the rows it wrote. */
async function batchSizes({ database }: Pick<TestState, 'database'>): Promise<number[]> {
  const rows = await database.query<{ size: number }>(
    'select count(*)::int as size from ledger_entry group by xmin::text order by 1',
  )
  return rows.map(({ size }) => size)
}

async function idsIn(database: TestDatabase): Promise<string[]> {
  const rows = await database.query<{ id: string }>('select id from ledger_entry order by id')
  return rows.map(({ id }) => id)
}

/** Another transaction that holds an entry's key until it is told to end. */
async function holdEntry(url: string, { account, key }: EntryCall): Promise<Client> {
  const client = new Client({ connectionString: url, application_name: 'holder' })
  client.on('error', () => undefined)
  await client.connect()
  await client.query('begin')
  await client.query('insert into ledger_entry (id, account, key, amount) values ($1, $2, $3, 0)', [
    uuidv7(),
    account,
    key,
  ])
  return client
}

async function waitForBlockedBatch({ database }: Pick<TestState, 'database'>): Promise<number> {
  return await eventually(async () => {
    const [row] = await database.query<{ pid: number }>(
      `select pid from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
    )
    if (row === undefined) throw new Error('No batch is blocked')
    return row.pid
  })
}

let bus: TestBus

beforeAll(async () => {
  bus = await testBus()
})

afterAll(async () => {
  await bus[Symbol.asyncDispose]()
})

interface Wired extends AsyncDisposable {
  readonly products: TestState
  readonly database: TestDatabase
  readonly proxy: TestProxy
}

/** A state whose wire to Postgres can be cut. */
async function wired(): Promise<Wired> {
  await using stack = new AsyncDisposableStack()
  const database = stack.use(await cloneDatabase('products', { migrations }))
  const proxy = stack.use(await testProxy(database.url))
  const products = stack.use(await connectState('products', bus, { database, databaseUrl: proxy.url }))
  await Promise.all([products.state.database.check(), entriesOf(products.state.database).call(entry())])
  await database.query('truncate ledger_entry')
  const owned = stack.move()
  return { products, database, proxy, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

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
  await using wire = await wired()
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

test('a bad call fails alone', async () => {
  await using products = await connectState('products', bus)
  const calls = entriesOf(products.state.database)
  const batch = Array.from({ length: 100 }, (_, index) => entry({ amount: index === 13 || index === 77 ? 13 : 1 }))
  batch[50] = entry({ key: 'nul \0 byte' })
  const results = await Promise.allSettled(batch.map((call) => calls.call(call)))
  const failed = results.flatMap(({ status }, index) => (status === 'rejected' ? [index] : []))
  expect(failed).toEqual([13, 50, 77])
  expect(results[13]).toMatchObject({ reason: { code: '23514' } })
  expect(results[50]).toMatchObject({ reason: { code: '22P05' } })
  expect(await idsIn(products.database)).toHaveLength(97)
})

test('a deadlock is lost and the batch goes again', async () => {
  await using database = await cloneDatabase('products', { migrations })
  await database.query(`alter role products in database ${database.name} set lock_timeout = '10s'`)
  await database.query(`alter role products in database ${database.name} set deadlock_timeout = '50ms'`)
  await using products = await connectState('products', bus, { database })
  const batch = ['a', 'm', 'z'].map((account) => entry({ account }))
  const [low, middle, high] = batch as [EntryCall, EntryCall, EntryCall]
  const [holderOfMiddle, holderOfHigh] = await Promise.all(
    [middle, high].map((held) => holdEntry(database.adminUrl, held)),
  )
  await holderOfHigh?.query(`set deadlock_timeout = '10s'`)
  const calls = entriesOf(products.state.database)
  const answers = Promise.all(batch.map((call) => calls.call(call)))
  // The batch holds `a` and waits for `m`; the holder of `z` then waits for `a`. When `m` is let go the batch waits for
  // `z`: it closes the circle last, and Postgres ends it.
  await waitForBlockedBatch(products)
  const wanting = holderOfHigh?.query(
    'insert into ledger_entry (id, account, key, amount) values (uuidv7(), $1, $2, 0) on conflict do nothing',
    [low.account, low.key],
  )
  await eventually(async () => {
    const blocked = await database.query(
      `select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
    )
    return blocked.length === 2
  })
  await holderOfMiddle?.query('rollback')
  await wanting
  await holderOfHigh?.query('rollback')
  await Promise.all([holderOfMiddle?.end(), holderOfHigh?.end()])
  expect((await answers).map(({ claimed }) => claimed)).toEqual([true, true, true])
  await eventually(async () => {
    // A connection reports its statistics at the end of a later transaction.
    await calls.call(entry())
    const [statistics] = await database.query<{ deadlocks: string }>(
      'select deadlocks from pg_stat_database where datname = current_database()',
    )
    expect(Number(statistics?.deadlocks)).toBeGreaterThan(0)
  })
})

test('a lock that is held for long fails the one call that needs it, with a 503', async () => {
  await using products = await connectState('products', bus)
  const calls = entriesOf(products.state.database)
  const batch = entries(8)
  const blocked = batch[5] as EntryCall
  const holder = await holdEntry(products.database.adminUrl, blocked)
  const results = await Promise.allSettled(batch.map((call) => calls.call(call)))
  const failed = results.flatMap(({ status }, index) => (status === 'rejected' ? [index] : []))
  expect(failed).toEqual([5])
  expect(results[5]).toMatchObject({ reason: { name: 'Overloaded', problem: { status: 503 } } })
  await holder.query('rollback')
  await holder.end()
  expect(await calls.call(blocked)).toMatchObject({ claimed: true })
})

test('others do not wait for a batch that is sent again', async () => {
  await using database = await cloneDatabase('products', { migrations })
  await database.query(`alter role products in database ${database.name} set lock_timeout = '1500ms'`)
  await using products = await connectState('products', bus, { database })
  const calls = entriesOf(products.state.database)
  const blocked = entry()
  const holder = await holdEntry(database.adminUrl, blocked)
  let isAnswered = false
  const slow = calls.call(blocked).finally(() => {
    isAnswered = true
  })
  await waitForBlockedBatch(products)
  // Until the lock time-out they wait behind it, then they pass it.
  await eventually(async () => expect(await calls.call(entry())).toMatchObject({ claimed: true }))
  expect(isAnswered).toBe(false)
  await holder.query('rollback')
  await holder.end()
  expect(await slow).toMatchObject({ claimed: true })
})

test('a connection lost before the commit: the same batch goes again', async () => {
  await using products = await connectState('products', bus)
  const calls = entriesOf(products.state.database)
  const batch = entries(5)
  const holder = await holdEntry(products.database.adminUrl, batch[2] as EntryCall)
  const answers = Promise.all(batch.map((call) => calls.call(call)))
  const pid = await waitForBlockedBatch(products)
  await products.database.query('select pg_terminate_backend($1)', [pid])
  await holder.query('rollback')
  await holder.end()
  expect((await answers).map(({ claimed }) => claimed)).toEqual([true, true, true, true, true])
  expect(await idsIn(products.database)).toEqual(batch.map(({ id }) => id).toSorted())
})

test('a connection lost after the commit: the same batch goes again and changes nothing', async () => {
  await using wire = await wired()
  const calls = entriesOf(wire.products.state.database)
  const batch = entries(5)
  const loss = wire.proxy.loseAnswers(1)
  const answers = await Promise.all(batch.map((call) => calls.call(call)))
  expect(loss.lost).toBe(1)
  // The first sending claimed the keys; a caller finds its own id there by its second statement.
  expect(answers.map(({ claimed }) => claimed)).toEqual([false, false, false, false, false])
  expect(await idsIn(wire.database)).toEqual(batch.map(({ id }) => id).toSorted())
})

test('a connection lost twice is a 503, and the batch is never halved', async () => {
  await using wire = await wired()
  const calls = entriesOf(wire.products.state.database)
  const batch = entries(5)
  const before = wire.proxy.connections
  wire.proxy.loseAnswers(1_000)
  const results = await Promise.allSettled(batch.map((call) => calls.call(call)))
  wire.proxy.loseAnswers(0)
  for (const result of results) {
    expect(result).toMatchObject({
      status: 'rejected',
      reason: { name: 'DatabaseUnavailable', problem: { status: 503 } },
    })
  }
  expect(wire.proxy.connections).toBeGreaterThan(before)
  await eventually(async () => expect(await calls.call(entry())).toMatchObject({ claimed: true }))
  expect((await batchSizes(wire)).filter((size) => size > 1)).toEqual([5])
})

test('a commit that did not wait for its standby is not believed', { timeout: OUTAGE_TEST_TIMEOUT_MS }, async () => {
  await using postgres = await testPostgres()
  await using products = await connectState('products', bus, { postgresUrl: postgres.adminUrl })
  const calls = entriesOf(products.state.database)
  await calls.call(entry())
  const query = async <Row>(text: string, values: readonly unknown[] = []): Promise<Row[]> =>
    await products.database.query<Row>(text, values)
  await query(`alter system set synchronous_standby_names = 'nobody'`)
  await query('select pg_reload_conf()')
  const waitingForStandby = async (): Promise<number | undefined> => {
    const [row] = await query<{ pid: number }>(`select pid from pg_stat_activity where wait_event = 'SyncRep'`)
    return row?.pid
  }
  // The setting takes effect a moment later; until then calls are answered.
  const unanswered = new Map<string, Promise<EntryRow>>()
  const pid = await eventually(async () => {
    const call = entry()
    unanswered.set(
      call.id,
      calls.call(call).finally(() => unanswered.delete(call.id)),
    )
    return await eventually(async () => {
      const waiting = await waitingForStandby()
      return unanswered.size === 0 ? 'answered' : (waiting ?? false)
    }).then((outcome) => (typeof outcome === 'number' ? outcome : false))
  })
  const [[id, answer] = ['', undefined]] = [...unanswered]
  await query('select pg_cancel_backend($1)', [pid])
  // Sent again, the batch finds what it wrote and has nothing to commit.
  expect(await answer).toMatchObject({ claimed: false })
  await query('alter system reset synchronous_standby_names')
  await query('select pg_reload_conf()')
  expect(await idsIn(products.database)).toContain(id)
})

test('one subject fills at most a quarter of the queue', async () => {
  await using wire = await wired()
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
  await using wire = await wired()
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
