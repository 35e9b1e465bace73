import { common, readConfig } from '@saas/config'
import { problems } from '@saas/contracts'
import { DatabaseUnavailable, Overloaded, sql } from '@saas/state'
import { Client, types } from 'pg'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Lane } from '../src/lane.ts'
import { STATEMENT_TIMEOUT_MS } from '../src/time-outs.ts'
import { typeParsers } from '../src/types.ts'
import {
  cloneDatabase,
  connectState,
  eventually,
  testBus,
  testPostgres,
  testLog,
  testProxy,
  type TestBus,
  type TestPostgres,
} from './fixtures.ts'
import { migrations } from './ledger.ts'

const OUTAGE_TEST_TIMEOUT_MS = 60_000

const insertAccount = sql('test.insert_account', 'insert into account (id, balance) values ($1, $2)')
const selectAccount = sql<{ id: string; balance: number }>(
  'test.select_account',
  'select id, balance from account where id = $1',
)
const addToAccount = sql<{ balance: number }>(
  'test.add_to_account',
  'update account set balance = balance + $2 where id = $1 returning balance',
)
const sleep = sql('test.sleep', 'select pg_sleep($1)')
const selectTypes = sql<Record<string, unknown>>(
  'test.select_types',
  `select 9007199254740991::bigint as big, array[1, 2]::bigint[] as bigs, '2026-03-29'::date as day,
     array['2026-03-29']::date[] as days, '{"a": [1]}'::jsonb as json, timestamptz '2026-01-01 00:00:00Z' as moment,
     1.10::numeric as exact, null as nothing`,
)

let bus: TestBus
let postgres: TestPostgres

beforeAll(async () => {
  ;[bus, postgres] = await Promise.all([testBus(), testPostgres()])
})

afterAll(async () => {
  await Promise.all([bus[Symbol.asyncDispose](), postgres[Symbol.asyncDispose]()])
})

test('values are read exactly', async () => {
  await using products = await connectState('products', bus)
  expect(await products.state.database.read(selectTypes)).toEqual([
    {
      big: 9007199254740991,
      bigs: [1, 2],
      day: '2026-03-29',
      days: ['2026-03-29'],
      json: { a: [1] },
      moment: new Date('2026-01-01T00:00:00Z'),
      exact: '1.10',
      nothing: null,
    },
  ])
})

test('a thousand statements at once need four connections at most', async () => {
  await using products = await connectState('products', bus)
  const { database } = products.state
  const ids = Array.from({ length: 500 }, () => uuidv7())
  await Promise.all(ids.map((id, index) => database.write(insertAccount, [id, index])))
  const rows = await Promise.all(ids.map((id) => database.read(selectAccount, [id])))
  expect(rows.map(([row]) => row?.balance)).toEqual(ids.map((_, index) => index))
  const [connections] = await products.database.query<{ count: string }>(
    `select count(*) from pg_stat_activity where application_name like 'products %' and datname = current_database()`,
  )
  expect(Number(connections?.count)).toBeLessThanOrEqual(4)
})

test('a statement that fails takes no other with it', async () => {
  await using products = await connectState('products', bus)
  const { database } = products.state
  const results = await Promise.allSettled(
    Array.from({ length: 20 }, (_, index) => database.write(insertAccount, [uuidv7(), index % 2 === 0 ? 1 : -1])),
  )
  expect(results.map(({ status }) => status)).toEqual(
    Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? 'fulfilled' : 'rejected')),
  )
})

test('a transaction is there wholly or not at all', async () => {
  await using products = await connectState('products', bus)
  const { database } = products.state
  const id = uuidv7()
  await expect(
    database.transaction(async (tx) => {
      await tx.query(insertAccount, [id, 1])
      throw new Error('changed my mind')
    }),
  ).rejects.toThrow('changed my mind')
  expect(await database.read(selectAccount, [id])).toEqual([])
})

