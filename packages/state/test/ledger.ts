import { setImmediate as endOfTurn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { sql, type CoalescedWrite, type Database } from '@saas/state'
import { Client } from 'pg'
import { v7 as uuidv7 } from 'uuid'
import {
  cloneDatabase,
  connectState,
  eventually,
  testProxy,
  type TestBus,
  type TestDatabase,
  type TestProxy,
  type TestState,
} from './fixtures.ts'

export const migrations = fileURLToPath(new URL('./migrations', import.meta.url))

export interface EntryCall {
  readonly id: string
  readonly account: string
  readonly key: string
  readonly amount: number
}

export interface EntryRow {
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

export const readEntries = sql<{ id: string; amount: number }>(
  'test.read_entries',
  'select id, amount from ledger_entry where id = any($1::uuid[])',
)

export function entriesOf(database: Database): CoalescedWrite<EntryCall, EntryRow> {
  return database.coalescedWrite<EntryCall, EntryRow>({
    statement: enterAll,
    toRow: (call) => ({ ...call }),
    conflictKeys: ({ account, key }) => [`${account} ${key}`],
    lockKey: ({ account, key }) => `${account} ${key}`,
    subject: ({ account }) => account,
  })
}

export function entry(changes: Partial<EntryCall> = {}): EntryCall {
  return { id: uuidv7(), account: uuidv7(), key: 'key', amount: 1, ...changes }
}

export function entries(count: number): EntryCall[] {
  return Array.from({ length: count }, () => entry())
}

/** As many batches of one call as may be under way at once, on a wire that is paused. */
export async function takeAllPlaces(calls: CoalescedWrite<EntryCall, EntryRow>): Promise<readonly Promise<EntryRow>[]> {
  const answers: Promise<EntryRow>[] = []
  for (let n = 0; n < 4; n += 1) {
    answers.push(calls.call(entry()))
    await endOfTurn()
  }
  return answers
}

/** Each batch is one transaction, so it leaves its own transaction id in the rows it wrote. */
export async function batchSizes({ database }: Pick<TestState, 'database'>): Promise<number[]> {
  const rows = await database.query<{ size: number }>(
    'select count(*)::int as size from ledger_entry group by xmin::text order by 1',
  )
  return rows.map(({ size }) => size)
}

export async function idsIn(database: TestDatabase): Promise<string[]> {
  const rows = await database.query<{ id: string }>('select id from ledger_entry order by id')
  return rows.map(({ id }) => id)
}

/** Another transaction that holds an entry's key until it is told to end. */
export async function holdEntry(url: string, { account, key }: EntryCall): Promise<Client> {
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

export async function waitForBlockedBatch({ database }: Pick<TestState, 'database'>): Promise<number> {
  return await eventually(async () => {
    const [row] = await database.query<{ pid: number }>(
      `select pid from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
    )
    if (row === undefined) throw new Error('No batch is blocked')
    return row.pid
  })
}

export interface Wired extends AsyncDisposable {
  readonly products: TestState
  readonly database: TestDatabase
  readonly proxy: TestProxy
}

/** A state whose wire to Postgres can be cut. */
export async function wired(bus: TestBus): Promise<Wired> {
  await using stack = new AsyncDisposableStack()
  const database = stack.use(await cloneDatabase('products', { migrations }))
  const proxy = stack.use(await testProxy(database.url))
  const products = stack.use(await connectState('products', bus, { database, databaseUrl: proxy.url }))
  await Promise.all([products.state.database.check(), entriesOf(products.state.database).call(entry())])
  await database.query('truncate ledger_entry')
  const owned = stack.move()
  return { products, database, proxy, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}
