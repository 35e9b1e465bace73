import { join } from 'node:path'
import { MIGRATION_LOCK, provisionService, runMigrations } from '@saas/state'
import { eventually, testPostgres, type TestPostgres } from '@saas/testing'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { rendered } from './helm.ts'
import { containerEnvironment, environmentOf, named, workloads } from './objects.ts'
import { provisioningOf, runProvisioning, type Provisioning } from './provisioning.ts'
import { cloneDirectory } from '@saas/devstack'

const services = ['auth', 'products', 'orders', 'notifications'] as const

let postgres: TestPostgres
let provisioning: Provisioning
let uris: Record<string, { readonly uri: string; readonly direct: string }>

beforeAll(async () => {
  const [objects, server] = await Promise.all([rendered(), testPostgres()])
  postgres = server
  const secret = (name: string): Record<string, string> =>
    named(objects, 'Secret', name)['stringData'] as Record<string, string>
  provisioning = provisioningOf(objects)
  const here = (uri = ''): string => uri.replace(/@[^/]+/, `@127.0.0.1:${postgres.port}`)
  uris = Object.fromEntries(
    services.map((service) => {
      const { uri, 'direct-uri': direct } = secret(`shop-${service}-database`)
      return [service, { uri: here(uri), direct: here(direct) }]
    }),
  )
})

afterAll(async () => {
  await postgres[Symbol.asyncDispose]()
})

async function provision(passwords: Record<string, string> = {}): Promise<void> {
  await runProvisioning(provisioning, postgres.adminUrl, passwords)
}

async function query<Row>(url: string, text: string): Promise<Row[]> {
  const client = new Client({ connectionString: url })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return (await client.query(text)).rows as Row[]
  } finally {
    await client.end().catch(() => undefined)
  }
}

async function refusalOf(url: string, text = 'select 1'): Promise<string> {
  return await query(url, text).then(
    () => 'not refused',
    (error: Error & { code?: string }) => error.code ?? error.message,
  )
}

/** All that provisioning decides, but for the passwords. */
async function rights(): Promise<unknown> {
  const cluster = await query(
    postgres.adminUrl,
    `select rolname, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolcanlogin, rolbypassrls,
       (select array_agg(setting order by setting) from pg_db_role_setting, unnest(setconfig) as setting where setrole = pg_roles.oid) as settings,
       (select array_agg(datname || ' ' || datacl::text order by datname) from pg_database where datdba = pg_roles.oid) as owns
     from pg_roles where rolname !~ '^pg_' order by rolname`,
  )
  const inside = await Promise.all(
    services.map(async (service) => {
      const url = new URL(postgres.adminUrl)
      url.pathname = `/${service}`
      return await query(
        url.href,
        `select 'schema' as kind, nspname as name, nspacl::text as rights from pg_namespace where nspname = 'public'
         union all select 'table', relname, array(select unnest(relacl)::text order by 1)::text from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'S')
         union all select 'default', defaclobjtype::text, defaclacl::text from pg_default_acl
         order by 1, 2`,
      )
    }),
  )
  return { cluster, inside }
}

test('the statements of the chart make databases and roles, whoever runs them at once or again', async () => {
  await Promise.all([provision(), provision()])
  const first = await rights()
  await provision()
  expect(await rights()).toEqual(first)
  for (const service of services) {
    const [row] = await query<{ name: string }>(uris[service]?.uri ?? '', 'select current_database() as name')
    expect(row?.name).toBe(service)
  }
})

test('after the migrations of every service they give exactly the rights that they give in development', async () => {
  await Promise.all(
    services.map((service) =>
      runMigrations({
        service,
        directory: join(cloneDirectory, 'services', service, 'migrations'),
        url: uris[service]?.direct ?? '',
        report: () => undefined,
      }),
    ),
  )
  await provision()
  const byChart = await rights()
  for (const service of services) {
    await provisionService(postgres.adminUrl, {
      database: service,
      role: service,
      rolePassword: provisioning.environment[`PASSWORD_${service.toUpperCase()}`] ?? '',
      migratorRole: `${service}_migrator`,
      migratorPassword: provisioning.environment[`MIGRATOR_PASSWORD_${service.toUpperCase()}`] ?? '',
    })
  }
  expect(await rights()).toEqual(byChart)
})

