import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Route, ServiceName } from '@saas/contracts'
import {
  Child,
  cloneDirectory,
  devstackDirectory,
  environmentOf,
  forgetPostgres,
  freePort,
  provisionOf,
  randomStackSecrets,
  startServers,
  type ServerAddresses,
  type Servers,
  type StackSecrets,
} from '@saas/devstack'
import { INTERNAL_TOKEN_HEADER, signInternalToken } from '@saas/http'
import { provisionService, runMigrations } from '@saas/state'
import { Client } from 'pg'
import type { WatchedProcesses } from './processor-time.ts'

/** What every service is told. */
export const PUBLIC_URL = 'http://localhost:8080'

/** A service as production runs it: a process of its own, on a database of its own, with the log in a file. */
export interface StageService extends AsyncDisposable {
  readonly url: string
  readonly opsUrl: string
  readonly child: Child
  readonly logFile: string
}

/** Whom a request is from, as auth would say it. */
export interface StageCaller {
  readonly userId: string
  readonly roles?: readonly ('customer' | 'manager' | 'admin')[]
}

/** What a load source needs to sign requests itself, in its own process. */
export interface SigningKey {
  readonly service: ServiceName
  /** Base64url. */
  readonly key: string
}

/**
 * The real servers, as safe against a crash as in production, and the services as processes. A benchmark has a stage of its
 * own, so nothing that another one left behind slows it down.
 */
export class Stage implements AsyncDisposable {
  readonly directory: string
  readonly servers: Servers
  readonly secrets: StackSecrets
  readonly #resources = new AsyncDisposableStack()
  readonly #clients = new Map<ServiceName, Promise<Client>>()
  readonly #services = new Map<string, StageService>()

  private constructor(directory: string, servers: Servers, secrets: StackSecrets) {
    this.directory = directory
    this.servers = servers
    this.secrets = secrets
  }

  static async start(): Promise<Stage> {
    const runs = join(devstackDirectory, 'bench')
    mkdirSync(runs, { recursive: true })
    const directory = mkdtempSync(join(runs, 'run-'))
    const secrets = randomStackSecrets()
    const servers = await startServers({ directory, secrets: secrets.servers })
    return new Stage(directory, servers, secrets)
  }

  /** Makes the service's database, as `pnpm dev` does. Done already, it does nothing. */
  async prepareDatabase(service: ServiceName): Promise<void> {
    await provisionService(this.servers.postgres.adminUrl, provisionOf(service, this.secrets))
    await runMigrations({
      service,
      directory: join(cloneDirectory, 'services', service, 'migrations'),
      url: this.#environment(service)['MIGRATE_DATABASE_URL'] ?? '',
      report: () => undefined,
    })
  }

