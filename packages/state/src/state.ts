import type { Logger } from 'pino'
import type { Metric, Registry } from 'prom-client'
import type { Clock } from '@saas/config'
import type { ServiceName } from '@saas/contracts'
import type { Tracing } from '@saas/tracing'
import { Bus } from './bus.ts'
import { Database } from './database.ts'
import { countDeadLetters, exposeLag } from './lag-metrics.ts'
import { stateMetrics } from './metrics.ts'
import { ObjectStore } from './object-store.ts'

/** What `State.connect` reads: the groups `common`, `database`, `bus` and, where there is one, `objectStore` of config. */
export interface StateConfig {
  readonly databaseUrl: string
  readonly natsBrokerUrl: string
  readonly natsStreamReplicas: number
  readonly connTimeoutSeconds: number
  readonly s3Endpoint?: string
  readonly s3Region?: string
  readonly s3Bucket?: string
  readonly s3AccessKey?: string
  readonly s3SecretKey?: string
}

/** Who holds the state. */
export interface StateContext {
  readonly service: ServiceName
  readonly logger: Logger
  readonly clock: Clock
  readonly tracing?: Tracing | undefined
}

/**
 * What a service holds while it runs: its database, the bus and, where it has one, the object store.
 *
 * Connecting never fails and nothing waits for it: what is down is tried again for ever, `checks` say what is
 * missing, and calls fail with a 503 problem until it is there. Disposing ends the consumers and the relay first,
 * then the connections.
 */
export class State implements AsyncDisposable {
  readonly database: Database
  readonly bus: Bus
  /**
   * One check a dependency, for `/readyz`: rejects while it is not usable. That of the bus only until it was there once: a replica that was
   * told a wrong address must not take the place of one that works, and one that works answers requests without it.
   */
  readonly checks: Readonly<Record<string, () => Promise<void>>>
  /** Of what requests do not wait for: the bus, pictures. */
  readonly optionalChecks: Readonly<Record<string, () => Promise<void>>>
  readonly #service: string
  readonly #objects: ObjectStore | undefined

  private constructor(service: string, database: Database, bus: Bus, objects: ObjectStore | undefined) {
    this.#service = service
    this.database = database
    this.bus = bus
    this.#objects = objects
    let hadBus = false
    this.checks = {
      database: () => database.check(),
      bus: async () => {
        if (!hadBus) await bus.check()
        hadBus = true
      },
    }
    this.optionalChecks = {
      bus: () => bus.check(),
      ...(objects === undefined ? {} : { objects: () => objects.check() }),
    }
  }

  /** Starts connecting to everything the configuration names. */
  static connect(config: StateConfig, { service, logger, clock, tracing }: StateContext): State {
    const timeoutMs = config.connTimeoutSeconds * 1_000
    const database = new Database({ url: config.databaseUrl, service, timeoutMs, logger })
    const bus = new Bus({
      url: config.natsBrokerUrl,
      streamReplicas: config.natsStreamReplicas,
      service,
      timeoutMs,
      database,
      logger,
      clock,
      tracing,
    })
    return new State(service, database, bus, objectStoreOf(config, timeoutMs))
  }

  /** Adds what this package counts to a service's own metrics (`app.metrics`), so that its `/metrics` shows both. */
  exposeMetrics(registry: Registry): void {
    for (const metric of stateMetrics.getMetricsAsArray()) registry.registerMetric(metric as unknown as Metric)
    exposeLag(registry, {
      service: this.#service,
      outboxPending: () => this.bus.outboxPending(),
      kept: () => this.bus.kept(),
      behind: () => this.bus.behind(),
      deadLetters: async () => (await this.database.read(countDeadLetters))[0]?.count ?? 0,
    })
  }

  /** The object store. @throws {Error} in a service whose configuration names none. */
  get objects(): ObjectStore {
    if (this.#objects === undefined) throw new Error('This service has no object store configured')
    return this.#objects
  }

  /** While the program stops nobody waits long for a database that answers nobody: see `Database.hurry`. */
  hurryWhen(stopping: AbortSignal): void {
    stopping.addEventListener('abort', () => this.database.hurry(), { once: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bus[Symbol.asyncDispose]()
    await this.database[Symbol.asyncDispose]()
  }
}

function objectStoreOf(config: StateConfig, timeoutMs: number): ObjectStore | undefined {
  const { s3Endpoint, s3Region, s3Bucket, s3AccessKey, s3SecretKey } = config
  if (
    s3Endpoint === undefined ||
    s3Region === undefined ||
    s3Bucket === undefined ||
    s3AccessKey === undefined ||
    s3SecretKey === undefined
  ) {
    return undefined
  }
  return new ObjectStore({
    endpoint: s3Endpoint,
    region: s3Region,
    bucket: s3Bucket,
    accessKey: s3AccessKey,
    secretKey: s3SecretKey,
    timeoutMs,
  })
}
