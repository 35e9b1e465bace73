import { fileURLToPath } from 'node:url'
import { productsEvents, type ServiceName } from '@saas/contracts'
import { sql, State, type MessageOf } from '@saas/state'
import { v7 as uuidv7 } from 'uuid'
import { batchSize } from '../src/metrics.ts'
// By path and not by name: the package `testing` is built on this one, and packages may not depend on each other in a circle.
import {
  cloneDatabase,
  eventually,
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
  /** Instead of the database's own URL: through a proxy. */
  readonly databaseUrl?: string
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
        databaseUrl: options.databaseUrl ?? database.url,
        natsBrokerUrl: bus.urlFor(service),
        natsStreamReplicas: bus.children.length,
        connTimeoutSeconds: options.connTimeoutSeconds ?? 5,
      },
      { service, logger: log.logger, clock },
    ),
  )
  const owned = stack.move()
  return { state, database, clock, log, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

const insertOutbox = sql(
  'test.insert_product_event',
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

/** Consumes the events that `emit` writes and records each effect; `before` may refuse messages. */
export function recordEffects(
  { state }: Pick<TestState, 'state'>,
  before: (messages: readonly DeletedMessage[]) => void = () => undefined,
): void {
  state.bus.consume({
    durable: 'orders',
    events: [productsEvents.productDeleted],
    apply: async (tx, messages) => {
      before(messages)
      for (const { id, aggregateId, aggregateVersion } of messages) {
        await tx.query(insertEffect, [id, aggregateId, aggregateVersion])
      }
    },
  })
}

export type DeletedMessage = MessageOf<typeof productsEvents.productDeleted>

/** The ids of the messages that had an effect, in the order of the effects. */
export async function effectsIn({ database }: TestState): Promise<string[]> {
  const rows = await database.query<{ message_id: string }>('select message_id from effect order by id')
  return rows.map((row) => row.message_id)
}

/** What the stream holds, oldest first. */
export async function storedMessages(bus: TestBus): Promise<{ id: string; aggregateId: string; version: number }[]> {
  const manager = await bus.manager()
  const { state } = await manager.streams.info('messages')
  const stored = []
  for (let sequence = state.first_seq; sequence <= state.last_seq && state.messages > 0; sequence += 1) {
    const message = await manager.streams.getMessage('messages', { seq: sequence })
    if (message === null) continue
    const header = (name: string): string => message.header.get(name)
    stored.push({
      id: header('ce-id'),
      aggregateId: header('ce-subject'),
      version: Number(header('ce-aggregateversion')),
    })
  }
  return stored
}

/** Waits until every row of the outbox is on the stream. */
export async function outboxIsEmpty({ database }: TestState): Promise<void> {
  await eventually(async () => {
    const [row] = await database.query<{ count: string }>('select count(*) from outbox where published_at is null')
    return row?.count === '0'
  })
}

/** Writes so many versions of an aggregate, on from `from`, and returns their ids. */
export async function emitVersions(
  { state }: Pick<TestState, 'state'>,
  { aggregateId, from, count }: { aggregateId: string; from: number; count: number },
): Promise<string[]> {
  const ids: string[] = []
  for (let version = from; version < from + count; version += 1)
    ids.push(await emit({ state }, { aggregateId, version }))
  return ids
}

/** Makes the outbox forget what the stream has, as a crash does that takes back the marks. */
export async function forgetMarks({ database, state }: TestState): Promise<void> {
  await database.query('update outbox set published_at = null, stream_sequence = null')
  state.bus.nudge()
}

/** How often relays of this process took rows from an outbox. */
async function passes(): Promise<number> {
  const { values } = await batchSize.get()
  return values.find(({ labels, metricName }) => labels.kind === 'relay' && metricName?.endsWith('_count'))?.value ?? 0
}

/** What became of an aggregate of which the stream had the first half of the versions while their marks were lost. */
export interface Recognition {
  readonly ids: readonly string[]
  /** In the order of the stream. */
  readonly stored: readonly string[]
  /** In the order of the sequences that the outbox was marked with. */
  readonly marked: readonly string[]
  readonly passes: number
}

/** Writes `count` versions, lets the outbox forget that they were published, and writes as many again. */
export async function recognise(products: TestState, bus: TestBus, count: number): Promise<Recognition> {
  const aggregateId = uuidv7()
  const known = await emitVersions(products, { aggregateId, from: 1, count })
  products.state.bus.startRelay()
  await outboxIsEmpty(products)
  const ids = [...known, ...(await emitVersions(products, { aggregateId, from: count + 1, count }))]
  const before = await passes()
  await forgetMarks(products)
  await outboxIsEmpty(products)
  const stored = (await storedMessages(bus)).filter((message) => message.aggregateId === aggregateId)
  const rows = await products.database.query<{ id: string }>('select id from outbox order by stream_sequence')
  return {
    ids,
    stored: stored.map(({ id }) => id),
    marked: rows.map(({ id }) => id),
    passes: (await passes()) - before,
  }
}
