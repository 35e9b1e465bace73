import { connect, type Msg, type NatsConnection } from '@nats-io/transport-node'
import type { Logger } from 'pino'
import type { ServiceName } from '@saas/contracts'
import { DependencyUnavailable } from './errors.ts'
import { pause } from './pause.ts'

const RECONNECT_FIRST_MS = 50
const RECONNECT_MAX_MS = 2_000
const PING_INTERVAL_MS = 5_000
const ANSWER_MS_MAX = 1_500

export interface BrokerOptions {
  readonly url: string
  readonly service: ServiceName
  readonly timeoutMs: number
  readonly logger: Logger
}

/** The one connection to NATS: made in the background, tried again for ever, with the service's own inbox prefix. */
export class Broker implements AsyncDisposable {
  readonly #options: BrokerOptions
  readonly #closed = new AbortController()
  /** Resolved when the first attempt to connect has ended, well or not. */
  readonly #tried = Promise.withResolvers<void>()
  readonly #connected: Promise<NatsConnection | undefined>
  readonly #reconnectListeners = new Set<() => void>()
  #up = false
  #hasConnected = false

  constructor(options: BrokerOptions) {
    this.#options = options
    this.#connected = this.#connect()
  }

  /** Whether there is a connection at this moment. */
  get isUp(): boolean {
    return this.#up
  }

  /** The connection, once there is one. @throws {DependencyUnavailable} when the broker is disposed before. */
  async connected(): Promise<NatsConnection> {
    const connection = await this.#connected
    if (connection === undefined) throw new DependencyUnavailable('The connection to NATS was closed')
    return connection
  }

  /**
   * The connection if it is usable now. At the start, when nothing is wrong yet, the first attempt to connect is waited for.
   *
   * @throws {DependencyUnavailable} when it is not.
   */
  async usable(): Promise<NatsConnection> {
    await this.#tried.promise
    if (!this.#up) throw new DependencyUnavailable('NATS is not reachable')
    return await this.connected()
  }

  /** Calls the listener after every reconnection: the server may have lost or replaced its streams. */
  onReconnect(listener: () => void): void {
    this.#reconnectListeners.add(listener)
  }

  /** Subscribes plainly, as soon as there is a connection and again after each reconnection. */
  subscribe(subjects: readonly string[], listener: (message: Msg) => void): Disposable {
    let ended = false
    const subscriptions: { unsubscribe(): void }[] = []
    const begin = async (): Promise<void> => {
      const connection = await this.#connected
      if (connection === undefined || connection.isClosed() || ended) return
      for (const subject of subjects) {
        const callback = (error: Error | null, message: Msg): void => {
          if (error === null) listener(message)
          else this.#options.logger.error({ err: error, subject }, 'NATS refused a subscription')
        }
        subscriptions.push(connection.subscribe(subject, { callback }))
      }
    }
    void begin()
    return {
      [Symbol.dispose]: () => {
        ended = true
        for (const subscription of subscriptions) subscription.unsubscribe()
      },
    }
  }

  /**
   * To be called when the program stops: hangs up at once when there is no answer, so that nobody waits for one to what they asked. What
   * was not acknowledged comes again, to somebody else.
   */
  async hurry(): Promise<void> {
    this.#closed.abort()
    this.#tried.resolve()
    if (!this.#hasConnected) return
    const connection = await this.connected()
    if (!this.#up) return await connection.close()
    const answered = new AbortController()
    const isThere = await Promise.race([
      connection.rtt().then(
        () => true,
        () => false,
      ),
      pause(ANSWER_MS_MAX, answered.signal).then(() => false),
    ])
    answered.abort()
    if (!isThere) await connection.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort()
    this.#tried.resolve()
    const closing = this.#connected.then((connection) => connection?.close())
    // An attempt to connect that is under way ends by itself.
    if (this.#hasConnected) await closing
  }

  async #connect(): Promise<NatsConnection | undefined> {
    const { url, service, timeoutMs, logger } = this.#options
    const { host, username, password } = new URL(url)
    let pauseMs = RECONNECT_FIRST_MS
    for (let attempt = 1; !this.#closed.signal.aborted; attempt += 1) {
      try {
        const connection = await connect({
          servers: host,
          user: decodeURIComponent(username),
          pass: decodeURIComponent(password),
          ...(url.startsWith('tls:') ? { tls: {} } : {}),
          name: service,
          inboxPrefix: `_INBOX_${service}`,
          timeout: timeoutMs,
          pingInterval: PING_INTERVAL_MS,
          maxPingOut: 2,
          maxReconnectAttempts: -1,
          reconnectTimeWait: RECONNECT_FIRST_MS * 4,
          ignoreAuthErrorAbort: true,
          // Without it each request keeps the stack it was made on.
          noAsyncTraces: true,
        })
        this.#up = true
        this.#hasConnected = true
        this.#tried.resolve()
        void this.#watch(connection)
        if (attempt > 1) logger.info({ attempt }, 'NATS is back')
        return connection
      } catch (error) {
        this.#tried.resolve()
        const problem = error instanceof Error ? error.message : String(error)
        if (attempt === 1) logger.warn({ problem }, 'NATS is not reachable')
        await pause(pauseMs, this.#closed.signal)
        pauseMs = Math.min(pauseMs * 2, RECONNECT_MAX_MS)
      }
    }
    this.#tried.resolve()
    return undefined
  }

  async #watch(connection: NatsConnection): Promise<void> {
    const { logger } = this.#options
    for await (const status of connection.status()) {
      if (status.type === 'disconnect') {
        this.#up = false
        logger.warn('The connection to NATS broke')
      } else if (status.type === 'reconnect') {
        this.#up = true
        logger.info('NATS is back')
        for (const listener of this.#reconnectListeners) listener()
      } else if (status.type === 'error') {
        logger.error({ err: status.error }, 'NATS reported an error')
      }
    }
    this.#up = false
  }
}
