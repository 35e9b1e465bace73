import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { cloneDirectory } from '@saas/devstack'
import type { ServiceName } from '@saas/contracts'
import { provisionService, runMigrations, type ServiceProvision } from '@saas/state'
import { Client, escapeIdentifier } from 'pg'
import { eventually } from './eventually.ts'
import { sharedServers } from './servers.ts'

const LEAK_TIMEOUT_MS = 3_000
const PASSWORD = 'for-tests'

/** A database of a test's own, migrated and empty. Disposing drops it, and fails when somebody is still connected. */
export interface TestDatabase extends AsyncDisposable {
  readonly name: string
  /** As the service's role. */
  readonly url: string
  /** As the migrator's role. */
  readonly migrateUrl: string
  /** As the superuser. */
  readonly adminUrl: string
  /** Runs SQL as the superuser, to look at what is there or to put something there. */
  query<Row = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<Row[]>
}

/** Where to clone. */
export interface CloneOptions {
  /** Another Postgres than the run's own: one that the test may break. */
  readonly postgresUrl?: string
  /** Folder of migrations instead of the service's own; `null` for those of messages only. */
  readonly migrations?: string | null
}

/**
 * Clones a service's database from a template that is migrated once a run (a few ms a clone).
 */
export async function cloneDatabase(service: ServiceName, options: CloneOptions = {}): Promise<TestDatabase> {
  const postgresUrl = options.postgresUrl ?? sharedServers().postgresUrl
  const directory =
    options.migrations === undefined ? join(cloneDirectory, 'services', service, 'migrations') : options.migrations
  const template = await ensureTemplate(postgresUrl, service, directory)
  const provision = provisionOf(service)
  const name = `${service}_${randomBytes(6).toString('hex')}`
  await asAdministrator(postgresUrl, async (client) => {
    await client.query(
      // As files, which brings what the template's connections have learnt of the catalogue along; a clone by the write-ahead log learns it anew.
      `create database ${escapeIdentifier(name)} template ${escapeIdentifier(template)} strategy file_copy owner ${escapeIdentifier(provision.migratorRole)}`,
    )
  })
  const adminUrl = urlOf(postgresUrl, name)
  const kept = new KeptClient(adminUrl)
  return {
    name,
    url: urlOf(postgresUrl, name, provision.role),
    migrateUrl: urlOf(postgresUrl, name, provision.migratorRole),
    adminUrl,
    query: async <Row>(text: string, values: readonly unknown[] = []) =>
      await kept.use(async (client) => (await client.query(text, [...values])).rows as Row[]),
    [Symbol.asyncDispose]: async () => {
      await kept[Symbol.asyncDispose]()
      await dropUnlessUsed(postgresUrl, name)
    },
  }
}

function provisionOf(service: ServiceName): Omit<ServiceProvision, 'database'> {
  return {
    role: service,
    rolePassword: PASSWORD,
    migratorRole: `${service}_migrator`,
    migratorPassword: PASSWORD,
  }
}

const templates = new Map<string, Promise<string>>()

async function ensureTemplate(postgresUrl: string, service: ServiceName, directory: string | null): Promise<string> {
  const name = `saas_template_${service}_${hashOf([messagesDirectory, ...(directory === null ? [] : [directory])])}`
  const key = `${postgresUrl} ${name}`
  let making = templates.get(key)
  if (making === undefined) {
    making = makeTemplate(postgresUrl, name, service, directory)
    templates.set(key, making)
  }
  await making
  return name
}

/** Several test files may want it at once; the first one makes it, and the mark says that it is whole. */
async function makeTemplate(
  postgresUrl: string,
  name: string,
  service: ServiceName,
  directory: string | null,
): Promise<string> {
  return await withClient(postgresUrl, async (client) => {
    await client.query('select pg_advisory_lock(hashtext($1))', [`template ${service}`])
    const known = await client.query('select 1 from pg_database where datname = $1 and datistemplate', [name])
    if (known.rows.length > 0) return name
    await client.query(`drop database if exists ${escapeIdentifier(name)}`)
    const provision = { database: name, ...provisionOf(service) }
    await provisionService(postgresUrl, provision)
    await runMigrations({
      service,
      ...(directory === null ? {} : { directory }),
      url: urlOf(postgresUrl, name, provision.migratorRole),
      report: () => undefined,
    })
    await client.query(`alter database ${escapeIdentifier(name)} with is_template true`)
    return name
  })
}

const messagesDirectory = join(cloneDirectory, 'packages/state/migrations')

function hashOf(directories: readonly string[]): string {
  const hash = createHash('sha256')
  for (const directory of directories) {
    for (const file of readdirSync(directory).toSorted()) hash.update(file).update(readFileSync(join(directory, file)))
  }
  return hash.digest('hex').slice(0, 12)
}

async function dropUnlessUsed(postgresUrl: string, name: string): Promise<void> {
  const connections = async (): Promise<string[]> =>
    await asAdministrator(postgresUrl, async (client) => {
      const { rows } = await client.query<{ application_name: string }>(
        'select application_name from pg_stat_activity where datname = $1',
        [name],
      )
      return rows.map((row) => row.application_name)
    })
  let left: string[] = []
  await eventually(
    async () => {
      left = await connections()
      return left.length === 0
    },
    { timeoutMs: LEAK_TIMEOUT_MS },
  ).catch(() => undefined)
  await asAdministrator(postgresUrl, (client) =>
    client.query(`drop database if exists ${escapeIdentifier(name)} with (force)`),
  )
  if (left.length > 0) throw new Error(`Connections to ${name} were left open: ${left.join(', ')}`)
}

/**
 * A connection that stays for the next question: making one takes longer than most questions. Whoever asks while it is in use, or after it
 * broke, gets one of their own, so that no question waits for another.
 */
class KeptClient implements AsyncDisposable {
  readonly #url: string
  readonly #broken = new WeakSet<Client>()
  #idle: Client | undefined

  constructor(url: string) {
    this.#url = url
  }

  async use<T>(ask: (client: Client) => Promise<T>): Promise<T> {
    const idle = this.#idle
    this.#idle = undefined
    const client = idle ?? (await this.#connect())
    try {
      return await ask(client)
    } finally {
      if (this.#idle === undefined && !this.#broken.has(client)) this.#idle = client
      else await client.end()
    }
  }

  async #connect(): Promise<Client> {
    const client = new Client({ connectionString: this.#url, application_name: 'test' })
    const forget = (): void => {
      this.#broken.add(client)
      if (this.#idle === client) this.#idle = undefined
    }
    client.on('error', forget)
    client.on('end', forget)
    await client.connect()
    return client
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#idle?.end()
  }
}

let administrator: KeptClient | undefined

/** On a connection that stays for the next database. A Postgres of a test's own is asked anew each time: it may be killed. */
async function asAdministrator<T>(postgresUrl: string, ask: (client: Client) => Promise<T>): Promise<T> {
  if (postgresUrl !== sharedServers().postgresUrl) return await withClient(postgresUrl, ask)
  administrator ??= new KeptClient(postgresUrl)
  return await administrator.use(ask)
}

async function withClient<T>(url: string, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url, application_name: 'test' })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}

function urlOf(postgresUrl: string, database: string, role?: string): string {
  const url = new URL(postgresUrl)
  url.pathname = `/${database}`
  if (role !== undefined) {
    url.username = role
    url.password = PASSWORD
  }
  return url.href
}
