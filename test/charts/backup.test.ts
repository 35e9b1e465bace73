import { execFile } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import {
  cacheDirectory,
  cloneDirectory,
  postgresPrograms,
  psqlBinary,
  run,
  startPostgres,
  type PostgresProgram,
} from '@saas/devstack'
import { testObjectStore, testPostgres, type TestObjectStore, type TestPostgres } from '@saas/testing'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { rendered, type Rendered } from './helm.ts'
import { typeErrors } from './kubernetes-types.ts'
import { allowedCalls, containerEnvironment, heapsUnbounded, ofKind, secretValues, workloads } from './objects.ts'
import { fileOf, provisioningOf, runProvisioning } from './provisioning.ts'

const NOBODY = 65_534
const RUNS_AS_ROOT = process.getuid?.() === 0
const OTHER_SEED = 'another-seed-for-tests-that-is-long-enough-0123456789'
const backedUp = { 'postgres.backup': { enabled: true, keep: 2 } }

let objects: readonly Rendered[]
let postgres: TestPostgres
let store: TestObjectStore
let folder: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'saas-backup-'))
  chmodSync(folder, 0o755)
  ;[objects, postgres, store] = await Promise.all([rendered({ set: backedUp }), testPostgres(), testObjectStore()])
  await runProvisioning(provisioningOf(objects), postgres.adminUrl)
})

afterAll(async () => {
  await Promise.all([postgres[Symbol.asyncDispose](), store[Symbol.asyncDispose]()])
  rmSync(folder, { recursive: true, force: true })
})

interface Ended {
  readonly code: number
  readonly said: string
}

/** Runs a container of the chart as its pod would, but on this machine's servers. */
async function runContainer(
  from: readonly Rendered[],
  workload: string,
  container: string,
  changes: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const found = workloads(from)
    .find(({ name }) => name === workload)
    ?.containers.find(({ name }) => name === container)
  const { BACKUP_DATABASE_URL: url, ...environment } = containerEnvironment(found, secretValues(from))
  const [program = '', ...args] = found?.args ?? []
  return await promisify(execFile)(process.execPath, [join(cloneDirectory, 'services/auth', program), ...args], {
    env: {
      ...environment,
      ...(url === undefined
        ? {}
        : { BACKUP_DATABASE_URL: url.replace('shop-postgres:5432', `127.0.0.1:${postgres.port}`) }),
      S3_ENDPOINT: store.s3Endpoint,
      S3_BUCKET: store.s3Bucket,
      S3_ACCESS_KEY: store.s3AccessKey,
      S3_SECRET_KEY: store.s3SecretKey,
      BACKUP_PART_MEBIBYTES: '1',
      ...changes,
    },
  }).then(
    ({ stdout }) => ({ code: 0, said: stdout }),
    (error: Error & { code: number; stderr: string }) => ({ code: error.code, said: error.stderr }),
  )
}

