import { afterAll, beforeAll, expect, test } from 'vitest'
import { cloneDatabase, connectState, eventually, testBus, testPostgres, type TestBus } from './fixtures.ts'
import {
  batchSizes,
  entries,
  entriesOf,
  entry,
  holdEntry,
  idsIn,
  migrations,
  waitForBlockedBatch,
  wired,
  type EntryCall,
  type EntryRow,
} from './ledger.ts'

const OUTAGE_TEST_TIMEOUT_MS = 60_000

let bus: TestBus

beforeAll(async () => {
  bus = await testBus()
})

afterAll(async () => {
  await bus[Symbol.asyncDispose]()
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
  await using wire = await wired(bus)
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
  await using wire = await wired(bus)
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
