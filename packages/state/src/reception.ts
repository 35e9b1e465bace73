import { jetstream, type ConsumerMessages, type JsMsg } from '@nats-io/jetstream'
import type { Logger } from 'pino'
import { Outage } from '@saas/config'
import type { Broker } from './broker.ts'
import { ensureDurable, findDurable } from './durable.ts'
import { pause } from './pause.ts'
import { STREAM, type Stream } from './stream.ts'

const PREFETCH_MESSAGES = 512
const PULL_EXPIRES_MS = 10_000
// Who asks a consumer that was deleted a moment ago is told nothing at all, only that this sign of life stays away, twice.
const SIGN_OF_LIFE_MS = 1_000
const CHECK_INTERVAL_MS = 5_000
const SESSION_PAUSE_MS = 250

export interface ReceptionOptions {
  readonly broker: Broker
  readonly stream: Stream
  readonly logger: Logger
  readonly durable: string
  readonly subjects: readonly string[]
  readonly receive: (raw: JsMsg) => void
}

/**
 * Keeps the messages of a durable consumer coming, in one session with the stream after another: one that ends for
 * whatever reason is followed by the next, which makes stream and consumer when they are missing.
 */
export class Reception implements AsyncDisposable {
  readonly #options: ReceptionOptions
  readonly #closed = new AbortController()
  #session = new AbortController()
  #running: Promise<void> | undefined

  constructor(options: ReceptionOptions) {
    this.#options = options
    // The server may have lost its consumers.
    options.broker.onReconnect(() => this.#session.abort())
  }

  start(): void {
    this.#running ??= this.#receiveAll()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort()
    this.#session.abort()
    await this.#running
  }

  async #receiveAll(): Promise<void> {
    const { logger, durable } = this.#options
    const words = { begun: 'The consumer gets no messages', over: 'The consumer gets messages again' }
    const outage = new Outage(logger, words, { durable })
    while (!this.#closed.signal.aborted) {
      this.#session = new AbortController()
      try {
        await this.#receive(this.#session, () => outage.worked())
      } catch (error) {
        outage.failed(error)
        await pause(SESSION_PAUSE_MS, this.#closed.signal)
      }
    }
  }

  /** One session; ends with `session`, or when its consumer is gone. `onBegun` is called when messages come. */
  async #receive(session: AbortController, onBegun: () => void): Promise<void> {
    const { broker, stream, durable, subjects, receive } = this.#options
    await stream.ensure()
    await ensureDurable(await stream.api(), durable, subjects)
    const consumer = await jetstream(await broker.usable()).consumers.get(STREAM, durable)
    const messages = await consumer.consume({
      max_messages: PREFETCH_MESSAGES,
      expires: PULL_EXPIRES_MS,
      idle_heartbeat: SIGN_OF_LIFE_MS,
      callback: receive,
    })
    const ended = new Promise<void>((resolve) => session.signal.addEventListener('abort', () => resolve()))
    try {
      if (session.signal.aborted || this.#closed.signal.aborted) return
      const { created } = await consumer.info(true)
      onBegun()
      await Promise.race([ended, consumerIsGone(messages), this.#isLost(created, session.signal)])
    } finally {
      session.abort()
      messages.stop()
    }
  }

  /**
   * Resolves when the server does not know the consumer any more. One that was made while its stream was being deleted may
   * live on unknown to anybody: it gives signs of life, even new messages, and keeps what it was to deliver before (NATS 2.15.1).
   */
  async #isLost(created: string, ended: AbortSignal): Promise<void> {
    const { stream, durable, logger } = this.#options
    for (;;) {
      await pause(CHECK_INTERVAL_MS, ended)
      if (ended.aborted) return
      // Who cannot be asked has lost nothing yet.
      const isThere = await stream
        .api()
        .then(async (api) => (await findDurable(api, durable))?.created === created)
        .catch(() => true)
      if (isThere) continue
      if (!ended.aborted) logger.warn({ durable }, 'The consumer was lost and is made again')
      return
    }
  }
}

/** Resolves when the client was told that the consumer or its stream is gone, or hears nothing of it. */
async function consumerIsGone(messages: ConsumerMessages): Promise<void> {
  for await (const { type } of messages.status()) {
    if (['consumer_deleted', 'consumer_not_found', 'stream_not_found', 'heartbeats_missed'].includes(type)) return
  }
}
