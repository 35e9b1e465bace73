import { Pool, type Client, type PoolClient, type QueryResultRow, type types } from 'pg'
import type { Logger } from 'pino'
import { CoalescedRead, CoalescedWrite, type CoalescedReadOptions, type CoalescedWriteOptions } from './coalescer.ts'
import { DatabaseUnavailable, isConnectionLoss, isTransient, Overloaded, sqlState } from './errors.ts'
import { Lane } from './lane.ts'
import { pause } from './pause.ts'
import { FORGET_PLANS, Plans } from './plans.ts'
import { Reachability } from './reachability.ts'
import { sql, type Statement } from './statement.ts'
import { IDLE_IN_TRANSACTION_TIMEOUT_MS, LOCK_TIMEOUT_MS } from './time-outs.ts'
import { typeParsers } from './types.ts'

const READ_LANES = 2
const WRITE_LANES = 2
const POOL_CONNECTIONS_MAX = 10
/** The most that one replica opens: these, and while it stops one that asks whether anybody answers. Whoever plans a server counts with it. */
export const CONNECTIONS_MAX = READ_LANES + WRITE_LANES + POOL_CONNECTIONS_MAX + 1
const POOL_IDLE_MS = 30_000
const TRANSACTION_RETRIES_MAX = 3
const CHECK_TIMEOUT_MS = 2_000
const BEGIN = `begin; set local lock_timeout = ${LOCK_TIMEOUT_MS}; set local idle_in_transaction_session_timeout = ${IDLE_IN_TRANSACTION_TIMEOUT_MS}`
const END_MS_MAX = 1_000

/** What a database is reached with. */
export interface DatabaseOptions {
  /** The service role's URL; it may go through PgBouncer in transaction mode. */
  readonly url: string
  readonly service: string
  /** Longest time a call may take. */
  readonly timeoutMs: number
  readonly logger: Logger
}

/** The statements of one transaction, run one after another on one connection. */
export interface Transaction {
  /** Runs the statement and returns its rows. */
  query<Row>(statement: Statement<Row>, values?: readonly unknown[]): Promise<Row[]>
  /**
   * Sends a statement whose rows nobody needs, without waiting: the last one travels with the commit, which spares a round
   * trip. When it fails, the transaction does.
   */
  send(statement: Statement<unknown>, values?: readonly unknown[]): void
}

const selectOne = sql('state.check', 'select 1')

/**
 * A service's Postgres: pipelined connections for reads, others for single-statement writes, and a pool for
 * transactions. Every call has a time-out, and every connection that breaks is opened again.
 *
 * Nothing here needs a session: only named statements (PgBouncer ≥ 1.21 keeps those), `set local`, and
 * transaction-scoped locks. Time-outs of single statements are settings of the role (see `provisionService`).
 */
export class Database implements AsyncDisposable {
  readonly #options: DatabaseOptions
  readonly #reads: readonly Lane[]
  readonly #writes: readonly Lane[]
  readonly #pool: Pool
  readonly #plans = new WeakMap<PoolClient, Plans>()
  /** Those that run a transaction. */
  readonly #taken = new Set<PoolClient>()
  readonly #reachability: Reachability
  readonly #closed = new AbortController()
  #watching: Promise<void> | undefined

