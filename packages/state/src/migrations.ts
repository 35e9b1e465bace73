import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'
import { database, readConfig } from '@saas/config'
import type { ServiceName } from '@saas/contracts'
import { isNotYetThere, waitForSchema } from './schema-wait.ts'

const MESSAGES_DIRECTORY = fileURLToPath(new URL('../migrations', import.meta.url))
const MESSAGES_TABLE = 'messages_migration'
const SERVICE_TABLE = 'service_migration'
/** Held by whoever migrates a database; provisioning waits for it. */
export const MIGRATION_LOCK = 0x6d696772
const CONNECT_TIMEOUT_MS = 10_000
const WAIT_MAX_MS = 300_000
const WAIT_STEP_MS = 500
/** A migration that cannot get its lock fails and is run again, instead of making every request queue behind it. */
const LOCK_TIMEOUT_MS = 5_000

/** Which migrations to run and where. */
export interface MigrationOptions {
  readonly service: ServiceName
  /** Folder of numbered SQL files: forward only, never edited once landed. Left out, only messages are migrated. */
  readonly directory?: string
  /** Wait up to five minutes for Postgres to be reachable and the role to be there. Default: whether `--wait` was given to the program. */
  readonly wait?: boolean
  /** The migrator role's URL. Default: MIGRATE_DATABASE_URL. */
  readonly url?: string
  /** Gets a line for each migration that was run. Default: standard output. */
  readonly report?: (line: string) => void
}

/**
 * Brings a service's database up to date: first the tables of messages, which all services share, then its own. Several
 * may start at once: one runs them, the others wait for it. Each migration is a transaction of its own, so that the lock one takes on a table
 * is not kept while the next one reads all of it; those before one that fails stay.
 *
 * With `--wait-for-schema` the program changes nothing: as the service role (DATABASE_URL) it waits until somebody else has
 * run all of them.
 */
export async function runMigrations(options: MigrationOptions): Promise<void> {
  const { service, directory, report = (line) => process.stdout.write(`${line}\n`) } = options
  if (options.url === undefined && process.argv.includes('--wait-for-schema')) {
    await waitForSchema([
      { table: MESSAGES_TABLE, directory: MESSAGES_DIRECTORY },
      ...(directory === undefined ? [] : [{ table: SERVICE_TABLE, directory }]),
    ])
    return report(`${service}: the schema is there`)
  }
  const url = options.url ?? readConfig({ url: database.migrateDatabaseUrl }).url
  const client = await connect(url, options.wait ?? process.argv.includes('--wait'))
  try {
    // Waits for whoever migrates now, however long that takes. It goes with the connection.
    await client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK])
    await client.query(`set lock_timeout = ${LOCK_TIMEOUT_MS}`)
    const run = [
      ...(await migrate(client, MESSAGES_DIRECTORY, MESSAGES_TABLE)),
      ...(directory === undefined ? [] : await migrate(client, directory, SERVICE_TABLE)),
    ]
    for (const name of run) report(`${service}: migrated ${name}`)
    if (run.length === 0) report(`${service}: nothing to migrate`)
  } finally {
    await client.end()
  }
}

async function migrate(client: Client, directory: string, migrationsTable: string): Promise<string[]> {
  const silent = (): void => undefined
  // Loaded here, because every service imports this package and only `migrate.ts` migrates.
  const { runner } = await import('node-pg-migrate')
  const run = await runner({
    dbClient: client,
    dir: directory,
    migrationsTable,
    direction: 'up',
    singleTransaction: false,
    checkOrder: true,
    noLock: true,
    logger: { info: silent, warn: silent, error: silent, debug: silent },
  })
  return run.map(({ name }) => name)
}

async function connect(url: string, wait: boolean): Promise<Client> {
  const deadline = performance.now() + WAIT_MAX_MS
  for (;;) {
    const client = new Client({
      connectionString: url,
      application_name: 'migrate',
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    })
    client.on('error', () => undefined)
    try {
      await client.connect()
      return client
    } catch (error) {
      if (!wait || !isNotYetThere(error) || performance.now() > deadline) throw error
      await delay(WAIT_STEP_MS)
    }
  }
}
