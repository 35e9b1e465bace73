import type { Clock } from '@saas/config'
import { fillPath, type BodyOf, type ParamsOf, type QueryOf, type Route, type ServiceName } from '@saas/contracts'
import type { RunningService, ServiceContext } from '@saas/http'
import { testBus, type TestBus } from './bus.ts'
import { cloneDatabase, type TestDatabase } from './database.ts'
import { FakeClock } from './fake-clock.ts'
import { internalTokenKey, signedIn, type Caller } from './identity.ts'
import { testLog, type TestLog } from './log.ts'
import { testObjectStore, type TestObjectStore } from './object-store.ts'

const CONN_TIMEOUT_SECONDS = 5

/** The part of every service's configuration that follows from where its test runs. */
export interface TestConfig {
  readonly listenPort: 0
  readonly opsPort: 0
  readonly listenHost: '127.0.0.1'
  readonly publicUrl: string
  readonly logLevel: 'info'
  readonly connTimeoutSeconds: number
  readonly databaseUrl: string
  readonly migrateDatabaseUrl: string
  readonly natsBrokerUrl: string
  readonly natsStreamReplicas: 1
  readonly internalTokenKeys: readonly Uint8Array[]
  readonly s3Endpoint: string
  readonly s3Region: string
  readonly s3Bucket: string
  readonly s3AccessKey: string
  readonly s3SecretKey: string
}

/** Parts of a service that a test brings itself; it then disposes of them itself. */
export interface ServiceParts<C> {
  readonly database?: TestDatabase
  readonly bus?: TestBus
  readonly objects?: TestObjectStore
  readonly clock?: Clock
  /** What is special to the service, and whatever is to differ. */
  readonly config?: Omit<C, keyof TestConfig> | Partial<C>
}

/** A call of a contract route. */
export interface CallOptions<R extends Route> {
  readonly params?: ParamsOf<R>
  readonly query?: QueryOf<R>
  readonly body?: BodyOf<R>
  readonly headers?: Readonly<Record<string, string>>
  /** Who calls; left out, nobody is signed in. */
  readonly as?: Caller
}

/** An answer with its JSON parsed. */
export interface CallAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  // oxlint-disable-next-line typescript/no-explicit-any -- a test looks at the answer's fields as it pleases
  readonly body: any
}

/** A service that runs, on a database and a bus of its own. */
export interface TestService extends AsyncDisposable {
  readonly app: RunningService['app']
  readonly url: string
  readonly opsUrl: string
  readonly database: TestDatabase
  readonly bus: TestBus
  readonly objects: TestObjectStore
  readonly clock: FakeClock
  readonly log: TestLog
  /** Calls a route of the contract as the edge would after it asked auth. */
  call<R extends Route>(route: R, options?: CallOptions<R>): Promise<CallAnswer>
  /** Stops the service and starts another on the same parts. */
  restart(): Promise<void>
}

/**
 * Starts a service on a clone of its database, a bus, a bucket and a fake clock of its own.
 *
 *     await using orders = await startService('orders', startOrders, { config: { … } })
 *     const answer = await orders.call(ordersRoutes.placeOrder, { body: {}, as: { userId } })
 */
export async function startService<C>(
  service: ServiceName,
  start: (config: C, context: ServiceContext) => Promise<RunningService>,
  parts: ServiceParts<C> = {},
): Promise<TestService> {
  await using stack = new AsyncDisposableStack()
  const database = parts.database ?? stack.use(await cloneDatabase(service))
  const bus = parts.bus ?? stack.use(await testBus())
  const objects = parts.objects ?? stack.use(await testObjectStore())
  const clock = (parts.clock ?? new FakeClock(new Date())) as FakeClock
  const log = testLog(service)
  const config = { ...testConfig(service, { database, bus, objects }), ...parts.config } as C
  let running = await start(config, { logger: log.logger, clock })
  stack.defer(async () => {
    await running[Symbol.asyncDispose]()
  })
  const owned = stack.move()
  return {
    get app() {
      return running.app
    },
    get url() {
      return running.url
    },
    get opsUrl() {
      return running.opsUrl
    },
    database,
    bus,
    objects,
    clock,
    log,
    call: async (route, options = {}) => await call(running.app, route, options, clock),
    restart: async () => {
      await running[Symbol.asyncDispose]()
      running = await start(config, { logger: log.logger, clock })
    },
    [Symbol.asyncDispose]: async () => {
      await owned.disposeAsync()
    },
  }
}

/** What `startService` gives a service, for tests that start it themselves. */
export function testConfig(
  service: ServiceName,
  { database, bus, objects }: { database: TestDatabase; bus: TestBus; objects: TestObjectStore },
): TestConfig {
  const { s3Endpoint, s3Region, s3Bucket, s3AccessKey, s3SecretKey } = objects
  return {
    listenPort: 0,
    opsPort: 0,
    listenHost: '127.0.0.1',
    publicUrl: 'http://localhost:8080',
    logLevel: 'info',
    connTimeoutSeconds: CONN_TIMEOUT_SECONDS,
    databaseUrl: database.url,
    migrateDatabaseUrl: database.migrateUrl,
    natsBrokerUrl: bus.urlFor(service),
    natsStreamReplicas: 1,
    internalTokenKeys: [internalTokenKey(service)],
    s3Endpoint,
    s3Region,
    s3Bucket,
    s3AccessKey,
    s3SecretKey,
  }
}

async function call<R extends Route>(
  app: RunningService['app'],
  route: R,
  options: CallOptions<R>,
  clock: Clock,
): Promise<CallAnswer> {
  const path = fillPath(route.path, (options.params ?? {}) as Record<string, string>)
  const search = new URLSearchParams((options.query ?? {}) as Record<string, string>).toString()
  const token = options.as === undefined ? {} : signedIn(route, { now: clock.now(), ...options.as })
  const response = await app.inject({
    method: route.method,
    url: search === '' ? path : `${path}?${search}`,
    headers: { ...token, ...options.headers },
    ...(options.body === undefined ? {} : { payload: options.body as object }),
  })
  const headers = Object.fromEntries(Object.entries(response.headers).map(([name, value]) => [name, String(value)]))
  const isJson = /\bjson\b/.test(headers['content-type'] ?? '')
  return { status: response.statusCode, headers, body: isJson ? JSON.parse(response.body) : response.body }
}