  constructor(options: DatabaseOptions) {
    this.#options = options
    this.#reachability = new Reachability(options.url, `${options.service} probe`)
    this.#reads = Array.from({ length: READ_LANES }, (_, index) => this.#lane(`read ${index + 1}`))
    this.#writes = Array.from({ length: WRITE_LANES }, (_, index) => this.#lane(`write ${index + 1}`))
    for (const lane of [...this.#reads, ...this.#writes]) lane.open()
    this.#pool = new Pool({
      connectionString: options.url,
      application_name: `${options.service} transaction`,
      max: POOL_CONNECTIONS_MAX,
      idleTimeoutMillis: POOL_IDLE_MS,
      connectionTimeoutMillis: options.timeoutMs,
      query_timeout: options.timeoutMs,
      keepAlive: true,
      // What need not wait for an answer travels with what comes before it.
      pipeline: true,
      types: { getTypeParser: typeParsers as typeof types.getTypeParser },
    })
    // One that breaks in the moment in which it is handed out has no other listener, and would end the program.
    this.#pool.on('connect', (client) => client.on('error', () => undefined))
    // Without a listener an idle connection that breaks would do the same.
    this.#pool.on('error', (error) => {
      options.logger.warn({ problem: error.message }, 'An idle connection to Postgres broke')
    })
  }

  /**
   * Runs a read-only statement. A read whose connection broke is sent once more.
   *
   * @throws {DatabaseUnavailable} when Postgres cannot be reached or answers too late.
   * @throws {Overloaded} when it takes longer than a statement may.
   */
  async read<Row>(statement: Statement<Row>, values: readonly unknown[] = []): Promise<Row[]> {
    try {
      return await this.#leastLoaded(this.#reads).query(statement, values)
    } catch (error) {
      if (!(error instanceof DatabaseUnavailable) || error.cause === undefined) throw overloadedIfTransient(error)
      return await this.#leastLoaded(this.#reads).query(statement, values)
    }
  }

  /**
   * Runs one statement as one transaction.
   *
   * @throws {DatabaseUnavailable} when Postgres cannot be reached, or the connection broke: then it is unknown
   *   whether the statement took effect.
   * @throws {Overloaded} when others hold for too long what it needs: then nothing was changed.
   */
  async write<Row>(statement: Statement<Row>, values: readonly unknown[] = []): Promise<Row[]> {
    try {
      return await this.#leastLoaded(this.#writes).query(statement, values)
    } catch (error) {
      throw overloadedIfTransient(error)
    }
  }

  /**
   * Runs `work` in a transaction (read committed) and commits it. After a serialization failure or a deadlock
   * (40001, 40P01) it is run again, at most three times, so it must have no effect outside the transaction.
   *
   * @throws {DatabaseUnavailable} when Postgres cannot be reached, or the connection broke: then it is unknown
   *   whether the transaction was committed.
   * @throws {Overloaded} when others hold for too long what it needs: then nothing was changed.
   */
  async transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    for (let retries = 0; ; retries += 1) {
      try {
        return await this.#attempt(work)
      } catch (error) {
        const state = sqlState(error)
        if ((state === '40001' || state === '40P01') && retries < TRANSACTION_RETRIES_MAX) continue
        throw isTransient(error) ? new Overloaded('Others hold what this call needs', { cause: error }) : error
      }
    }
  }

  /** Makes a read by key whose concurrent calls share one statement. */
  coalescedRead<Row>(options: CoalescedReadOptions<Row>): CoalescedRead<Row> {
    return new CoalescedRead(options, (statement, values) => this.read(statement, values), this.#options.service)
  }

  /** Makes a write whose concurrent calls share one statement and one commit. */
  coalescedWrite<Call, Row extends { n: number }>(
    options: CoalescedWriteOptions<Call, Row>,
  ): CoalescedWrite<Call, Row> {
    return new CoalescedWrite(options, (statement, values) => this.write(statement, values), this.#options.service)
  }

  /** Resolves when Postgres answers. @throws {DatabaseUnavailable} when it does not within two seconds. */
  async check(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new DatabaseUnavailable('Postgres does not answer')), CHECK_TIMEOUT_MS)
    })
    try {
      await Promise.race([this.read(selectOne), late])
    } finally {
      clearTimeout(timer)
    }
  }

  /**
   * To be called when the program begins to stop: from then on calls fail within some three seconds while Postgres answers nobody,
   * instead of after their time-out, and work again when it does.
   */
  hurry(): void {
    this.#watching ??= this.#reachability.watch(this.#closed.signal, () => {
      for (const lane of [...this.#reads, ...this.#writes]) lane.drop()
      for (const client of this.#taken) (client as unknown as Client).connection.stream.destroy()
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort()
    await this.#watching
    await Promise.all([...this.#reads, ...this.#writes].map((lane) => lane[Symbol.asyncDispose]()))
    const late = new AbortController()
    // A connection that is being made cannot be given up.
    await Promise.race([this.#pool.end(), pause(END_MS_MAX, late.signal)])
    late.abort()
  }

  #plansOf(client: PoolClient): Plans {
    const known = this.#plans.get(client)
    if (known !== undefined) return known
    const plans = new Plans()
    this.#plans.set(client, plans)
    return plans
  }

  #lane(purpose: string): Lane {
    const { url, service, timeoutMs, logger } = this.#options
    return new Lane({ url, applicationName: `${service} ${purpose}`, timeoutMs, logger })
  }

  async #attempt<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    const client = await this.#takeConnection().catch((error: unknown) => {
      throw isConnectionLoss(error) ? new DatabaseUnavailable('Postgres is not reachable', { cause: error }) : error
    })
    this.#taken.add(client)
    let broken = false
    try {
      const sent: Promise<unknown>[] = []
      const send = <T>(answer: Promise<T>): Promise<T> => {
        // Looked at when the work is done; until then a failure is nobody's yet.
        answer.catch(() => undefined)
        sent.push(answer)
        return answer
      }
      if (this.#plansOf(client).areOld()) void send(client.query(FORGET_PLANS))
      void send(client.query(BEGIN))
      const result = await work({
        query: (statement, values = []) => query(client, statement, values),
        send: (statement, values = []) => void send(query(client, statement, values)),
      })
      const committed = send(client.query('commit'))
      await Promise.all(sent)
      // Postgres answers the commit of a transaction that has failed with a rollback, not with an error.
      const { command } = await committed
      if (command !== 'COMMIT') throw new Error(`The transaction ended with ${command}`)
      return result
    } catch (error) {
      broken = isConnectionLoss(error)
      if (!broken) await client.query('rollback').catch(() => (broken = true))
      if (broken && !(error instanceof DatabaseUnavailable)) {
        throw new DatabaseUnavailable('The connection to Postgres broke during a transaction', { cause: error })
      }
      throw error
    } finally {
      this.#taken.delete(client)
      client.release(broken)
    }
  }

  /** Of the connections that stand, the one with the least to do. @throws {DatabaseUnavailable} */
  #leastLoaded(lanes: readonly Lane[]): Lane {
    this.#refuseWhenLost()
    const connected = lanes.filter((lane) => lane.isConnected)
    return (connected.length === 0 ? lanes : connected).reduce((best, lane) => (lane.load < best.load ? lane : best))
  }

  #refuseWhenLost(): void {
    if (this.#reachability.lost.aborted) throw new DatabaseUnavailable('Postgres does not answer')
  }

  async #takeConnection(): Promise<PoolClient> {
    this.#refuseWhenLost()
    const { lost } = this.#reachability
    const { promise, resolve, reject } = Promise.withResolvers<PoolClient>()
    const giveUp = (): void => reject(new DatabaseUnavailable('Postgres does not answer'))
    lost.addEventListener('abort', giveUp)
    // One that comes after all is nobody's.
    this.#pool.connect().then((client) => (lost.aborted ? client.release(true) : resolve(client)), reject)
    return await promise.finally(() => lost.removeEventListener('abort', giveUp))
  }
}

async function query<Row>(client: PoolClient, statement: Statement<Row>, values: readonly unknown[]): Promise<Row[]> {
  const result = await client.query<QueryResultRow>({
    name: statement.name,
    text: statement.text,
    values: values as unknown[],
  })
  return result.rows as Row[]
}

function overloadedIfTransient(error: unknown): unknown {
  return isTransient(error) ? new Overloaded('Others hold what this call needs', { cause: error }) : error
}
