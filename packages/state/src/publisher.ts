import { jetstream, type JetStreamPublishOptions, type PubAck } from '@nats-io/jetstream'
import { nuid, type NatsConnection } from '@nats-io/transport-node'
import type { Logger } from 'pino'
import { aggregateOf, encodeHeaders, type OutgoingRow } from './codec.ts'
import type { StreamState } from './stream.ts'

const ACK_TIMEOUT_MS = 3_000
/**
 * From so many messages on they go as one atomic batch, which the server stages and then syncs once: 14 ms for any small
 * batch, where each message sent singly takes its own sync (1.1 ms). 512 messages: 65 ms as a batch, 600 ms singly.
 */
const BATCH_MESSAGES_MIN = 12
/** What a server takes in one batch unless it is told otherwise. */
const BATCH_MESSAGES_MAX = 1_000
/** The server holds a batch twice until it is committed. */
const BATCH_BYTES_MAX = 8 * 1024 ** 2
const DUPLICATE_IN_BATCH = 10_201
const DUPLICATE_IN_PROGRESS = 10_158

/** What the stream said of a row. `isKnown` means that it had the message already. */
interface Acknowledgement {
  readonly id: string
  readonly sequence: number
  readonly isKnown: boolean
}

/** What became of the rows: those that are not acknowledged may be on the stream all the same. */
export interface Publication {
  readonly acknowledged: readonly Acknowledgement[]
  readonly failure: unknown
}

/** A row that was sent alone, with what came back. */
interface Sent {
  readonly row: OutgoingRow
  readonly ack?: PubAck
  readonly failure?: unknown
}

interface BatchAnswer {
  readonly seq?: number
  readonly count?: number
  readonly error?: { readonly err_code?: number; readonly description?: string }
}

/** The server refused a batch; nothing of it is on the stream. */
class BatchRefused extends Error {
  readonly code: number | undefined

  constructor({ error }: BatchAnswer) {
    super(`The stream refused a batch: ${error?.description ?? 'no reason given'}`)
    this.code = error?.err_code
  }
}

/**
 * Puts rows of the outbox on the stream, an aggregate's in the order they are given; some may be left for the next call. Many go
 * as an atomic batch: all of it or nothing is stored, in its order, and it is acknowledged once all of it is on the disk. A batch
 * with a repetition is refused; then the call recognises what the stream has of it and leaves the rest. A server that takes no
 * batches (before 2.12, or a stream made without them) is sent the messages one by one.
 */
export class Publisher {
  readonly #service: string
  readonly #logger: Logger
  #takesBatches = true

  constructor(service: string, logger: Logger) {
    this.#service = service
    this.#logger = logger
  }

  /** Tries batches again: the server or the stream may be another one. */
  forget(): void {
    this.#takesBatches = true
  }

  async publish(
    connection: NatsConnection,
    rows: readonly OutgoingRow[],
    { takesBatches, isReplicated }: Pick<StreamState, 'takesBatches' | 'isReplicated'>,
  ): Promise<Publication> {
    if (!takesBatches || !this.#takesBatches || rows.length < BATCH_MESSAGES_MIN) {
      return await this.#publishSingly(connection, rows)
    }
    return await this.#publishBatch(connection, batchOf(rows), isReplicated)
  }

