import type { Statement } from './statement.ts'

type Run = <Row>(statement: Statement<Row>, values: readonly unknown[]) => Promise<Row[]>

/** A read by key. */
export interface CoalescedReadOptions<Row> {
  /** Takes an array of distinct keys as `$1` (`where id = any($1)`); returns at most one row a key. */
  readonly statement: Statement<Row>
  /** The key a row answers. */
  readonly keyOfRow: (row: Row) => string
}

/** Calls of `load` while a statement is under way go out together as the next one. */
export class CoalescedRead<Row> {
  readonly #options: CoalescedReadOptions<Row>
  readonly #run: Run

  constructor(options: CoalescedReadOptions<Row>, run: Run) {
    this.#options = options
    this.#run = run
  }

  /**
   * The row with this key, read after the call began; `undefined` when there is none. The row may be shared with
   * other callers: treat it as frozen.
   */
  async load(key: string): Promise<Row | undefined> {
    const rows = await this.#run(this.#options.statement, [[key]])
    return rows.find((row) => this.#options.keyOfRow(row) === key)
  }
}

/** A write of which many calls go in one statement. See `docs/decisions` for why it is safe. */
export interface CoalescedWriteOptions<Call, Row extends { n: number }> {
  /** Takes the calls as one JSON array text in `$1`; returns one row a call, naming it by `n`. */
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

/** Calls while a batch is under way queue up and go out together as the next one. */
export class CoalescedWrite<Call, Row extends { n: number }> {
  readonly #options: CoalescedWriteOptions<Call, Row>
  readonly #run: Run

  constructor(options: CoalescedWriteOptions<Call, Row>, run: Run) {
    this.#options = options
    this.#run = run
  }

  /**
   * The statement's row for this call.
   *
   * @throws {DatabaseUnavailable} when the outcome is unknown. @throws {Overloaded} when the queue is full.
   */
  async call(call: Call): Promise<Row> {
    const rows = await this.#run(this.#options.statement, [JSON.stringify([{ ...this.#options.toRow(call), n: 0 }])])
    const row = rows.find(({ n }) => n === 0)
    if (row === undefined) throw new Error(`The statement ${this.#options.statement.name} returned no row for a call`)
    return row
  }
}