  /**
   * Starts the service on its database and waits until it is ready. Another `program` gets the same environment, to be compared
   * with it. `BENCH_PROFILE=orders,products` writes CPU profiles of those into `.devstack/profiles` when they end.
   */
  async startService(
    service: ServiceName,
    other: {
      readonly name?: string
      readonly program?: string
      readonly environment?: Readonly<Record<string, string>>
    } = {},
  ): Promise<StageService> {
    await this.prepareDatabase(service)
    const name = other.name ?? service
    const directory = join(cloneDirectory, 'services', service)
    const ports = { listenPort: await freePort(), opsPort: await freePort() }
    const profile = (process.env['BENCH_PROFILE'] ?? '').split(',').includes(name)
    const logFile = join(this.directory, 'logs', `${name}.log`)
    const profiling = ['--cpu-prof', `--cpu-prof-dir=${join(devstackDirectory, 'profiles')}`]
    const child = await Child.start({
      name,
      command: process.execPath,
      arguments: [...(profile ? profiling : []), other.program ?? 'src/main.ts'],
      directory,
      environment: { NODE_ENV: 'production', ...this.#environment(service, ports), ...other.environment },
      logFile,
      isReady: async (signal) => (await fetch(`http://127.0.0.1:${ports.opsPort}/readyz`, { signal })).ok,
    })
    const running: StageService = {
      url: `http://127.0.0.1:${ports.listenPort}`,
      opsUrl: `http://127.0.0.1:${ports.opsPort}`,
      child,
      logFile,
      [Symbol.asyncDispose]: async () => {
        this.#services.delete(name)
        await child.stop()
      },
    }
    this.#services.set(name, this.#resources.use(running))
    return running
  }

  /** The processes whose CPU a measurement reports. */
  get processes(): WatchedProcesses {
    const { postgres, nats } = this.servers
    const children: [string, Child][] = [
      ...[...this.#services].map(([name, { child }]): [string, Child] => [name, child]),
      ['postgres', postgres.child],
      ['nats', nats.child],
    ]
    // One that was stopped is left out: number 0 would be the whole machine.
    return Object.fromEntries(children.flatMap(([name, { pid }]) => (pid === undefined ? [] : [[name, pid]])))
  }

  /** The superuser's URL of a service's database. */
  databaseUrl(service: ServiceName): string {
    const url = new URL(this.servers.postgres.adminUrl)
    url.pathname = `/${service}`
    return url.href
  }

  /** Runs SQL in a service's database as the superuser. */
  async query<Row = Record<string, unknown>>(
    service: ServiceName,
    text: string,
    values: readonly unknown[] = [],
  ): Promise<Row[]> {
    const client = await this.#client(service)
    return (await client.query(text, [...values])).rows as Row[]
  }

  /** One connection a database: making one for each question would take CPU from what is measured. */
  async #client(service: ServiceName): Promise<Client> {
    let connecting = this.#clients.get(service)
    if (connecting === undefined) {
      const client = new Client({ connectionString: this.databaseUrl(service), application_name: 'bench' })
      connecting = client.connect().then(() => client)
      this.#clients.set(service, connecting)
    }
    return await connecting
  }

  /** What a load source needs to make requests to this service that auth has allowed. */
  signingKey(service: ServiceName): SigningKey {
    return { service, key: this.secrets.internalTokenKeys[service] ?? '' }
  }

  /** Headers with which the edge would pass on this caller's request. */
  signedIn(route: Pick<Route, 'id' | 'service'>, caller: StageCaller): Record<string, string> {
    return signedHeaders(this.signingKey(route.service), route.id, caller)
  }

  /** Ends the services first, then the servers; their data goes too. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync()
    for (const client of this.#clients.values()) await (await client).end()
    await this.servers.stop()
    forgetPostgres(join(this.directory, 'postgres'))
    rmSync(this.directory, { recursive: true, force: true })
  }

  #environment(service: ServiceName, ports = { listenPort: 0, opsPort: 0 }): Record<string, string> {
    return environmentOf(service, { addresses: this.#addresses, secrets: this.secrets, ports, publicUrl: PUBLIC_URL })
  }

  get #addresses(): ServerAddresses {
    const { postgres, nats, objectStore, mailbox } = this.servers
    return {
      postgresUrl: postgres.adminUrl,
      natsUrl: nats.url,
      s3Endpoint: objectStore.endpoint,
      s3Region: objectStore.region,
      s3Bucket: objectStore.bucket,
      smtpUrl: mailbox.smtpUrl,
    }
  }
}

/** Signs as auth would. Runs in the load generator too: 3 µs a token. */
export function signedHeaders(
  { service, key }: SigningKey,
  routeId: string,
  caller: StageCaller,
): Record<string, string> {
  const claims = {
    audience: service,
    routeId,
    userId: caller.userId,
    roles: [...(caller.roles ?? ['customer'])],
    sessionId: caller.userId,
  }
  return { [INTERNAL_TOKEN_HEADER]: signInternalToken(claims, keyBytes(key), new Date()) }
}

/** The same bytes for the same text, because a key is prepared once. */
const keys = new Map<string, Uint8Array>()
function keyBytes(text: string): Uint8Array {
  const known = keys.get(text)
  if (known !== undefined) return known
  const bytes = Buffer.from(text, 'base64url')
  keys.set(text, bytes)
  return bytes
}
