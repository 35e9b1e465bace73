import { CallQueue, type QueuedCall } from './call-queue.ts'
import { DatabaseUnavailable, isTransient, Overloaded, sqlState } from './errors.ts'
import { batchSize } from './metrics.ts'
import type { Statement } from './statement.ts'

type Run = <Row>(statement: Statement<Row>, values: readonly unknown[]) => Promise<Row[]>

/** While Postgres works on some, the program reads and answers the calls of others; each lane has one that waits for it. */
const BATCHES_UNDER_WAY_MAX = 4

/**
 * What waits is shared among the batches that may be under way, in shares of at least so many. In a batch of all that waited, Postgres had
 * nothing to do while the program answered it, and the program nothing while Postgres worked on it: 128 connections moved in step, and a
 * third of the machine was idle. With shares 5,210 to 5,775 orders/s were placed, without 4,190 to 4,509, in turns. In shares of 16 a statement's own cost shows.
 */
const SHARE_CALLS_MIN = 32

/**
 * Calls `send` when all calls that share a batch are in: at the end of this turn of the event loop, if they are no whole share before. Each
 * request that has arrived has microtasks of its own, so a batch of the next microtask is the one request.
 */
const whenAllIsIn: (send: () => void) => void = setImmediate

/** Batches that are sent again piece by piece beside the one under way; further ones hold it up. */
const RECOVERING_MAX = 4

interface Pending<Payload, Row> extends QueuedCall<Payload> {
  readonly resolve: (row: Row) => void
}

/** What a batch of calls is made into, and how its rows find their calls. */
interface Shape<Payload, Row> {
  readonly name: string
  readonly kind: 'read' | 'write'
  /** Runs the payloads as one statement; resolves to the row of each. */
  run(payloads: readonly Payload[]): Promise<readonly Row[]>
}

/**
 * While batches are under way, calls queue; when one returns, a share of the queue goes as the next one. An idle service waits for
 * nothing, a busy one pays one round trip and one commit for 32 to 256 calls.
 *
 * When a batch fails: for a bad value (SQLSTATE class 22 or 23) it is halved until the bad call stands alone; after
 * a serialization failure, a deadlock, a lock or statement time-out it is sent once more and then halved. After a lost
 * connection nobody knows whether it took effect: the very same batch is sent once more, because its ids make that harmless,
 * and then its calls fail with a 503. Halving there would let one half claim what the whole had claimed.
 */
class Coalescer<Payload, Row> {
  readonly #shape: Shape<Payload, Row>
  readonly #service: string
  readonly #queue = new CallQueue<Pending<Payload, Row>>()
  /** Conflict keys of the batches that are under way. */
  readonly #busy = new Set<string>()
  #sending = 0
  /** Of those that wait, how many shared a key with a batch under way when they were last looked at. */
  #heldBack = 0
  #isScheduled = false
  #recovering = 0

  constructor(shape: Shape<Payload, Row>, service: string) {
    this.#shape = shape
    this.#service = service
  }