async function query<Row>(adminUrl: string, database: string, text: string): Promise<Row[]> {
  const url = new URL(adminUrl)
  url.pathname = `/${database}`
  const client = new Client({ connectionString: url.href })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return (await client.query(text)).rows as Row[]
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** Counts in two databases in turn, first in orders, until it is told to stop. */
async function countInTurns(adminUrl: string, signal: AbortSignal): Promise<number> {
  const clients = ['orders', 'products'].map((database) => {
    const url = new URL(adminUrl)
    url.pathname = `/${database}`
    return new Client({ connectionString: url.href })
  })
  try {
    await Promise.all(clients.map((client) => client.connect()))
    for (let n = 1; ; n += 1) {
      for (const client of clients) await client.query('insert into counted values ($1)', [n])
      if (signal.aborted) return n
      // The copy needs the processor too.
      await delay(1)
    }
  } finally {
    await Promise.all(clients.map((client) => client.end()))
  }
}

/** Beside the data, because the user that Postgres runs as may not reach what was fetched into the clone. */
async function reachablePsql(directory: string): Promise<PostgresProgram> {
  const psql = await psqlBinary()
  const [folder = '', below] = psql.path.split('/usr/lib/postgresql/')
  if (!folder.startsWith(cacheDirectory) || below === undefined) return psql
  const copy = join(directory, 'psql')
  cpSync(folder, copy, { recursive: true, verbatimSymlinks: true })
  const moved = (text: string): string => text.replaceAll(folder, copy)
  const environment = Object.entries(psql.environment).map(([name, value]) => [name, moved(value)])
  return { path: moved(psql.path), environment: Object.fromEntries(environment) as Record<string, string> }
}

/** Starts a server on a data folder that was restored, as the pod does: the password first. */
async function startRestored(from: readonly Rendered[], directory: string) {
  const data = join(directory, 'data')
  const script = join(directory, 'set-password.sh')
  writeFileSync(script, fileOf(from, 'set-password.sh'))
  const psql = await reachablePsql(directory)
  if (RUNS_AS_ROOT) await run('chown', ['-R', `${NOBODY}:${NOBODY}`, directory])
  const setter = workloads(from)
    .find(({ name }) => name === 'shop-postgres')
    ?.containers.find(({ name }) => name === 'set-password')
  const { POSTGRES_PASSWORD: password = '' } = containerEnvironment(setter, secretValues(from))
  await run('sh', [script], {
    directory,
    environment: {
      ...psql.environment,
      POSTGRES_PASSWORD: password,
      PGDATA: data,
      TMPDIR: directory,
      PATH: [postgresPrograms(), join(psql.path, '..'), process.env['PATH']].join(':'),
    },
    ...(RUNS_AS_ROOT ? { userId: NOBODY } : {}),
  })
  writeFileSync(join(data, 'PG_VERSION.ready'), '')
  return await startPostgres({ directory, password, durable: false })
}

test('what was backed up under load comes back, all databases as they were at one moment', async () => {
  for (const database of ['orders', 'products']) {
    await query(
      postgres.adminUrl,
      database,
      `create table counted (n int primary key);
       create table filled as select n, md5(n::text) as text from generate_series(1, 20000) as n`,
    )
  }
  const stop = new AbortController()
  const counting = countInTurns(postgres.adminUrl, stop.signal)
  const { code, said } = await runContainer(objects, 'shop-postgres-backup', 'backup')
  stop.abort()
  const last = await counting
  expect([code, said]).toEqual([0, expect.stringMatching(/^\d{8}T\d{6}Z: whole, .* parts\n$/)])
  await query(postgres.adminUrl, 'orders', `insert into counted values (${last + 1})`)

  // Another cluster, whose Secrets are new.
  const set = { ...backedUp, 'postgres.restore.backup': 'latest' }
  const elsewhere = await rendered({ set, seed: OTHER_SEED })
  const directory = join(folder, 'restored')
  mkdirSync(directory, { mode: 0o755 })
  const target = { DATA_DIRECTORY: join(directory, 'data') }
  expect(await runContainer(elsewhere, 'shop-postgres', 'restore', target)).toEqual({
    code: 0,
    said: expect.stringMatching(/: restored, \d+ files of Postgres 18/),
  })
  {
    await using restored = await startRestored(elsewhere, directory)
    const seen = async (database: string): Promise<number> => {
      const [row] = await query<{ n: number }>(
        restored.adminUrl,
        database,
        'select coalesce(max(n), 0) as n from counted',
      )
      return row?.n ?? 0
    }
    const [orders, products] = [await seen('orders'), await seen('products')]
    expect(orders).toBeLessThanOrEqual(last)
    expect(products, 'products was never ahead, and at most one behind').toBeGreaterThanOrEqual(orders - 1)
    expect(products).toBeLessThanOrEqual(orders)
    for (const database of ['orders', 'products']) {
      const rows = await query(
        restored.adminUrl,
        database,
        'select count(*)::int as count, md5(string_agg(text, $$$$ order by n)) as sum from filled',
      )
      expect(rows).toEqual(
        await query(
          postgres.adminUrl,
          database,
          'select count(*)::int as count, md5(string_agg(text, $$$$ order by n)) as sum from filled',
        ),
      )
    }
    // The roles of the backup follow the Secrets of here.
    const provisioning = provisioningOf(elsewhere)
    await runProvisioning(provisioning, restored.adminUrl)
    const service = `postgres://orders:${provisioning.environment['PASSWORD_ORDERS']}@127.0.0.1:${restored.port}/orders`
    expect(await query(service, 'orders', 'select current_user as name')).toEqual([{ name: 'orders' }])
  }

  // A pod that starts again restores nothing again, and another wish does not overwrite.
  expect(await runContainer(elsewhere, 'shop-postgres', 'restore', target)).toEqual({
    code: 0,
    said: 'latest: restored before\n',
  })
  const refused = await runContainer(elsewhere, 'shop-postgres', 'restore', {
    ...target,
    RESTORE_BACKUP: '20200101T000000Z',
  })
  expect([refused.code, refused.said]).toEqual([1, expect.stringContaining('a restore overwrites none')])
})

test('a backup that cannot be made or found says why, and leaves no data folder', async () => {
  const backup = async (changes: Record<string, string>) =>
    await runContainer(objects, 'shop-postgres-backup', 'backup', changes)
  expect(await backup({ S3_SECRET_KEY: 'wrong' })).toEqual({
    code: 1,
    said: expect.stringMatching(
      /^The object store http:\S+ refuses the key for the bucket test-\S+ \(SignatureDoesNotMatch\)\.\n$/,
    ),
  })
  expect(await backup({ BACKUP_DATABASE_URL: `postgres://backup:wrong@127.0.0.1:${postgres.port}/postgres` })).toEqual({
    code: 1,
    said: expect.stringMatching(/gives backup no backup: password authentication failed/),
  })
  const restored = await rendered({ set: { ...backedUp, 'postgres.restore.backup': '20200101T000000Z' } })
  const directory = join(folder, 'none')
  const nothing = await runContainer(restored, 'shop-postgres', 'restore', { DATA_DIRECTORY: directory })
  expect([nothing.code, nothing.said]).toEqual([
    1,
    expect.stringMatching(/There is no whole backup 20200101T000000Z below shops\/shop-postgres\/; there are: \d{8}T/),
  ])
  expect(existsSync(directory)).toBe(false)
})

test('the pods that back up and restore are as restricted as the others, and reach Postgres and the store only', async () => {
  const restoring = await rendered({ set: { ...backedUp, 'postgres.restore.backup': 'latest' }, helm: 3 })
  expect(restoring.flatMap(typeErrors)).toEqual([])
  expect(heapsUnbounded(restoring)).toEqual([])
  const [job] = ofKind(objects, 'CronJob')
  expect(job?.['spec']).toMatchObject({ schedule: '17 3 * * *', timeZone: 'Etc/UTC', concurrencyPolicy: 'Forbid' })
  for (const { name, pod, containers } of workloads(restoring).filter(({ name }) => name.startsWith('shop-postgres'))) {
    expect(pod, name).toMatchObject({ automountServiceAccountToken: false, securityContext: { runAsNonRoot: true } })
    for (const { securityContext, resources } of containers) {
      expect(securityContext, name).toMatchObject({ readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } })
      expect(resources?.limits, name).toHaveProperty('memory')
    }
  }
  const of = (all: readonly Rendered[]) => allowedCalls(all).filter((call) => /^postgres(-backup)? →/.test(call))
  expect(of(objects)).toEqual(['postgres-backup → objectstore:9000', 'postgres-backup → postgres:5432'])
  expect(of(restoring)).toEqual(['postgres → objectstore:9000', ...of(objects)])
})