  async #publishBatch(
    connection: NatsConnection,
    batch: readonly OutgoingRow[],
    isReplicated: boolean,
  ): Promise<Publication> {
    try {
      const first = await this.#sendBatch(connection, batch)
      return {
        acknowledged: batch.map(({ id }, n) => ({ id, sequence: first + n, isKnown: false })),
        failure: undefined,
      }
    } catch (error) {
      if (!(error instanceof BatchRefused)) return { acknowledged: [], failure: error }
      if (error.code === DUPLICATE_IN_BATCH || error.code === DUPLICATE_IN_PROGRESS) {
        const acknowledged = await this.#recognise(connection, batch, isReplicated)
        if (acknowledged.length > 0) return { acknowledged, failure: undefined }
      } else {
        this.#logger.warn({ problem: error.message, code: error.code }, 'Messages are published one by one')
        this.#takesBatches = false
      }
      return await this.#publishSingly(connection, batch)
    }
  }

  /** Sends all of a batch without waiting in between; resolves to the sequence of its first message. */
  async #sendBatch(connection: NatsConnection, batch: readonly OutgoingRow[]): Promise<number> {
    const id = nuid.next()
    const answers: Promise<BatchAnswer>[] = []
    for (const [index, row] of batch.entries()) {
      const isLast = index === batch.length - 1
      const headers = encodeHeaders(row, this.#service)
      headers.append('Nats-Batch-Id', id)
      headers.append('Nats-Batch-Sequence', String(index + 1))
      if (isLast) headers.append('Nats-Batch-Commit', '1')
      // The first answer says why a batch is not begun, the last what became of it; nothing else is answered.
      if (index > 0 && !isLast) connection.publish(row.subject, row.body, { headers })
      else {
        const answer = connection.request(row.subject, row.body, { headers, timeout: ACK_TIMEOUT_MS })
        answers.push(answer.then((message) => (message.data.length === 0 ? {} : message.json<BatchAnswer>())))
      }
    }
    const [begun = {}, committed = {}] = await Promise.all(answers)
    if (begun.error !== undefined) throw new BatchRefused(begun)
    if (committed.error !== undefined) throw new BatchRefused(committed)
    if (committed.seq === undefined || committed.count !== batch.length) {
      throw new Error('The stream acknowledged another batch than was sent')
    }
    return committed.seq - batch.length + 1
  }

  /**
   * Finds which rows the stream has, at once and without storing any: each is sent with an expectation that is never met, which
   * refuses what is new. Whether a message is a repetition is looked at before the expected last id by a server alone, and
   * before the expected last sequence by several (NATS 2.15.1, `processJetStreamMsg` and `checkMsgHeadersPreClusteredProposal`).
   * Another order would recognise nothing.
   */
  async #recognise(
    connection: NatsConnection,
    batch: readonly OutgoingRow[],
    isReplicated: boolean,
  ): Promise<readonly Acknowledgement[]> {
    const expect = isReplicated ? { lastSequence: Number.MAX_SAFE_INTEGER } : { lastMsgID: nuid.next() }
    const results = await this.#sendSingly(connection, batch, { expect })
    return results.flatMap(({ row, ack }) =>
      ack?.duplicate === true ? [{ id: row.id, sequence: ack.seq, isKnown: true }] : [],
    )
  }

  async #publishSingly(connection: NatsConnection, all: readonly OutgoingRow[]): Promise<Publication> {
    const results = await this.#sendSingly(connection, firstOfEachAggregate(all))
    return {
      acknowledged: results.flatMap(({ row, ack }) =>
        ack === undefined ? [] : [{ id: row.id, sequence: ack.seq, isKnown: ack.duplicate }],
      ),
      failure: results.findLast(({ failure }) => failure !== undefined)?.failure,
    }
  }

  async #sendSingly(
    connection: NatsConnection,
    rows: readonly OutgoingRow[],
    options: Partial<JetStreamPublishOptions> = {},
  ): Promise<readonly Sent[]> {
    const client = jetstream(connection)
    return await Promise.all(
      rows.map(async (row): Promise<Sent> => {
        try {
          const headers = encodeHeaders(row, this.#service)
          return {
            row,
            ack: await client.publish(row.subject, row.body, { ...options, headers, timeout: ACK_TIMEOUT_MS }),
          }
        } catch (error) {
          return { row, failure: error }
        }
      }),
    )
  }
}

/** As many of the rows as one batch takes; the others wait for the next pass. */
function batchOf(rows: readonly OutgoingRow[]): readonly OutgoingRow[] {
  let bytes = 0
  const end = rows.findIndex(({ body }, n) => {
    bytes += Buffer.byteLength(body)
    return n === BATCH_MESSAGES_MAX || (bytes > BATCH_BYTES_MAX && n > 0)
  })
  return end === -1 ? rows : rows.slice(0, end)
}

/**
 * Of each aggregate the first row. Two messages that are sent singly are stored in any order, and one alone may be refused or
 * reach a stream that was made in between.
 */
function firstOfEachAggregate(rows: readonly OutgoingRow[]): readonly OutgoingRow[] {
  return [...Map.groupBy(rows, aggregateOf).values()].flatMap(([first]) => (first === undefined ? [] : [first]))
}