  call(call: QueuedCallDraft<Payload>): Promise<Row> {
    return new Promise<Row>((resolve, reject) => {
      this.#queue.add({ ...call, resolve, reject })
      const isShareFull = this.#queue.size - this.#heldBack >= SHARE_CALLS_MIN
      if (isShareFull && this.#sending < BATCHES_UNDER_WAY_MAX) void this.#sendAll()
      else this.#schedule()
    })
  }

  #schedule(): void {
    if (this.#isScheduled || this.#sending >= BATCHES_UNDER_WAY_MAX) return
    this.#isScheduled = true
    whenAllIsIn(() => {
      this.#isScheduled = false
      // Shares that went at once may have taken the places; whichever of them returns goes on with what waits.
      if (this.#sending < BATCHES_UNDER_WAY_MAX) void this.#sendAll()
    })
  }

  async #sendAll(): Promise<void> {
    this.#sending += 1
    while (this.#queue.size > 0) {
      const share = Math.max(SHARE_CALLS_MIN, Math.ceil(this.#queue.size / BATCHES_UNDER_WAY_MAX))
      const batch = this.#queue.take(this.#busy, share)
      this.#heldBack = batch.length < share ? this.#queue.size : 0
      // All that wait share a key with a batch under way; who waits for that one goes on with them.
      if (batch.length === 0) break
      if (this.#queue.size > 0) this.#schedule()
      batchSize.observe({ service: this.#service, kind: this.#shape.kind }, batch.length)
      this.#occupy(batch)
      const failure = await this.#attempt(batch)
      if (failure === undefined) this.#release(batch)
      else {
        const recovery = this.#recover(batch, failure.error)
        if (this.#recovering > RECOVERING_MAX) await recovery
      }
      if (this.#queue.size > 0) await new Promise<void>(whenAllIsIn)
    }
    this.#sending -= 1
  }

  #occupy(batch: readonly Pending<Payload, Row>[]): void {
    for (const { conflictKeys } of batch) for (const key of conflictKeys) this.#busy.add(key)
  }

  #release(batch: readonly Pending<Payload, Row>[]): void {
    for (const { conflictKeys } of batch) for (const key of conflictKeys) this.#busy.delete(key)
  }

  /** Sends the batch and answers its calls; a failure is for the caller to deal with. */
  async #attempt(batch: readonly Pending<Payload, Row>[]): Promise<{ error: unknown } | undefined> {
    try {
      const rows = await this.#shape.run(batch.map(({ payload }) => payload))
      for (const [index, call] of batch.entries()) call.resolve(rows[index] as Row)
      return undefined
    } catch (error) {
      return { error }
    }
  }

  async #recover(batch: readonly Pending<Payload, Row>[], error: unknown): Promise<void> {
    this.#recovering += 1
    await this.#recoverFrom(batch, error, true)
    this.#recovering -= 1
    this.#release(batch)
    // Whoever waited for these keys may be the only ones who wait.
    if (this.#queue.size > 0) this.#schedule()
  }

  async #recoverFrom(batch: readonly Pending<Payload, Row>[], error: unknown, mayRepeat: boolean): Promise<void> {
    if (error instanceof DatabaseUnavailable) {
      const failure = mayRepeat ? await this.#attempt(batch) : { error }
      if (failure === undefined) return
      // Known to be rolled back now, or still unknown.
      if (failure.error instanceof DatabaseUnavailable) rejectAll(batch, failure.error)
      else await this.#recoverFrom(batch, failure.error, false)
      return
    }
    if (isTransient(error) && mayRepeat) {
      const failure = await this.#attempt(batch)
      if (failure !== undefined) await this.#recoverFrom(batch, failure.error, false)
      return
    }
    if (batch.length === 1 || !(isTransient(error) || isBadValue(error))) {
      rejectAll(
        batch,
        isTransient(error) ? new Overloaded('Others hold what this call needs', { cause: error }) : error,
      )
      return
    }
    const middle = Math.ceil(batch.length / 2)
    for (const half of [batch.slice(0, middle), batch.slice(middle)]) {
      const failure = await this.#attempt(half)
      if (failure !== undefined) {
        await this.#recoverFrom(half, failure.error, failure.error instanceof DatabaseUnavailable)
      }
    }
  }
}

type QueuedCallDraft<Payload> = Omit<QueuedCall<Payload>, 'reject'>

function isBadValue(error: unknown): boolean {
  const state = sqlState(error)
  return state !== undefined && (state.startsWith('22') || state.startsWith('23'))
}

function rejectAll(batch: readonly { reject(error: unknown): void }[], error: unknown): void {
  for (const call of batch) call.reject(error)
}

/** A read by key. */
export interface CoalescedReadOptions<Row> {
  /** Takes an array of distinct keys as `$1` (`where id = any($1)`); returns at most one row a key. */
  readonly statement: Statement<Row>
  /** The key a row answers. */
  readonly keyOfRow: (row: Row) => string
}

/** Calls of `load` while a statement is under way go out together as the next one. */
export class CoalescedRead<Row> {
  readonly #coalescer: Coalescer<string, Row | undefined>

  constructor({ statement, keyOfRow }: CoalescedReadOptions<Row>, run: Run, service: string) {
    this.#coalescer = new Coalescer(
      {
        name: statement.name,
        kind: 'read',
        run: async (keys) => {
          const rows = await run(statement, [[...new Set(keys)]])
          const rowByKey = new Map(rows.map((row) => [keyOfRow(row), row]))
          return keys.map((key) => rowByKey.get(key))
        },
      },
      service,
    )
  }

  /**
   * The row with this key, read after the call began; `undefined` when there is none. The row may be shared with
   * other callers: treat it as frozen.
   *
   * @throws {DatabaseUnavailable} @throws {Overloaded}
   */
  load(key: string): Promise<Row | undefined> {
    return this.#coalescer.call({ payload: key, bytes: key.length, conflictKeys: [], subject: undefined })
  }
}

/** A write of which many calls go in one statement. */
export interface CoalescedWriteOptions<Call, Row extends { n: number }> {
  /**
   * Takes the calls as one JSON array text in `$1`; returns exactly one row a call, naming it by `n`. What it refuses, it
   * says in a column: an error would refuse the whole batch. It may be sent again with the same calls after it took effect,
   * and must then change nothing; ids therefore come with the calls.
   */
  readonly statement: Statement<Row>
  /** The call as a JSON object; `n`, its number in the batch, is added. */
  readonly toRow: (call: Call) => Readonly<Record<string, unknown>>
  /** Calls that share one of these never share a batch. */
  readonly conflictKeys: (call: Call) => readonly string[]
  /** Rows of a batch are sent in this order, so that two batches lock in the same order. */
  readonly lockKey: (call: Call) => string
  /** Whose call it is: one subject may fill at most a quarter of the queue. */
  readonly subject?: (call: Call) => string
}

interface WritePayload {
  /** The row's JSON without its opening brace. */
  readonly json: string
  readonly lockKey: string
}

/** Calls while a batch is under way queue up and go out together as the next one. */
export class CoalescedWrite<Call, Row extends { n: number }> {
  readonly #options: CoalescedWriteOptions<Call, Row>
  readonly #coalescer: Coalescer<WritePayload, Row>

  constructor(options: CoalescedWriteOptions<Call, Row>, run: Run, service: string) {
    this.#options = options
    const { statement } = options
    this.#coalescer = new Coalescer(
      { name: statement.name, kind: 'write', run: (payloads) => runBatch(statement, payloads, run) },
      service,
    )
  }

  /**
   * The statement's row for this call.
   *
   * @throws {DatabaseUnavailable} when the outcome is unknown. @throws {Overloaded} when the queue is full or others hold
   *   for too long what this call needs: then nothing was changed.
   */
  async call(call: Call): Promise<Row> {
    const { toRow, conflictKeys, lockKey, subject } = this.#options
    const json = JSON.stringify(toRow(call)).slice(1)
    return await this.#coalescer.call({
      payload: { json: json === '}' ? json : `,${json}`, lockKey: lockKey(call) },
      bytes: Buffer.byteLength(json),
      conflictKeys: conflictKeys(call),
      subject: subject?.(call),
    })
  }
}

/** Sends the calls sorted by their lock keys and gives back their rows in the order they came. */
async function runBatch<Row extends { n: number }>(
  statement: Statement<Row>,
  payloads: readonly WritePayload[],
  run: Run,
): Promise<Row[]> {
  const sorted = payloads
    .map((payload, n) => ({ ...payload, n }))
    .toSorted((a, b) => (a.lockKey < b.lockKey ? -1 : a.lockKey > b.lockKey ? 1 : 0))
  const rows = await run(statement, [`[${sorted.map(({ json, n }) => `{"n":${n}${json}`).join(',')}]`])
  const rowByNumber = new Map(rows.map((row) => [row.n, row]))
  return payloads.map((_, n) => {
    const row = rowByNumber.get(n)
    if (row === undefined) throw new Error(`The statement ${statement.name} returned no row for one of its calls`)
    return row
  })
}
