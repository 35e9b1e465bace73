import type { Logger } from 'pino'
import { ProblemError, type Event, type Lag, type ServiceName } from '@saas/contracts'
import type { Tracing } from '@saas/tracing'
import type { Broker } from './broker.ts'
import { decode, type IncomingMessage } from './codec.ts'
import type { Database, Transaction } from './database.ts'
import { insertDeadLetter } from './dead-letter-rows.ts'
import { Delivery, DeliveryQueue, type BatchLimits } from './delivery.ts'
import { DatabaseUnavailable, sqlState, Unprocessable } from './errors.ts'
import type { Message, MessageOf } from './message.ts'
import { batchSize, consumed } from './metrics.ts'
import { pause } from './pause.ts'
import { Reception } from './reception.ts'
import { withApplySpans } from './spans.ts'
import { sql } from './statement.ts'
import { STREAM, type Stream } from './stream.ts'

/** One after the other in one transaction, which keeps its locks for as long. */
const BATCH_MESSAGES_OF_KEY_MAX = 32
const BATCH_LIMITS: BatchLimits = {
  messagesMax: 256,
  messagesOfKeyMax: BATCH_MESSAGES_OF_KEY_MAX,
  bytesMax: 256 * 1024,
}
const ACK_TIMEOUT_MS = 3_000
const BACKOFF_FIRST_MS = 100
const BACKOFF_MAX_MS = 30_000
// While versions run side by side, most of what the older one gives back reaches a newer one by then; the rest is adopted.
const GIVEN_BACK_MAX = 5
/** After about ten minutes, long before the stream forgets it: what fails because of what it is waits for an operator then. */
const DELIVERIES_MAX = 25
/** Classes of SQLSTATE. A value that cannot be is one whenever it comes; what breaks a constraint may have come too early. */
const DATA_EXCEPTION = '22'
const CONSTRAINT_VIOLATION = '23'

/** What is applied, under which name, and how. */
export interface ConsumeOptions<E extends Event> {
  /** The durable's name: the service's own, as the contracts say. */
  readonly durable: string
  readonly events: readonly E[]
  /**
   * Applies messages that were never applied before, of each key one. Whatever it writes through `tx` commits together with
   * their inbox rows. It may be called several times in a transaction. Throw `Unprocessable` for what can never be applied;
   * any other error is tried again. What it returns is called after the commit, to wake whoever works on what was written.
   */
  readonly apply: (tx: Transaction, messages: readonly MessageOf<E>[]) => Promise<AfterCommit | void>
  /** Messages with the same key are applied one after the other. Default: the aggregate. */
  readonly keyOf?: (message: MessageOf<E>) => string
}

/** Must not throw. */
type AfterCommit = () => void

/** What a transaction did. */
interface Applied {
  /** Messages that were new. */
  readonly count: number
  readonly afterCommit: readonly AfterCommit[]
}

export interface ConsumerContext {
  readonly database: Database
  readonly broker: Broker
  readonly stream: Stream
  readonly logger: Logger
  readonly service: ServiceName
  readonly tracing: Tracing | undefined
  /** Called after a commit: `apply` may have written to the outbox. */
  readonly onCommit: () => void
}

// Sorted, so that two replicas that got the same messages wait for each other instead of deadlocking. What an operator dismissed has no
// effect, however often it comes.
const insertInbox = sql<{ message_id: string }>(
  'state.insert_inbox',
  `insert into inbox (consumer, message_id)
   select $1, message_id
   from unnest($2::uuid[]) as arrived (message_id)
   where not exists (
     select
     from dead_letter
     where dead_letter.consumer = $1
       and dead_letter.message_id = arrived.message_id
       and dismissed_at is not null
   )
   order by message_id
   on conflict (consumer, message_id) do nothing
   returning message_id`,
)

/** Applies the events of one durable consumer, each with one effect, until it is disposed. */
export class Consumer implements AsyncDisposable {
  readonly durable: string
  /** What this version knows. */
  readonly events: readonly Event[]
  readonly #apply: (tx: Transaction, messages: readonly Message[]) => Promise<AfterCommit | void>
  readonly #keyOf: (message: Message) => string
  readonly #context: ConsumerContext
  readonly #closed = new AbortController()
  readonly #queue: DeliveryQueue
  readonly #acknowledging = new Set<Promise<void>>()
  readonly #reception: Reception
  #running: Promise<void> | undefined

