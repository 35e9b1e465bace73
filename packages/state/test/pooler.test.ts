import { fileURLToPath } from 'node:url'
import { sql } from '@saas/state'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, describe, expect, test } from 'vitest'
import {
  cloneDatabase,
  connectState,
  effectsIn,
  emit,
  eventually,
  outboxIsEmpty,
  recordEffects,
  storedMessages,
  testBus,
  testPooler,
} from './fixtures.ts'

// Fewer than a service opens, so that every connection to Postgres serves many of its own, statement by statement.
const SERVER_CONNECTIONS = 2
const migrations = fileURLToPath(new URL('./migrations', import.meta.url))
const pooler = await testPooler(['products', 'orders'], SERVER_CONNECTIONS)
const through = (url: string): string => pooler?.through(url) ?? url

const insertAccount = sql('test.pooled_insert', 'insert into account (id, balance) values ($1, $2)')
const selectAccount = sql<{ id: string; balance: number }>(
  'test.pooled_select',
  'select id, balance from account where id = any($1)',
)
const setForTransaction = sql('test.pooled_set', `select set_config('saas.test', $1, true)`)
const readSetting = sql<{ test: string }>(
  'test.pooled_setting',
  `select coalesce(current_setting('saas.test', true), '') as test`,
)

afterAll(async () => {
  await pooler?.[Symbol.asyncDispose]()
})

describe.skipIf(pooler === undefined)('behind PgBouncer in transaction mode', () => {
  test('statements, transactions and their settings work', async () => {
    await using bus = await testBus()
    await using database = await cloneDatabase('orders', { migrations })
    await using orders = await connectState('orders', bus, { database, databaseUrl: through(database.url) })
    const { state } = orders
    const ids = Array.from({ length: 200 }, () => uuidv7())
    // Lanes pipeline, transactions come from another pool; all share two connections to Postgres.
    const seen = await Promise.all(
      ids.map(async (id, index) => {
        if (index % 2 === 0) {
          await state.database.write(insertAccount, [id, index])
          return id
        }
        return await state.database.transaction(async (tx) => {
          tx.send(setForTransaction, [id])
          const [setting] = await tx.query(readSetting)
          tx.send(insertAccount, [id, index])
          return setting?.test
        })
      }),
    )
    expect(seen).toEqual(ids)
    const rows = await Promise.all(ids.map((id) => state.database.read(selectAccount, [[id]])))
    expect(rows).toEqual(ids.map((id, balance) => [{ id, balance }]))
    // What one transaction set is no other one's.
    const outside = await Promise.all(ids.map(() => state.database.read(readSetting)))
    expect(new Set(outside.map(([row]) => row?.test))).toEqual(new Set(['']))
    const [{ count } = { count: 0 }] = await database.query<{ count: number }>(
      `select count(distinct pid)::int as count from pg_stat_activity where datname = current_database() and usename = 'orders'`,
    )
    expect(count).toBeLessThanOrEqual(SERVER_CONNECTIONS)
  })

  test('outboxes of several replicas are published in order and applied once', async () => {
    await using bus = await testBus()
    await using source = await cloneDatabase('products', { migrations })
    await using target = await cloneDatabase('orders', { migrations })
    const [one, two] = [
      await connectState('products', bus, { database: source, databaseUrl: through(source.url) }),
      await connectState('products', bus, { database: source, databaseUrl: through(source.url) }),
    ]
    await using _one = one
    await using _two = two
    await using orders = await connectState('orders', bus, { database: target, databaseUrl: through(target.url) })
    one.state.bus.startRelay()
    two.state.bus.startRelay()
    recordEffects(orders)
    const aggregates = Array.from({ length: 20 }, () => uuidv7())
    const ids: string[] = []
    for (const version of [1, 2, 3]) {
      ids.push(...(await Promise.all(aggregates.map((aggregateId) => emit(one, { aggregateId, version })))))
    }
    await outboxIsEmpty({ ...one, database: source })
    await eventually(async () => expect((await effectsIn(orders)).toSorted()).toEqual(ids.toSorted()))
    const stored = await storedMessages(bus)
    for (const aggregate of aggregates) {
      const versions = stored.filter(({ aggregateId }) => aggregateId === aggregate).map(({ version }) => version)
      expect(versions).toEqual(versions.toSorted((a, b) => a - b))
    }
  })

  test('a connection that PgBouncer breaks is opened again', async () => {
    await using bus = await testBus()
    await using database = await cloneDatabase('orders', { migrations })
    await using orders = await connectState('orders', bus, { database, databaseUrl: through(database.url) })
    const id = uuidv7()
    await orders.state.database.write(insertAccount, [id, 1])
    await pooler?.restart()
    await eventually(async () =>
      expect(await orders.state.database.read(selectAccount, [[id]])).toEqual([{ id, balance: 1 }]),
    )
  })
})
