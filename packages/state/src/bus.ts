import type { NatsConnection } from '@nats-io/transport-node'
import type { Logger } from 'pino'
import type { Clock } from '@saas/config'
import { OUTBOX_ROWS_COUNTED_MAX, type Event, type Lag, type ServiceName } from '@saas/contracts'
import type { Tracing } from '@saas/tracing'
import { Adoption } from './adoption.ts'
import { Broker } from './broker.ts'
import { decode } from './codec.ts'
import { Consumer, type ConsumeOptions } from './consumer.ts'
import type { Database } from './database.ts'
import { DeadLetters } from './dead-letters.ts'
import { DependencyUnavailable, Unprocessable } from './errors.ts'
import type { MessageOf } from './message.ts'
import { Pruner, type Pruned } from './pruner.ts'
import { Relay } from './relay.ts'
import { countKept } from './republication.ts'
import { sql } from './statement.ts'
import { STREAM, Stream } from './stream.ts'

export type { ConsumeOptions } from './consumer.ts'

/** What a bus is reached with. */
export interface BusOptions {
  /** User and password inside. */
  readonly url: string
  readonly streamReplicas: number
  readonly service: ServiceName
  readonly timeoutMs: number
  readonly database: Database
  readonly logger: Logger
  readonly clock: Clock
  readonly tracing: Tracing | undefined
}

/** A plain subscription; disposing ends it. */
export type Subscription = Disposable

const countPending = sql<{ pending: number }>(
  'state.count_pending',
  `select count(*) as pending
   from (
     select
     from outbox
     where published_at is null
     limit ${OUTBOX_ROWS_COUNTED_MAX + 1}
   ) waiting`,
)

/**
 * The messages of a service: its outbox goes to the stream, its consumers apply what comes. Postgres is the truth: what
 * NATS loses is published again from the outbox, and what it delivers twice is applied once.
 */
export class Bus implements AsyncDisposable {
  readonly #options: BusOptions
  readonly #broker: Broker
  readonly #stream: Stream
  readonly #relay: Relay
  readonly #pruner: Pruner
  readonly #consumers = new Map<string, Consumer>()
  readonly #adoption: Adoption
  /** Messages that could not be applied, and how to end them. */
  readonly deadLetters: DeadLetters

  constructor(options: BusOptions) {
    this.#options = options
    const { database, logger, service, clock, streamReplicas, tracing } = options
    this.#broker = new Broker(options)
    this.#stream = new Stream(this.#broker, streamReplicas)
    this.#relay = new Relay({ database, broker: this.#broker, stream: this.#stream, logger, service, tracing })
    this.#pruner = new Pruner({ database, logger, clock })
    this.deadLetters = new DeadLetters(database, (durable) => this.#consumers.get(durable))
    this.#adoption = new Adoption(this.deadLetters, logger)
  }

  /** Starts publishing the outbox, and deleting rows of outbox and inbox and dead letters that are past their retention. */
  startRelay(): void {
    this.#relay.start()
    this.#pruner.start()
  }

  /** Says that rows were just written to the outbox; without it they leave at the next poll, within 200 ms. */
  nudge(): void {
    this.#relay.nudge()
  }

  /**
   * Starts applying events: batches of at most 256 in one transaction together with their inbox rows, so that each message has
   * one effect. Those of one aggregate (or one `keyOf`) are applied one after the other. A batch that fails is tried again one by one.
   */
  consume<const E extends Event>(options: ConsumeOptions<E>): Consumer {
    if (this.#consumers.has(options.durable)) throw new Error(`There is a consumer ${options.durable} already`)
    const { database, logger, service, tracing } = this.#options
    const consumer = new Consumer(options as unknown as ConsumeOptions<Event>, {
      database,
      broker: this.#broker,
      stream: this.#stream,
      logger,
      service,
      tracing,
      onCommit: () => this.#relay.nudge(),
    })
    this.#consumers.set(options.durable, consumer)
    consumer.start()
    this.#adoption.watch(consumer)
    return consumer
  }

  /**
   * Calls the listener with each event as it is published, in every replica, best effort: one that is missed is mended by
   * reading rows. What cannot be understood is left out. The listener must not throw. While nobody listens
   * (`isHeard` is false) nothing is decoded.
   */
  subscribe<const E extends Event>(
    events: readonly E[],
    listener: (message: MessageOf<E>) => void,
    isHeard: () => boolean = () => true,
  ): Subscription {
    const { logger } = this.#options
    return this.#broker.subscribe(
      events.map(({ subject }) => subject),
      (message) => {
        if (!isHeard()) return
        try {
          listener(decode(events, message) as MessageOf<E>)
        } catch (error) {
          if (!(error instanceof Unprocessable)) throw error
          logger.warn({ subject: message.subject, reason: error.message }, 'A broadcast was not understood')
        }
      },
    )
  }

  /** Creates the stream when it is missing. @throws {Error} when there is one that promises less than ours must. */
  async ensureStream(): Promise<void> {
    await this.#stream.ensure()
  }

  /** Deletes what is past its retention now, and says how many rows that were; `startRelay` does it every minute. */
  async prune(): Promise<Pruned> {
    return await this.#pruner.prune()
  }

  /** How far the outbox and the consumers are behind. @throws {DependencyUnavailable} */
  async lag(): Promise<Lag> {
    const [outboxPending, behind] = await Promise.all([this.outboxPending(), this.behind()])
    return { outboxPending, ...behind }
  }

  /** Rows of the outbox that are not on the stream, of all replicas, counted up to 100,001. Asks the database alone. */
  async outboxPending(): Promise<number> {
    const [row] = await this.#options.database.read(countPending)
    return row?.pending ?? 0
  }

  /**
   * Messages that a lost stream had and that do not wait for their publication yet: those that are found, counted up to 100,001, and one more
   * while not all are. Asks the database alone.
   */
  async kept(): Promise<number> {
    const [row] = await this.#options.database.read(countKept)
    return row?.rows ?? 0
  }

  /** How full the stream is, and how far the consumers are behind it. Asks the bus alone. @throws {DependencyUnavailable} */
  async behind(): Promise<Omit<Lag, 'outboxPending'>> {
    const [{ messages, bytes, bytesMax }, consumers] = await Promise.all([
      this.#stream.ensure(),
      Promise.all([...this.#consumers.values()].map((consumer) => consumer.lag())),
    ])
    return { stream: { messages, bytes, bytesMax }, consumers }
  }

  /** Resolves when NATS answers and the stream is as it must be. @throws {DependencyUnavailable} */
  async check(): Promise<void> {
    await this.#stream.ensure().catch((error: unknown) => {
      throw new DependencyUnavailable(`The stream ${STREAM} is not usable`, { cause: error })
    })
  }

  /** The connection, for tests that break things; waits until there is one. */
  async connection(): Promise<NatsConnection> {
    return await this.#broker.connected()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    void this.#broker.hurry()
    await Promise.all([
      this.#relay[Symbol.asyncDispose](),
      this.#pruner[Symbol.asyncDispose](),
      this.#adoption[Symbol.asyncDispose](),
      ...[...this.#consumers.values()].map((consumer) => consumer[Symbol.asyncDispose]()),
    ])
    await this.#broker[Symbol.asyncDispose]()
  }
}