  constructor(options: ConsumeOptions<Event>, context: ConsumerContext) {
    this.durable = options.durable
    this.events = options.events
    this.#apply = options.apply
    this.#keyOf = options.keyOf ?? ((message) => `${message.event.aggregate} ${message.aggregateId}`)
    this.#context = context
    this.#queue = new DeliveryQueue(this.#keyOf, BATCH_LIMITS)
    this.#reception = new Reception({
      ...context,
      durable: this.durable,
      subjects: this.events.map(({ subject }) => subject),
      receive: (raw) => this.#queue.add(new Delivery(raw, this.events)),
    })
  }

  start(): void {
    this.#reception.start()
    this.#running ??= this.#applyAll()
  }

  /** How far this consumer is behind. @throws {DependencyUnavailable} */
  async lag(): Promise<Lag['consumers'][number]> {
    const api = await this.#context.stream.api()
    const info = await api.consumers.info(STREAM, this.durable)
    return {
      durable: this.durable,
      pending: info.num_pending,
      unacknowledged: info.num_ack_pending,
      redelivered: info.num_redelivered,
    }
  }

  /**
   * Applies one message in its own transaction, together with what `also` writes; `false` when it had been applied before.
   *
   * @throws {Unprocessable} when it cannot be understood or applied.
   */
  async applyOne(incoming: IncomingMessage, also?: (tx: Transaction) => Promise<void>): Promise<boolean> {
    const count = await this.#commitOne(decode(this.events, incoming), also)
    return count === 1
  }

  /** Takes no more messages, finishes the batch that is under way, and gives the rest back at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort()
    const ended = this.#reception[Symbol.asyncDispose]()
    this.#queue.close()
    await Promise.all([ended, this.#running])
    await Promise.all(this.#acknowledging)
  }

  async #applyAll(): Promise<void> {
    while (!this.#closed.signal.aborted) {
      const { understood, refused } = await this.#queue.next()
      for (const delivery of refused) await this.#refuse(delivery)
      if (understood.length > 0) await this.#applyBatch(understood)
    }
    for (const delivery of this.#queue.drain()) delivery.raw.nak()
  }

  async #applyBatch(batch: readonly Delivery[]): Promise<void> {
    const { service, logger } = this.#context
    batchSize.observe({ service, kind: 'consumer' }, batch.length)
    try {
      const count = await this.#whenDatabaseIsThere(() => this.#commit(batch.map((delivery) => delivery.message)))
      this.#count('applied', count)
      this.#count('repeated', batch.length - count)
      this.#acknowledge(batch)
    } catch (error) {
      if (this.#closed.signal.aborted) return this.#giveBack(batch)
      if (batch.length > 1)
        logger.warn({ err: error, size: batch.length }, 'A batch failed; its messages go one by one')
      for (const delivery of batch) await this.#applySingly(delivery)
    }
  }

  async #applySingly(delivery: Delivery): Promise<void> {
    try {
      const count = await this.#whenDatabaseIsThere(() => this.#commitOne(delivery.message))
      this.#count(count === 1 ? 'applied' : 'repeated', 1)
      this.#acknowledge([delivery])
    } catch (error) {
      if (error instanceof Unprocessable) return await this.#bury(delivery, error.message)
      if (this.#closed.signal.aborted) return this.#giveBack([delivery])
      if (isItsOwnFault(error) && delivery.raw.info.deliveryCount >= DELIVERIES_MAX) {
        return await this.#bury(delivery, `It failed ${DELIVERIES_MAX} times: ${reasonOf(error)}`)
      }
      const delayMs = Math.min(BACKOFF_FIRST_MS * 2 ** (delivery.raw.info.deliveryCount - 1), BACKOFF_MAX_MS)
      this.#context.logger.error({ err: error, ...this.#describe(delivery), delayMs }, 'A message is tried again later')
      this.#count('retried', 1)
      delivery.raw.nak(delayMs)
    }
  }

  /** An outage of the database is nobody's fault: the same messages wait for its end, in their order. */
  async #whenDatabaseIsThere<T>(work: () => Promise<T>): Promise<T> {
    for (let delayMs = BACKOFF_FIRST_MS; ; delayMs = Math.min(delayMs * 2, BACKOFF_MAX_MS / 10)) {
      try {
        return await work()
      } catch (error) {
        if (!(error instanceof DatabaseUnavailable) || this.#closed.signal.aborted) throw error
        await pause(delayMs, this.#closed.signal)
      }
    }
  }

  /** @throws {Unprocessable} also when Postgres says that there are no such values. */
  async #commitOne(message: Message, also?: (tx: Transaction) => Promise<void>): Promise<number> {
    try {
      return await this.#commit([message], also)
    } catch (error) {
      if (sqlState(error)?.startsWith(DATA_EXCEPTION) !== true) throw error
      throw new Unprocessable(`What it says cannot be kept (${reasonOf(error)})`, { cause: error })
    }
  }

  async #commit(arrived: readonly Message[], also?: (tx: Transaction) => Promise<void>): Promise<number> {
    const { database, onCommit, tracing } = this.#context
    const commit = async (messages: readonly Message[]): Promise<Applied> =>
      await database.transaction(async (tx) => {
        const rows = await tx.query(insertInbox, [this.durable, messages.map(({ id }) => id)])
        const unseen = new Set(rows.map((row) => row.message_id))
        const fresh = messages.filter(({ id }) => unseen.has(id))
        const afterCommit: AfterCommit[] = []
        // The first has one of each key, so it locks what those after it lock, and two batches cannot wait for each other.
        for (const wave of this.#waves(fresh)) {
          const wake = await this.#apply(tx, wave)
          if (wake !== undefined) afterCommit.push(wake)
        }
        await also?.(tx)
        return { count: fresh.length, afterCommit }
      })
    const { count, afterCommit } = await (tracing === undefined
      ? commit(arrived)
      : withApplySpans(tracing, this.durable, arrived, commit))
    if (count > 0) onCommit()
    for (const wake of afterCommit) wake()
    return count
  }

  /** The first message of each key, then the second of those that have one, and so on: each in the order they came. */
  #waves(messages: readonly Message[]): readonly (readonly Message[])[] {
    const waves: Message[][] = []
    const counts = new Map<string, number>()
    for (const message of messages) {
      const key = this.#keyOf(message)
      const count = counts.get(key) ?? 0
      counts.set(key, count + 1)
      const wave = waves[count]
      if (wave === undefined) waves.push([message])
      else wave.push(message)
    }
    return waves
  }

  /** What a newer replica may understand is left to it first; after that, whatever nobody understood is a dead letter. */
  async #refuse(delivery: Delivery): Promise<void> {
    const { deliveryCount } = delivery.raw.info
    if (!delivery.isFromNewerVersion || deliveryCount > GIVEN_BACK_MAX) {
      return await this.#bury(delivery, delivery.refusal ?? 'unknown')
    }
    if (deliveryCount === 1) this.#context.logger.warn(this.#describe(delivery), 'A message is left to a newer version')
    delivery.raw.nak(BACKOFF_FIRST_MS * 2 ** (deliveryCount - 1))
  }

  /** Moves a message that nobody can apply out of the way of the others. */
  async #bury(delivery: Delivery, reason: string): Promise<void> {
    try {
      await this.#whenDatabaseIsThere(() =>
        insertDeadLetter(this.#context.database, this.durable, delivery.raw, reason),
      )
      this.#context.logger.error({ reason, ...this.#describe(delivery) }, 'A message became a dead letter')
      this.#count('dead', 1)
      delivery.raw.term('dead letter')
    } catch (error) {
      this.#context.logger.error({ err: error, ...this.#describe(delivery) }, 'A dead letter could not be kept')
      delivery.raw.nak(BACKOFF_FIRST_MS)
    }
  }

  /** Tells the stream, and is told that it knows; when that fails the message comes again and the inbox recognises it. */
  #acknowledge(batch: readonly Delivery[]): void {
    const acknowledged = this.#acknowledgeAll(batch).finally(() => this.#acknowledging.delete(acknowledged))
    this.#acknowledging.add(acknowledged)
  }

  /**
   * The stream takes the acknowledgements of a connection in their order, so the answer to the last one stands for all.
   */
  async #acknowledgeAll(batch: readonly Delivery[]): Promise<void> {
    try {
      for (const { raw } of batch.slice(0, -1)) raw.ack()
      await batch.at(-1)?.raw.ackAck({ timeout: ACK_TIMEOUT_MS })
    } catch (error) {
      const { durable } = this
      this.#context.logger.warn({ err: error, durable, size: batch.length }, 'Messages could not be acknowledged')
    }
  }

  #giveBack(batch: readonly Delivery[]): void {
    for (const { raw } of batch) raw.nak()
  }

  #count(outcome: string, count: number): void {
    if (count > 0) consumed.inc({ service: this.#context.service, durable: this.durable, outcome }, count)
  }

  #describe({ raw }: Delivery): object {
    return { durable: this.durable, subject: raw.subject, sequence: raw.seq, messageId: raw.headers?.get('ce-id') }
  }
}

/** Whether it failed by what it is: not because the database was busy, full, away or of another version. */
function isItsOwnFault(error: unknown): boolean {
  const state = sqlState(error)
  if (state !== undefined) return state.startsWith(CONSTRAINT_VIOLATION)
  return !(error instanceof ProblemError)
}

/** Without any value: what Postgres says has some. */
function reasonOf(error: unknown): string {
  const state = sqlState(error)
  if (state !== undefined) return `SQLSTATE ${state}`
  return error instanceof Error ? error.message : String(error)
}
