import { fileURLToPath } from 'node:url'
import { productsEvents, type ServiceName } from '@saas/contracts'
import { sql, State } from '@saas/state'
import { v7 as uuidv7 } from 'uuid'
// By path and not by name: the package `testing` is built on this one, and packages may not depend on each other in a circle.
import {
  cloneDatabase,
  FakeClock,
  testLog,
  type TestBus,
  type TestDatabase,
  type TestLog,
} from '../../testing/src/index.ts'

export * from '../../testing/src/index.ts'

const migrations = fileURLToPath(new URL('./migrations', import.meta.url))

/** The state of one service, on a database of its own. */
export interface TestState extends AsyncDisposable {
  readonly state: State
  readonly database: TestDatabase
  readonly clock: FakeClock
  readonly log: TestLog
}

export interface TestStateOptions {
  readonly postgresUrl?: string
  readonly database?: TestDatabase
  readonly connTimeoutSeconds?: number
}

/** Connects a service's state. A second one on the same `database` is a second replica. */
export async function connectState(
  service: ServiceName,
  bus: TestBus,
  options: TestStateOptions = {},
): Promise<TestState> {
  await using stack = new AsyncDisposableStack()
  const database =
    options.database ??
    stack.use(
      await cloneDatabase(service, {
        migrations,
        ...(options.postgresUrl === undefined ? {} : { postgresUrl: options.postgresUrl }),
      }),
    )
  const clock = new FakeClock(new Date())
  const log = testLog(service)
  const state = stack.use(
    State.connect(
      {
        databaseUrl: database.url,
        natsBrokerUrl: bus.urlFor(service),
        natsStreamReplicas: 1,
        connTimeoutSeconds: options.connTimeoutSeconds ?? 5,
      },
      { service, logger: log.logger, clock },
    ),
  )
  const owned = stack.move()
  return { state, database, clock, log, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

const insertOutbox = sql(
  'test.insert_outbox',
  `insert into outbox (id, aggregate_type, aggregate_id, aggregate_version, subject, data)
   values ($1, 'product', $2, $3, $4, $5::jsonb)`,
)

/** Writes one event of products to the outbox and returns its id. */
export async function emit(
  { state }: Pick<TestState, 'state'>,
  { aggregateId = uuidv7(), version = 1, data }: { aggregateId?: string; version?: number; data?: unknown } = {},
): Promise<string> {
  const id = uuidv7()
  const { subject, example } = productsEvents.productDeleted
  await state.database.write(insertOutbox, [id, aggregateId, version, subject, JSON.stringify(data ?? example)])
  return id
}

/** Records the effect of a message, the way a consumer's `apply` would. */
export const insertEffect = sql(
  'test.insert_effect',
  'insert into effect (message_id, aggregate_id, aggregate_version) values ($1, $2, $3)',
)
