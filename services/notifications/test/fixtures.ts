import { randomBytes } from 'node:crypto'
import { CompactEncrypt } from 'jose'
import { v7 as uuidv7 } from 'uuid'
import { authEvents, ordersEvents, type DataOf, type Event, type MailSecret, type ServiceName } from '@saas/contracts'
import { systemClock } from '@saas/config'
import { sql, State } from '@saas/state'
import {
  cloneDatabase,
  eventually,
  startService,
  testBus,
  testLog,
  type TestBus,
  type TestDatabase,
  type TestService,
} from '@saas/testing'
import { startNotifications, type NotificationsParts } from '../src/main.ts'
import { SmtpSink } from './smtp-sink.ts'

export const mailSecretKey = new Uint8Array(randomBytes(32))
const MINUTE_MS = 60_000
/** How much time `drain` lets pass while mails are due that a courier may be taking; far less than a lease. */
const TAKEN_WITHIN_MS = 5_000

const insertOutbox = sql(
  'test.insert_event',
  `insert into outbox (id, aggregate_type, aggregate_id, aggregate_version, subject, data)
   values ($1, $2, $3, $4, $5, $6::jsonb)`,
)

/** Publishes events as the services that own them do: through an outbox, a relay and their own broker user. */
class Publisher implements AsyncDisposable {
  readonly #bus: TestBus
  readonly #states = new Map<ServiceName, Promise<{ state: State; database: TestDatabase }>>()
  readonly #versions = new Map<string, number>()

  constructor(bus: TestBus) {
    this.#bus = bus
  }

  /** Returns the message's id. `data` may be anything, to see what becomes of nonsense. */
  async publish(
    event: Event,
    data: Readonly<Record<string, unknown>>,
    options: { version?: number; aggregateId?: string } = {},
  ): Promise<string> {
    const { state } = await this.#stateOf(event.publishedBy)
    const aggregateId = options.aggregateId ?? String(data[event.aggregate === 'order' ? 'orderId' : 'userId'])
    const version = options.version ?? (this.#versions.get(aggregateId) ?? 0) + 1
    this.#versions.set(aggregateId, version)
    const id = uuidv7()
    await state.database.write(insertOutbox, [
      id,
      event.aggregate,
      aggregateId,
      version,
      event.subject,
      JSON.stringify(data),
    ])
    state.bus.nudge()
    return id
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const started of this.#states.values()) {
      const { state, database } = await started
      await state[Symbol.asyncDispose]()
      await database[Symbol.asyncDispose]()
    }
  }

  async #stateOf(service: ServiceName): Promise<{ state: State; database: TestDatabase }> {
    let started = this.#states.get(service)
    if (started === undefined) {
      started = this.#start(service)
      this.#states.set(service, started)
    }
    return await started
  }

  async #start(service: ServiceName): Promise<{ state: State; database: TestDatabase }> {
    const database = await cloneDatabase(service, { migrations: null })
    const config = {
      databaseUrl: database.url,
      natsBrokerUrl: this.#bus.urlFor(service),
      natsStreamReplicas: 1,
      connTimeoutSeconds: 5,
    }
    const state = State.connect(config, { service, logger: testLog(service).logger, clock: systemClock })
    state.bus.startRelay()
    return { state, database }
  }
}

interface MailRow {
  readonly id: string
  readonly kind: string
  readonly status: string
  readonly email: string | null
  readonly secret: string | null
  readonly attempts: number
  readonly lease: string | null
  readonly last_error: string | null
  readonly due_at: Date
}

/** A notifications service with everything around it. */
export interface Shop extends AsyncDisposable {
  readonly notifications: TestService
  readonly smtp: SmtpSink
  readonly bus: TestBus
  readonly database: TestDatabase
  readonly publisher: Publisher
  readonly config: Readonly<Record<string, unknown>>
  rows(): Promise<MailRow[]>
  /** Another replica on the same database and bus, with the same clock. */
  replica(): Promise<TestService>
  /**
   * Lets so many milliseconds pass, or sets the clock. Not while a mail is held: a day that goes by between its acceptance and the
   * row that says so ends the lease, and it is sent again.
   */
  pass(time: number | string | Date): Promise<void>
  /** Lets time pass until nothing is due any more; never while a mail is being sent. */
  drain(stepMs?: number): Promise<void>
}

