import { needs } from '@saas/contracts'
import { freePort, startObjectStore, type Child, type ObjectStoreServer } from '@saas/devstack'
import {
  cloneDatabase,
  eventually,
  sharedServers,
  testBus,
  testPostgres,
  testProxy,
  type TestBus,
  type TestDatabase,
  type TestPostgres,
  type TestProxy,
} from '@saas/testing'
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { startEdge, type Edge } from '../../edge/edge.ts'
import type { Queryable } from '../checkers/evidence.ts'
import { MailServer } from './mail-server.ts'
import type { Mutation } from './mutation.ts'
import { Reader } from './reader.ts'
import { startServiceChild, type ServiceChild, type StatefulService } from './service-child.ts'

/** Everything that can be killed. */
export type Victim = StatefulService | 'nginx' | 'Postgres' | 'NATS' | 'object store' | 'mail server'

export interface StackOptions {
  readonly services: readonly StatefulService[]
  /** Replicas of each service; one unless told otherwise. */
  readonly replicas?: Readonly<Partial<Record<StatefulService, number>>>
  /** Puts nginx in front. */
  readonly withEdge?: boolean
  /** Puts a proxy between each service and Postgres, and each service and NATS. */
  readonly isWired?: boolean
  /** What a service's environment has besides; the folder is the stack's own. */
  readonly environment?: (service: StatefulService, directory: string) => Readonly<Record<string, string>>
  readonly mutations?: readonly Mutation[]
  readonly preloads?: readonly string[]
}

/** The wires of one service; each can be cut, held or made to lose answers. */
export interface Wires {
  readonly Postgres: TestProxy
  readonly NATS: TestProxy
}

/** The real services as processes over real servers of their own, every one of which may be killed and comes back. */
export class Stack implements AsyncDisposable {
  readonly #resources = new AsyncDisposableStack()
  readonly #databases = new Map<StatefulService, TestDatabase>()
  readonly #queryables = new Map<StatefulService, Queryable>()
  readonly #replicas = new Map<StatefulService, ServiceChild[]>()
  readonly #wires = new Map<StatefulService, Wires>()
  readonly #restarting = new Map<Child, Promise<void>>()
  readonly postgres: TestPostgres
  readonly bus: TestBus
  #objects: ObjectStoreServer | undefined
  #mail: MailServer | undefined
  #edge: Edge | undefined
  /** Who listens to logs of services finds them here. */
  readonly directory = mkdtempSync(join(sharedServers().directory, 'stack-'))

  private constructor(postgres: TestPostgres, bus: TestBus) {
    this.postgres = this.#resources.use(postgres)
    this.bus = this.#resources.use(bus)
  }

  static async start(options: StackOptions): Promise<Stack> {
    const [postgres, bus] = await Promise.all([testPostgres(), testBus()])
    const stack = new Stack(postgres, bus)
    try {
      await stack.#startAll(options)
      return stack
    } catch (error) {
      await stack[Symbol.asyncDispose]()
      throw error
    }
  }

