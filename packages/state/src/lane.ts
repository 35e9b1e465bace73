import { Client, type QueryResult, type types } from 'pg'
import type { Logger } from 'pino'
import { DatabaseUnavailable, isConnectionLoss, Overloaded } from './errors.ts'
import { pause } from './pause.ts'
import { FORGET_PLANS, Plans } from './plans.ts'
import type { Statement } from './statement.ts'
import { typeParsers } from './types.ts'

const IN_FLIGHT_MAX = 4_096
const RECONNECT_FIRST_MS = 50
const RECONNECT_MAX_MS = 2_000
const CONNECT_WAIT_MS = 1_000
const WATCH_INTERVAL_MS = 250
const BROKEN = 'The connection to Postgres broke while it worked'

/** How a lane reaches Postgres. */
export interface LaneOptions {
  readonly url: string
  readonly applicationName: string
  readonly timeoutMs: number
  readonly logger: Logger
}

interface Call {
  readonly startedAtMs: number
  /** Postgres says that it committed, but also that the standby may not have it. */
  isUncertain: boolean
}

interface Connected {
  readonly client: Client
  /** The calls that are under way, oldest first: a pipeline answers in order. */
  readonly calls: Call[]
  readonly plans: Plans
}

/**
 * One pipelined connection: a statement is sent without waiting for the answer of the one before, and each is its
 * own transaction. It reconnects for ever, with backoff. Answers come in order, so when the oldest call is
 * older than the time-out the whole connection is given up.
 */
export class Lane implements AsyncDisposable {
  readonly #options: LaneOptions
  readonly #closed = new AbortController()
  #connected: Connected | undefined
  #connecting: Promise<void> | undefined
  #attempt: Client | undefined
  #wasConnected = false
  readonly #waiting = new Set<() => void>()
  #lastProblem = 'not connected yet'
  #watch: NodeJS.Timeout | undefined

  constructor(options: LaneOptions) {
    this.#options = options
  }

  get isConnected(): boolean {
    return this.#connected !== undefined
  }

  /** Calls under way. */
  get load(): number {
    return this.#connected?.calls.length ?? this.#waiting.size
  }