export async function startShop(
  options: {
    behave?: SmtpSink['behave']
    smtpUrls?: readonly string[]
    connTimeoutSeconds?: number
    quietHours?: string
    publicUrl?: string
    mailSecretKeyAccepted?: Uint8Array
    parts?: NotificationsParts
  } = {},
): Promise<Shop> {
  await using stack = new AsyncDisposableStack()
  const bus = stack.use(await testBus())
  const database = stack.use(await cloneDatabase('notifications'))
  const smtp = stack.use(await SmtpSink.start(options.behave === undefined ? {} : { behave: options.behave }))
  const publisher = stack.use(new Publisher(bus))
  const config = {
    mailSecretKey,
    mailSecretKeyAccepted: options.mailSecretKeyAccepted,
    smtpUrls: options.smtpUrls ?? [smtp.url],
    mailFrom: 'The Shop <shop@shop.example>',
    shopZone: 'Europe/Berlin',
    quietHours: options.quietHours ?? 'off',
    cartReminderHours: 24,
    ...(options.publicUrl === undefined ? {} : { publicUrl: options.publicUrl }),
    ...(options.connTimeoutSeconds === undefined ? {} : { connTimeoutSeconds: options.connTimeoutSeconds }),
  }
  const start: typeof startNotifications = async (configuration, context) =>
    await startNotifications(configuration, context, options.parts)
  const notifications = stack.use(await startService('notifications', start, { database, bus, config }))
  const rows = async (): Promise<MailRow[]> => await database.query<MailRow>('select * from mail order by id')
  const owned = stack.move()
  return {
    notifications,
    smtp,
    bus,
    database,
    publisher,
    config,
    rows,
    replica: async () =>
      await startService('notifications', start, { database, bus, config, clock: notifications.clock }),
    pass: async (time) => {
      await eventually(async () => (await rows()).every(({ lease }) => lease === null))
      if (typeof time === 'number') notifications.clock.advance(time)
      else notifications.clock.set(time)
    },
    drain: async (stepMs = 5 * MINUTE_MS) => {
      await eventually(async () => {
        const all = await rows()
        const due = all.filter(({ status }) => status === 'due')
        const now = notifications.clock.now()
        // What can be taken may have been taken since it was read: then only so little time may pass that its lease outlives it.
        const nextMs = due.some(({ due_at }) => due_at <= now) ? TAKEN_WITHIN_MS : stepMs
        if (due.some(({ lease }) => lease === null))
          notifications.clock.advance(due.some(({ lease }) => lease !== null) ? 0 : nextMs)
        return due.length === 0
      })
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** As auth seals what only a mail may say. */
export async function seal(secret: MailSecret, key: Uint8Array = mailSecretKey): Promise<string> {
  return await new CompactEncrypt(new TextEncoder().encode(JSON.stringify(secret)))
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
    .encrypt(key)
}

export function someUser(
  changes: Partial<DataOf<typeof authEvents.userChanged>> = {},
): DataOf<typeof authEvents.userChanged> {
  const userId = uuidv7()
  return {
    ...authEvents.userChanged.example,
    roles: ['customer'],
    userId,
    email: `${userId.slice(-12)}@example.com`,
    preferences: {},
    ...changes,
  }
}

export function someOrder(userId: string, changes: Partial<DataOf<typeof ordersEvents.orderConfirmed>> = {}) {
  return { ...ordersEvents.orderConfirmed.example, orderId: uuidv7(), userId, ...changes }
}

/** A request to verify an address, with its code. */
export async function someVerification(
  email: string,
  options: { expiresAt?: Date; code?: string; key?: Uint8Array } = {},
): Promise<DataOf<typeof authEvents.verificationRequested>> {
  const { code = '426913', expiresAt = new Date(Date.now() + 10 * MINUTE_MS), key } = options
  const secret = await seal({ code, link: 'http://localhost:8080/verify#token=live' }, key)
  return {
    ...authEvents.verificationRequested.example,
    userId: uuidv7(),
    email,
    secret,
    expiresAt: expiresAt.toISOString(),
  }
}