test('a deadlock is tried again', async () => {
  await using products = await connectState('products', bus)
  const { database } = products.state
  const [first, second] = [uuidv7(), uuidv7()]
  for (const id of [first, second]) await database.write(insertAccount, [id, 0])
  // Both hold one row and want the other's; lock_timeout or the deadlock detector ends one of them.
  let attempts = 0
  const bothHold = Promise.withResolvers<void>()
  let holding = 0
  const transfer = async (from: string, to: string): Promise<void> => {
    await database.transaction(async (tx) => {
      attempts += 1
      await tx.query(deadlockSoon)
      await tx.query(addToAccount, [from, 1])
      holding += 1
      if (holding === 2) bothHold.resolve()
      await bothHold.promise
      await tx.query(addToAccount, [to, 1])
    })
  }
  await Promise.all([transfer(first, second), transfer(second, first)])
  // Three, or more when the one that was ended is back at its first row before the other is told of the end.
  expect(attempts).toBeGreaterThanOrEqual(3)
  expect(await database.read(selectAccount, [first])).toEqual([{ id: first, balance: 2 }])
})
const deadlockSoon = sql('test.deadlock_soon', `set local lock_timeout = '5s'`)

test('a statement that takes longer than it may is given up, and asked for later', async () => {
  // By Postgres, before its caller gives up the whole connection.
  const { connTimeoutSeconds } = readConfig({ connTimeoutSeconds: common.connTimeoutSeconds }, {})
  expect(connTimeoutSeconds * 1_000).toBeGreaterThan(STATEMENT_TIMEOUT_MS)
  await using database = await cloneDatabase('products', { migrations })
  await database.query(`alter role products in database ${database.name} set statement_timeout = '100ms'`)
  await using products = await connectState('products', bus, { database })
  const late = { problem: problems.dependencyUnavailable, cause: { code: '57014' } }
  await expect(products.state.database.read(sleep, [20])).rejects.toMatchObject(late)
  await expect(products.state.database.write(sleep, [20])).rejects.toMatchObject(late)
})

test('a lock is waited for half a second', async () => {
  await using products = await connectState('products', bus)
  const { database } = products.state
  const id = uuidv7()
  await database.write(insertAccount, [id, 0])
  const holder = new Client({ connectionString: products.database.url })
  await holder.connect()
  await holder.query('begin')
  await holder.query('update account set balance = 1 where id = $1', [id])
  const startedAt = performance.now()
  await expect(database.write(addToAccount, [id, 1])).rejects.toMatchObject({
    problem: problems.dependencyUnavailable,
    cause: { code: '55P03' },
  })
  await expect(database.transaction((tx) => tx.query(addToAccount, [id, 1]))).rejects.toMatchObject({
    problem: problems.dependencyUnavailable,
    cause: { code: '55P03' },
  })
  expect(performance.now() - startedAt).toBeLessThan(3_000)
  await holder.query('rollback')
  await holder.end()
})

test('a statement that takes too long is told apart from a mistake', async () => {
  await using products = await connectState('products', bus)
  const { database } = products.state
  await expect(
    database.transaction(async (tx) => {
      await tx.query(soonTooLate)
      await tx.query(sleep, [5])
    }),
  ).rejects.toBeInstanceOf(Overloaded)
})
const soonTooLate = sql('test.soon_too_late', `set local statement_timeout = '100ms'`)

test('a replica that is frozen in a transaction holds its locks for ten seconds', async () => {
  await using products = await connectState('products', bus)
  const { database } = products.state
  const id = uuidv7()
  await database.write(insertAccount, [id, 0])
  await using wire = await testProxy(products.database.url)
  await using frozen = await connectState('products', bus, { database: products.database, databaseUrl: wire.url })
  const holding = Promise.withResolvers<void>()
  const woken = Promise.withResolvers<void>()
  const held = frozen.state.database.transaction(async (tx) => {
    await tx.query(addToAccount, [id, 1])
    holding.resolve()
    await woken.promise
    await tx.query(addToAccount, [id, 1])
  })
  await holding.promise
  wire.pause()
  const startedAt = performance.now()
  await eventually(async () => await database.write(addToAccount, [id, 10]), { timeoutMs: 20_000 })
  expect(performance.now() - startedAt).toBeLessThan(13_000)
  wire.resume()
  woken.resolve()
  await expect(held).rejects.toBeInstanceOf(DatabaseUnavailable)
  expect(await database.read(selectAccount, [id])).toEqual([{ id, balance: 10 }])
})