  /** Starts connecting and keeps at it; a call does it too. */
  open(): void {
    if (this.#closed.signal.aborted || this.#connected !== undefined) return
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined
    })
  }

  /**
   * Runs the statement as its own transaction.
   *
   * @throws {DatabaseUnavailable} when there is no connection within a second (at the start: the time-out), it breaks, or the answer is late.
   * @throws {Overloaded} when 4096 calls are under way.
   */
  async query<Row>(statement: Statement<Row>, values: readonly unknown[]): Promise<Row[]> {
    const connected = this.#connected ?? (await this.#connection())
    if (connected.calls.length >= IN_FLIGHT_MAX) throw new Overloaded('Too many statements are under way')
    // No call of anybody's: should it fail, the next one says why.
    if (connected.plans.areOld()) connected.client.query(FORGET_PLANS, () => undefined)
    return await new Promise<Row[]>((resolve, reject) => {
      const call: Call = { startedAtMs: performance.now(), isUncertain: false }
      connected.calls.push(call)
      const config = { name: statement.name, text: statement.text, values: values as unknown[] }
      // A callback and not a promise: calls must leave the list in the moment in which their answers are read.
      connected.client.query(config, (error: Error | null, result: QueryResult) => {
        connected.calls.splice(connected.calls.indexOf(call), 1)
        if (error !== null && isConnectionLoss(error)) {
          // Postgres says goodbye before it hangs up; what is sent again must not go to the same connection.
          this.#lose(connected.client, error)
          reject(new DatabaseUnavailable(BROKEN, { cause: error }))
        } else if (error !== null) {
          reject(error)
        } else if (call.isUncertain) {
          reject(new DatabaseUnavailable('Postgres committed without waiting for its standby'))
        } else resolve(result.rows as Row[])
      })
    })
  }

  /** Gives up what is under way or waits for a connection: nobody answers. It is connected anew, as after every loss. */
  drop(): void {
    this.#attempt?.connection.stream.destroy()
    if (this.#connected !== undefined) this.#lose(this.#connected.client, new Error('Postgres does not answer'))
    this.#wake()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort()
    clearInterval(this.#watch)
    this.#wake()
    this.#attempt?.connection.stream.destroy()
    await this.#connecting
    const client = this.#connected?.client
    this.#connected = undefined
    if (client !== undefined) await endWithin(client, CONNECT_WAIT_MS)
  }

  async #connection(): Promise<Connected> {
    this.open()
    if (this.#waiting.size >= IN_FLIGHT_MAX) throw new Overloaded('Too many statements wait for a connection')
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(end)
        resolve()
      }
      // A service that has just started is given more time than one that has lost its connection.
      const timer = setTimeout(end, this.#wasConnected ? CONNECT_WAIT_MS : this.#options.timeoutMs)
      this.#waiting.add(end)
    })
    if (this.#connected === undefined) throw new DatabaseUnavailable(`Postgres is not reachable: ${this.#lastProblem}`)
    return this.#connected
  }

  async #connect(): Promise<void> {
    const { logger, applicationName } = this.#options
    let pauseMs = RECONNECT_FIRST_MS
    for (let attempt = 1; !this.#closed.signal.aborted; attempt += 1) {
      const client = this.#newClient()
      this.#attempt = client
      try {
        await client.connect()
        if (this.#closed.signal.aborted) {
          await endWithin(client, CONNECT_WAIT_MS)
          return
        }
        this.#attempt = undefined
        this.#accept(client)
        if (attempt > 1) logger.info({ lane: applicationName, attempt }, 'Postgres is back')
        return
      } catch (error) {
        this.#lastProblem = error instanceof Error ? error.message : String(error)
        if (attempt === 1)
          logger.warn({ lane: applicationName, problem: this.#lastProblem }, 'Postgres is not reachable')
        await endWithin(client, CONNECT_WAIT_MS)
        // A closed lane ends the pause early; the loop's condition sees it.
        await pause(pauseMs, this.#closed.signal)
        pauseMs = Math.min(pauseMs * 2, RECONNECT_MAX_MS)
      }
    }
  }

  #newClient(): Client {
    const { url, applicationName, timeoutMs } = this.#options
    const client = new Client({
      connectionString: url,
      application_name: applicationName,
      connectionTimeoutMillis: timeoutMs,
      keepAlive: true,
      pipeline: true,
      types: { getTypeParser: typeParsers as typeof types.getTypeParser },
    })
    // Without a listener an idle connection that breaks would end the program.
    client.on('error', (error) => this.#lose(client, error))
    client.on('end', () => this.#lose(client, new Error('Connection terminated')))
    return client
  }

  #accept(client: Client): void {
    const connected: Connected = { client, calls: [], plans: new Plans() }
    client.on('notice', (notice) => noteMissingStandby(connected, notice.message))
    this.#connected = connected
    this.#wasConnected = true
    this.#watch = setInterval(() => this.#giveUpWhenLate(connected), WATCH_INTERVAL_MS)
    this.#watch.unref()
    this.#wake()
  }

  #giveUpWhenLate({ client, calls }: Connected): void {
    const [oldest] = calls
    if (oldest !== undefined && performance.now() - oldest.startedAtMs > this.#options.timeoutMs) {
      this.#lose(client, new Error('An answer is late'))
    }
  }

  #lose(client: Client, error: Error): void {
    if (this.#connected?.client !== client) return
    this.#connected = undefined
    clearInterval(this.#watch)
    this.#lastProblem = error.message
    this.#options.logger.warn(
      { lane: this.#options.applicationName, problem: error.message },
      'The connection to Postgres broke',
    )
    client.connection.stream.destroy()
    this.open()
  }

  #wake(): void {
    for (const end of this.#waiting) end()
  }
}

async function endWithin(client: Client, milliseconds: number): Promise<void> {
  const timer = setTimeout(() => client.connection.stream.destroy(), milliseconds)
  await client.end().catch(() => undefined)
  clearTimeout(timer)
}

/**
 * A commit whose wait for the standby was cancelled is reported as a success with this warning, sent before the end of the
 * call it belongs to: the oldest one.
 */
function noteMissingStandby({ calls }: Connected, message: string | undefined): void {
  const [oldest] = calls
  if (oldest !== undefined && message?.includes('wait for synchronous replication') === true) oldest.isUncertain = true
}
