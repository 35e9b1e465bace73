import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { provisionService, runMigrations } from '@saas/state'
import { Client } from 'pg'
import { expect, test } from 'vitest'
import { waitForSchema } from '../src/schema-wait.ts'
import { sharedServers } from './fixtures.ts'

interface Provisioned extends AsyncDisposable {
  readonly url: string
  readonly serviceUrl: string
  query(text: string): Promise<Record<string, unknown>[]>
}

/** A database as an installation gets it: roles of its own, nothing migrated yet. */
async function provisioned(): Promise<Provisioned> {
  const { postgresUrl } = sharedServers()
  const name = `migrated_${randomBytes(6).toString('hex')}`
  const provision = {
    database: name,
    role: name,
    rolePassword: 'service password',
    migratorRole: `${name}_migrator`,
    migratorPassword: 'it’s a "migrator"',
  }
  await Promise.all([provisionService(postgresUrl, provision), provisionService(postgresUrl, provision)])
  await provisionService(postgresUrl, provision)
  const urlOf = (user: string, password: string): string => {
    const url = new URL(postgresUrl)
    url.pathname = `/${name}`
    url.username = user
    url.password = encodeURIComponent(password)
    return url.href
  }
  const admin = async (text: string, database = name): Promise<Record<string, unknown>[]> => {
    const url = new URL(postgresUrl)
    url.pathname = `/${database}`
    const client = new Client({ connectionString: url.href })
    await client.connect()
    try {
      return (await client.query<Record<string, unknown>>(text)).rows
    } finally {
      await client.end()
    }
  }
  return {
    url: urlOf(provision.migratorRole, provision.migratorPassword),
    serviceUrl: urlOf(provision.role, provision.rolePassword),
    query: (text) => admin(text),
    [Symbol.asyncDispose]: async () => {
      await admin(`drop database ${name} with (force)`, 'postgres')
      await admin(`drop role ${name}; drop role ${name}_migrator`, 'postgres')
    },
  }
}

function migrations(files: Record<string, string>): string {
  const directory = mkdtempSync(join(tmpdir(), 'migrations-'))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
  return directory
}

const first = { '0001_thing.sql': 'create table thing (id int primary key);' }

test('migrations run once each, in their order, whoever starts them at the same time', async () => {
  await using database = await provisioned()
  const reports: string[] = []
  const run = (directory: string): Promise<void> =>
    runMigrations({ service: 'orders', directory, url: database.url, report: (line) => reports.push(line) })
  await Promise.all([run(migrations(first)), run(migrations(first)), run(migrations(first))])
  expect(reports.toSorted()).toEqual([
    'orders: migrated 0001_messages',
    'orders: migrated 0001_thing',
    'orders: migrated 0002_republication',
    'orders: migrated 0003_ended_dead_letters',
    'orders: migrated 0004_republication_in_steps',
    'orders: nothing to migrate',
    'orders: nothing to migrate',
  ])
  await run(migrations({ ...first, '0002_more.sql': 'alter table thing add column name text;' }))
  expect(reports.at(-1)).toBe('orders: migrated 0002_more')
})

test('a migration that fails leaves nothing behind, and those before it need not be run again', async () => {
  await using database = await provisioned()
  const broken = { ...first, '0002_half.sql': 'create table half (id int); select 1 / 0;' }
  const reports: string[] = []
  const run = (files: Record<string, string>) =>
    runMigrations({
      service: 'orders',
      directory: migrations(files),
      url: database.url,
      report: (line) => reports.push(line),
    })
  await expect(run(broken)).rejects.toThrow('division by zero')
  expect(await database.query(`select to_regclass('thing') as thing, to_regclass('half') as half`)).toEqual([
    { thing: 'thing', half: null },
  ])
  await run({ ...broken, '0002_half.sql': 'create table half (id int);' })
  expect(reports).toEqual(['orders: migrated 0002_half'])
})

test('a lock that one migration takes is given back before the next one runs', async () => {
  await using database = await provisioned()
  const held = `create table held as select count(*)::int as locks from pg_locks where pid = pg_backend_pid() and mode = 'AccessExclusiveLock'
    and relation = 'thing'::regclass;`
  const files = { ...first, '0002_more.sql': 'alter table thing add column name text;', '0003_held.sql': held }
  await runMigrations({ service: 'orders', directory: migrations(files), url: database.url, report: () => undefined })
  expect(await database.query('select locks from held')).toEqual([{ locks: 0 }])
})

test('the service role reads and writes the new tables and can make none', async () => {
  await using database = await provisioned()
  await runMigrations({ service: 'orders', directory: migrations(first), url: database.url, report: () => undefined })
  const client = new Client({ connectionString: database.serviceUrl })
  await client.connect()
  try {
    await client.query('insert into thing (id) values (1)')
    await client.query('delete from thing')
    await client.query('select count(*) from outbox')
    await expect(client.query('create table mine (id int)')).rejects.toMatchObject({ code: '42501' })
    await expect(client.query('create temp table mine (id int)')).rejects.toMatchObject({ code: '42501' })
    const { rows } = await client.query<{ lock: string; statement: string }>(
      `select current_setting('lock_timeout') as lock, current_setting('statement_timeout') as statement`,
    )
    expect(rows).toEqual([{ lock: '500ms', statement: '8s' }])
  } finally {
    await client.end()
  }
})

test('another service cannot connect to the database', async () => {
  await using mine = await provisioned()
  await using theirs = await provisioned()
  const stranger = new URL(mine.serviceUrl)
  stranger.pathname = new URL(theirs.serviceUrl).pathname
  await expect(new Client({ connectionString: stranger.href }).connect()).rejects.toMatchObject({ code: '42501' })
})

test('who waits for the schema goes on when every migration has run, as the service’s own role', async () => {
  await using database = await provisioned()
  const directory = migrations({ '0001_first.sql': 'create table first (id int)' })
  const order: string[] = []
  const waiting = waitForSchema([{ table: 'service_migration', directory }], database.serviceUrl).then(() =>
    order.push('goes on'),
  )
  await runMigrations({ service: 'orders', url: database.url, report: () => undefined })
  await runMigrations({ service: 'orders', url: database.url, directory, report: (line) => order.push(line) })
  await waiting
  expect(order).toEqual(['orders: migrated 0001_first', 'goes on'])
})

test.for([
  ['--wait', 'MIGRATE_DATABASE_URL'],
  ['--wait-for-schema', 'DATABASE_URL'],
] as const)('a program started with %s asks again while Postgres is not there', async ([argument, variable]) => {
  const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const program = join(import.meta.dirname, '../../../services/orders/src/migrate.ts')
  const child = spawn(process.execPath, [program, argument], {
    env: { ...process.env, [variable]: `postgres://somebody:secret@127.0.0.1:${port}/orders` },
    stdio: 'ignore',
  })
  const ended = once(child, 'exit')
  try {
    await once(server, 'connection')
    expect(await Promise.race([once(server, 'connection').then(() => 'asks again'), ended])).toBe('asks again')
  } finally {
    child.kill('SIGKILL')
    await ended
    server.close()
  }
})