test.each([
  '2026-11-23 05:42:29.123456+00',
  '2026-11-23 05:42:29.1+00',
  '1969-12-31 23:59:59.999+00',
  '0044-03-15 00:00:00+00',
  '0044-03-15 00:00:00+00 BC',
  '20260-01-01 00:00:00+00',
  '2026-11-23 05:42:29.5+05:30',
  '2026-11-23 00:00:00-08',
  'infinity',
])('a time is read as the driver reads it: %s', (text) => {
  expect(typeParsers(types.builtins.TIMESTAMPTZ)(text)).toEqual(types.getTypeParser(types.builtins.TIMESTAMPTZ)(text))
})

test(
  'Postgres killed during a transaction: the service recovers by itself',
  { timeout: OUTAGE_TEST_TIMEOUT_MS },
  async () => {
    await using products = await connectState('products', bus, { postgresUrl: postgres.adminUrl })
    const { database } = products.state
    const [lost, kept] = [uuidv7(), uuidv7()]
    await database.check()
    const running = database.transaction(async (tx) => {
      await tx.query(insertAccount, [lost, 1])
      await tx.query(sleep, [20])
    })
    const reading = database.read(sleep, [20])
    const settled = Promise.allSettled([running, reading])
    await eventually(async () => {
      const [row] = await products.database.query<{ count: string }>(
        `select count(*) from pg_stat_activity where wait_event = 'PgSleep'`,
      )
      return row?.count === '2'
    })
    await postgres.child.kill()
    for (const result of await settled) {
      expect(result).toMatchObject({
        status: 'rejected',
        reason: { name: 'DatabaseUnavailable', problem: { status: 503 } },
      })
    }
    await expect(database.check()).rejects.toMatchObject({ name: 'DatabaseUnavailable' })
    await expect(database.write(insertAccount, [kept, 1])).rejects.toMatchObject({ name: 'DatabaseUnavailable' })
    await postgres.child.restart()
    await eventually(() => database.check())
    await database.transaction((tx) => tx.query(insertAccount, [kept, 1]))
    expect(await database.read(selectAccount, [lost])).toEqual([])
    expect(await database.read(selectAccount, [kept])).toEqual([{ id: kept, balance: 1 }])
  },
)

test(
  'Postgres frozen: every call ends in time, and goes through after it thaws',
  { timeout: OUTAGE_TEST_TIMEOUT_MS },
  async () => {
    await using products = await connectState('products', bus, {
      postgresUrl: postgres.adminUrl,
      connTimeoutSeconds: 1,
    })
    const { database } = products.state
    await database.check()
    await database.transaction((tx) => tx.query(sleep, [0]))
    const [{ pids } = { pids: [] }] = await products.database.query<{ pids: number[] }>(
      `select array_agg(pid) as pids from pg_stat_activity where application_name like 'products %'`,
    )
    for (const pid of pids) process.kill(pid, 'SIGSTOP')
    postgres.child.pause()
    const startedAt = performance.now()
    const results = await Promise.allSettled([
      database.read(sleep, [0]),
      database.write(sleep, [0]),
      database.transaction((tx) => tx.query(sleep, [0])),
    ])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    expect(performance.now() - startedAt).toBeLessThan(6_000)
    postgres.child.resume()
    for (const pid of pids) process.kill(pid, 'SIGCONT')
    await eventually(() => database.check())
    await database.transaction((tx) => tx.query(sleep, [0]))
  },
)

test('a service may change rows and no tables', async () => {
  await using products = await connectState('products', bus)
  const { database } = products.state
  for (const [name, text] of Object.entries({
    create: 'create table mine (id int)',
    alter: 'alter table account add column extra int',
    truncate: 'truncate account',
    drop: 'drop table account',
  })) {
    await expect(database.write(sql(`test.${name}_table`, text)), text).rejects.toMatchObject({ code: '42501' })
  }
})

test('calls that waited in vain for a connection are not counted among those that wait', async () => {
  const { logger } = testLog('products')
  const url = 'postgres://products@127.0.0.1:9/products'
  await using lane = new Lane({ url, applicationName: 'products read 1', timeoutMs: 50, logger })
  const statement = sql('test.select_one', 'select 1')
  await Promise.allSettled(Array.from({ length: 4_096 }, () => lane.query(statement, [])))
  await expect(lane.query(statement, [])).rejects.toThrow('Postgres is not reachable')
})