  database(service: StatefulService): TestDatabase {
    return found(this.#databases.get(service), service)
  }

  replicas(service: StatefulService): readonly ServiceChild[] {
    return found(this.#replicas.get(service), service)
  }

  wires(service: StatefulService): Wires {
    return found(this.#wires.get(service), service)
  }

  /** Every database, by its service, on connections that are kept. */
  get databases(): Readonly<Partial<Record<StatefulService, Queryable>>> {
    return Object.fromEntries(this.#queryables)
  }

  get hasMail(): boolean {
    return this.#mail !== undefined
  }

  get mail(): MailServer {
    return found(this.#mail, 'mail server')
  }

  get edge(): Edge {
    return found(this.#edge, 'edge')
  }

  /** The process of a victim; of a service with several replicas the one with this number. */
  child(victim: Victim, number = 0): Child {
    if (victim === 'Postgres') return this.postgres.child
    if (victim === 'NATS') return this.bus.child
    if (victim === 'nginx') return this.edge.nginx.child
    if (victim === 'object store') return found(this.#objects, victim).child
    if (victim === 'mail server') return this.mail.child
    return found(this.replicas(victim)[number], victim).child
  }

  /** Ends the part, with whatever it started, as a power cut would. */
  async kill(victim: Victim, number = 0): Promise<void> {
    const child = this.child(victim, number)
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    await child.ended()
  }

  /** Starts a part that is dead; whoever else is about to start it, it is started once. */
  async restart(victim: Victim, number = 0): Promise<void> {
    const child = this.child(victim, number)
    const before = this.#restarting.get(child) ?? Promise.resolve()
    const start = async (): Promise<void> => {
      await before
      // Postgres refuses to start until the last orphan of the killed one is gone.
      if (child.pid === undefined) await eventually(() => child.restart())
    }
    const restarting = start()
    this.#restarting.set(
      child,
      restarting.catch(() => undefined),
    )
    await restarting
  }

  async killAndRestart(victim: Victim): Promise<void> {
    await this.kill(victim)
    await this.restart(victim)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync()
  }

  async #startAll(options: StackOptions): Promise<void> {
    const { services, withEdge = false } = options
    const edgePort = await freePort()
    const publicUrl = `http://localhost:${edgePort}`
    for (const service of services) {
      const database = await cloneDatabase(service, { postgresUrl: this.postgres.adminUrl })
      this.#databases.set(service, database)
      this.#queryables.set(service, this.#resources.use(new Reader(database.adminUrl)))
    }
    const [s3, smtp] = await Promise.all([
      services.some((service) => needs[service].objectStore) ? this.#startObjectStore() : {},
      services.includes('notifications') ? this.#startMailServer() : {},
    ])
    const common = { ...s3, ...smtp }
    await Promise.all(services.map((service) => this.#startService(service, options, publicUrl, common)))
    if (!withEdge) return
    const nowhere = [`127.0.0.1:${await freePort()}`]
    const at = (service: StatefulService): string[] =>
      this.#replicas.get(service)?.map(({ url }) => new URL(url).host) ?? nowhere
    const upstreams = {
      auth: at('auth'),
      products: at('products'),
      orders: at('orders'),
      notifications: at('notifications'),
      frontend: nowhere,
    }
    this.#edge = this.#resources.use(await startEdge(edgePort, { publicUrl, upstreams }))
  }

  async #startService(
    service: StatefulService,
    { replicas, isWired = false, environment = () => ({}), mutations = [], preloads = [] }: StackOptions,
    publicUrl: string,
    common: Readonly<Record<string, string>>,
  ): Promise<void> {
    const database = this.database(service)
    let urls = { databaseUrl: database.url, natsBrokerUrl: this.bus.urlFor(service) }
    if (isWired) {
      const wires = { Postgres: await testProxy(urls.databaseUrl), NATS: await testProxy(urls.natsBrokerUrl) }
      this.#wires.set(service, wires)
      for (const wire of Object.values(wires)) this.#resources.use(wire)
      urls = { databaseUrl: wires.Postgres.url, natsBrokerUrl: wires.NATS.url }
    }
    const parts = {
      ...urls,
      migrateDatabaseUrl: database.migrateUrl,
      publicUrl,
      logDirectory: this.directory,
      environment: { ...common, ...environment(service, this.directory) },
      preloads,
      // Of the messages' package, or of the service's own source.
      mutations: mutations.filter(
        ({ file }) => !file.startsWith('services/') || file.startsWith(`services/${service}/`),
      ),
    }
    const count = replicas?.[service] ?? 1
    const children = await Promise.all(Array.from({ length: count }, () => startServiceChild(service, parts)))
    for (const { child } of children) this.#resources.use(child)
    this.#replicas.set(service, children)
  }

  async #startObjectStore(): Promise<Record<string, string>> {
    const [accessKey, secretKey, bucket] = ['access-for-tests', 'secret-for-tests', 'pictures']
    const server = await startObjectStore({ directory: join(this.directory, 'objects'), accessKey, secretKey, bucket })
    this.#objects = this.#resources.use(server)
    return {
      S3_ENDPOINT: server.endpoint,
      S3_REGION: server.region,
      S3_BUCKET: bucket,
      S3_ACCESS_KEY: accessKey,
      S3_SECRET_KEY: secretKey,
    }
  }

  async #startMailServer(): Promise<Record<string, string>> {
    this.#mail = this.#resources.use(await MailServer.start(join(this.directory, 'mail')))
    return { SMTP_URL: this.#mail.smtpUrl, MAIL_FROM: 'The shop <shop@example.com>' }
  }
}

function found<T>(part: T | undefined, name: string): T {
  if (part === undefined) throw new Error(`This stack has no ${name}`)
  return part
}