test('the tables of a migration that runs meanwhile are granted as well', async () => {
  const { uri = '', direct = '' } = uris['orders'] ?? {}
  const administrator = new URL(postgres.adminUrl)
  administrator.pathname = '/orders'
  await query(
    administrator.href,
    'alter default privileges for role orders_migrator in schema public revoke all on tables from orders',
  )
  const migration = new Client({ connectionString: direct })
  await migration.connect()
  await migration.query('select pg_advisory_lock($1)', [MIGRATION_LOCK])
  await migration.query('begin; create table made_meanwhile (id int)')
  const provisioned = provision()
  const isWaiting = eventually(async () => {
    const waiting = await query(administrator.href, `select from pg_locks where locktype = 'advisory' and not granted`)
    expect(waiting).toHaveLength(1)
  })
  await Promise.race([provisioned, isWaiting])
  await migration.query('commit')
  await migration.end()
  await Promise.all([provisioned, isWaiting])
  expect(await query(uri, 'select * from made_meanwhile')).toEqual([])
  await query(direct, 'drop table made_meanwhile')
})

test('a service reads and writes rows, and can change no table, no ledger and nothing of another service', async () => {
  const { uri = '', direct = '' } = uris['auth'] ?? {}
  expect(await query(uri, 'select count(*)::int as count from session')).toEqual([{ count: 0 }])
  expect(await refusalOf(uri, 'create table mine (id int)')).toBe('42501')
  expect(await refusalOf(uri, 'drop table session')).toBe('42501')
  expect(await refusalOf(uri, 'update audit_entry set id = id')).toBe('42501')
  expect(await refusalOf(uri, 'create schema mine')).toBe('42501')
  for (const url of [uri, direct]) {
    const foreign = new URL(url)
    foreign.pathname = '/orders'
    expect(await refusalOf(foreign.href)).toBe('42501')
  }
})

test('a password that changed is followed, the old one is refused, and connections that are open go on', async () => {
  const { uri = '', direct = '' } = uris['orders'] ?? {}
  const open = new Client({ connectionString: uri })
  await open.connect()
  await provision({ PASSWORD_ORDERS: 'another', MIGRATOR_PASSWORD_ORDERS: "it's \\another$$" })
  const changed = (url: string, password: string): string => {
    const other = new URL(url)
    other.password = encodeURIComponent(password)
    return other.href
  }
  expect(await refusalOf(uri)).toBe('28P01')
  expect(await refusalOf(direct)).toBe('28P01')
  expect(await query(changed(uri, 'another'), 'select 1 as one')).toEqual([{ one: 1 }])
  expect(await query(changed(direct, "it's \\another$$"), 'select 1 as one')).toEqual([{ one: 1 }])
  // What an old pod holds serves until the pod is replaced.
  expect((await open.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  await open.end()
  await provision()
  expect(await query(uri, 'select 1 as one')).toEqual([{ one: 1 }])
})

test('passwords of one’s own are given to the roles, and each pod puts its URL together of them', async () => {
  const names = Object.fromEntries(services.map((service) => [service, `own-${service}`]))
  const objects = await rendered({
    set: { 'global.postgres.existingSecrets': names, 'global.secrets.existing.postgres': 'own' },
  })
  const own: Record<string, Record<string, string>> = { own: { password: 'administrator' } }
  for (const service of services)
    own[`own-${service}`] = { password: `${service}-1`, 'migrator-password': `${service}-2` }
  await runProvisioning(provisioningOf(objects, own), postgres.adminUrl)
  const here = (url = ''): string => url.replace(/@[^/]+/, `@127.0.0.1:${postgres.port}`)
  for (const service of services) {
    const { DATABASE_URL } = environmentOf(objects, `shop-${service}`, own)
    const migration = workloads(objects).find(({ name }) => name.startsWith(`shop-${service}-migrate-`))
    const { MIGRATE_DATABASE_URL } = containerEnvironment(migration?.containers[0], own)
    for (const [url, role] of [
      [here(DATABASE_URL), service],
      [here(MIGRATE_DATABASE_URL), `${service}_migrator`],
    ] as const)
      expect(await query(url, 'select current_user as role')).toEqual([{ role }])
    expect(await refusalOf(uris[service]?.uri ?? '')).toBe('28P01')
  }
  await provision()
})
