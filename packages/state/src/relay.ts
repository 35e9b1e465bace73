import type { Logger } from 'pino'
import { Outage } from '@saas/config'
import type { ServiceName } from '@saas/contracts'
import type { Tracing } from '@saas/tracing'
import type { Broker } from './broker.ts'
import type { OutgoingRow } from './codec.ts'
import type { Database, Transaction } from './database.ts'
import { DependencyUnavailable } from './errors.ts'
import { batchSize, outboxPending, published, publishFailures } from './metrics.ts'
import { pause } from './pause.ts'
import { Publisher } from './publisher.ts'
import { SHARD_LOCK_CLASS, SHARDS } from './relay-shards.ts'
import { IS_WHOLE, Republication } from './republication.ts'
import { PublishSpans } from './spans.ts'
import { sql, type Statement } from './statement.ts'
import { STREAM, type Stream, type StreamState } from './stream.ts'
import { Wake } from './wake.ts'

/** As many as fit into one batch of the stream. */
const PASS_ROWS_MAX = 1_000
const POLL_INTERVAL_MS = 200
const STREAM_CHECK_INTERVAL_MS = 5_000
const BACKOFF_FIRST_MS = 100
const BACKOFF_MAX_MS = 2_000
const STREAM_FULL_ALARM = 0.7

export interface RelayOptions {
  readonly database: Database
  readonly broker: Broker
  readonly stream: Stream
  readonly logger: Logger
  readonly service: ServiceName
  readonly tracing: Tracing | undefined
}

const existsPending = sql<{ pending: boolean }>(
  'state.exists_pending',
  'select exists (select from outbox where published_at is null) as pending',
)

// Locks are the transaction's own, so a pooler in transaction mode does no harm and a killed replica leaves none. The shards are
// handed to the next statement by a setting, so that it need not wait for the answer.
// The commit need not wait for the disk: a mark that a crash takes back is a message that is published again under its id.
const lockShards = sql<{ shards: string }>(
  'state.lock_shards',
  `select
     set_config('saas.shards', coalesce(string_agg(shard::text, ','), ''), true) as shards,
     set_config('synchronous_commit', 'off', true)
   from generate_series(0, ${SHARDS - 1}) as shard
   where pg_try_advisory_xact_lock(${SHARD_LOCK_CLASS}, shard)`,
)

// A statement of its own after the locks: its snapshot then has what the replica that held them before has marked.
// There is no cursor: a row that commits late with a lower id is simply still unpublished.
// Each shard that has rows gives the same number at most, so that none waits while others are busy.
function selectPending(name: string, which: '' | 'distinct on (aggregate_type, aggregate_id)', condition = 'true') {
  return sql<OutgoingRow>(
    name,
    `with busy as (
       select shard
       from unnest(string_to_array(current_setting('saas.shards'), ',')::smallint[]) as held (shard)
       where exists (select from outbox where outbox.published_at is null and outbox.shard = held.shard)
     )
     select pending.*
     from busy
     cross join lateral (
       select ${which}
         id, aggregate_type, aggregate_id, aggregate_version, subject, data::text as body, trace_parent, created_at
       from outbox
       where published_at is null
         and shard = busy.shard
         and ${condition}
       order by aggregate_type, aggregate_id, aggregate_version
       limit (select ${PASS_ROWS_MAX} / count(*) from busy)
     ) as pending`,
  )
}

// Many versions of an aggregate at once, in their order: a cart that was written a thousand times is on the stream in some passes.
const selectAll = selectPending('state.select_pending', '')

// After a failure only the lowest unpublished version of each, sent one by one, so that one that the stream refuses, or that cannot even
// be sent, keeps no other aggregate waiting.
const selectLowest = selectPending('state.select_pending_lowest', 'distinct on (aggregate_type, aggregate_id)')

// While it is being written down what a lost stream had, those of which all older versions are known.
const selectWhole = selectPending('state.select_pending_whole', 'distinct on (aggregate_type, aggregate_id)', IS_WHOLE)

interface Position {
  readonly last_sequence: number
  readonly is_under_way: boolean
  readonly is_written: boolean
}

const selectPosition = sql<Position>(
  'state.select_position',
  `select last_sequence, num_nonnulls(republish_below, keep_below) > 0 as is_under_way, keep_below is null as is_written
   from stream_position
   where stream = '${STREAM}'
     and stream_created_at = $1::timestamptz`,
)

const markPublished = sql(
  'state.mark_published',
  `with marked as (
     update outbox
     set published_at = clock_timestamp(), stream_created_at = $3::timestamptz, stream_sequence = ack.sequence
     from unnest($1::uuid[], $2::bigint[]) as ack(id, sequence)
     where outbox.id = any($1::uuid[])
       and outbox.id = ack.id
   )
   insert into stream_position (stream, stream_created_at, last_sequence)
   values ('${STREAM}', $3::timestamptz, $4)
   on conflict (stream) do update
   set last_sequence = greatest(stream_position.last_sequence, excluded.last_sequence)
   where stream_position.stream_created_at = excluded.stream_created_at`,
)

/** The stream has fewer messages than it acknowledged to us before. */
class StreamWentBack extends Error {}

/** The stream is not the one that was looked at. */
class StreamChanged extends Error {}

/**
 * Publishes the outbox. Runs in every replica: each pass takes the shards nobody else holds, publishes what is unpublished in
 * the order of the versions, waits for the acknowledgements and marks what was acknowledged. Whatever fails in between is
 * published again under the same id, which the stream and the inboxes recognise.
 */
export class Relay implements AsyncDisposable {
  readonly #options: RelayOptions
  readonly #republication: Republication
  readonly #publisher: Publisher
  readonly #outage: Outage
  readonly #closed = new AbortController()
  readonly #wake = new Wake()
  #running: Promise<void> | undefined
  #known: StreamState | undefined
  #checkedAtMs = 0
  /** The last pass had rows that were not acknowledged. */
  #failed = false
  #isNearlyFull = false

  constructor(options: RelayOptions) {
    this.#options = options
    this.#republication = new Republication(options.database, options.stream, options.logger)
    this.#publisher = new Publisher(options.service, options.logger)
    this.#outage = new Outage(options.logger, {
      begun: 'The outbox cannot be published',
      over: 'The outbox is published again',
    })
    options.broker.onReconnect(() => {
      this.#publisher.forget()
      this.#known = undefined
      this.nudge()
    })
  }

  start(): void {
    this.#running ??= this.#run()
  }

  nudge(): void {
    this.#wake.signal()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort()
    this.#wake.signal()
    await this.#running
  }

  async #run(): Promise<void> {
    let backoffMs = BACKOFF_FIRST_MS
    // After a nudge rows are known to wait; after a poll a cheaper statement than a pass looks.
    let isWanted = false
    while (!this.#closed.signal.aborted) {
      try {
        const stream = await this.#checkedStream()
        // Before the pass, which fails as long as all that waits is refused.
        const hasAdvanced = await this.#republication.advance()
        if (isWanted || hasAdvanced || (await this.#isPending())) {
          const rows = await this.#pass(stream)
          this.#republication.published(rows)
          isWanted = rows > 0 || hasAdvanced
        }
        if (!isWanted) isWanted = await this.#wake.wait(POLL_INTERVAL_MS)
        backoffMs = BACKOFF_FIRST_MS
        this.#outage.worked()
      } catch (error) {
        if (this.#closed.signal.aborted) return
        this.#known = undefined
        this.#failed = true
        await this.#report(error).catch((cause: unknown) => {
          this.#options.logger.warn({ err: cause }, 'The stream went back, which is not written down yet')
        })
        await pause(backoffMs, this.#closed.signal)
        backoffMs = Math.min(backoffMs * 2, BACKOFF_MAX_MS)
      }
    }
  }

  async #isPending(): Promise<boolean> {
    const { database, service } = this.#options
    const [row] = await database.read(existsPending)
    if (row?.pending === true) return true
    outboxPending.set({ service }, 0)
    return false
  }

  /** Looks at the stream at the start, after every reconnection and failure, and every five seconds. */
  async #checkedStream(): Promise<StreamState> {
    const isRecent = performance.now() - this.#checkedAtMs < STREAM_CHECK_INTERVAL_MS
    if (this.#known !== undefined && isRecent) return this.#known
    const stream = await this.#options.stream.ensure()
    await this.#republication.whenNeeded(stream)
    const { bytes, bytesMax } = stream
    const isNearlyFull = bytesMax > 0 && bytes / bytesMax >= STREAM_FULL_ALARM
    if (isNearlyFull && !this.#isNearlyFull) this.#options.logger.warn({ bytes, bytesMax }, 'The stream is nearly full')
    this.#isNearlyFull = isNearlyFull
    this.#known = stream
    this.#checkedAtMs = performance.now()
    return stream
  }

  async #pass(stream: StreamState): Promise<number> {
    const { database, service } = this.#options
    return await database.transaction(async (tx) => {
      const select = stream.takesBatches && !this.#failed ? selectAll : selectLowest
      // One round trip for all: Postgres runs them one after another.
      const [, waiting, [position]] = await Promise.all([
        tx.query(lockShards),
        tx.query(select),
        tx.query(selectPosition, [stream.createdAt]),
      ])
      if (waiting.length === 0) return 0
      const rows = await this.#publishable(tx, position, waiting, select)
      if (rows.length === 0) return 0
      batchSize.observe({ service, kind: 'relay' }, rows.length)
      outboxPending.set({ service }, rows.length)
      // A deleted stream is made again within milliseconds. What a new one got before the older versions that went down with
      // the old one would stand before them for ever: no acknowledgement comes early enough to tell.
      const { createdAt } = await this.#options.stream.ensure()
      if (createdAt !== stream.createdAt) throw new StreamChanged('The stream was made anew')
      const failure = await this.#publish(tx, rows, stream, position?.last_sequence ?? 0)
      this.#failed = failure !== undefined
      if (this.#failed) this.#known = undefined
      return rows.length
    })
  }

  /** All that waits, while the stream has everything; otherwise what nothing has to stand before, and what does with it. */
  async #publishable(
    tx: Transaction,
    position: Position | undefined,
    waiting: readonly OutgoingRow[],
    select: Statement<OutgoingRow>,
  ): Promise<readonly OutgoingRow[]> {
    if (position?.is_under_way !== true) return waiting
    if (position.is_written) return await this.#republication.withOlderVersions(tx, waiting, select)
    return await this.#republication.withOlderVersions(tx, await tx.query(selectWhole), selectWhole)
  }

  /** Publishes the rows and marks those that were acknowledged; the others stay as they are. */
  async #publish(
    tx: Transaction,
    rows: readonly OutgoingRow[],
    stream: StreamState,
    lastSequence: number,
  ): Promise<unknown> {
    const { broker, service, logger } = this.#options
    const connection = await broker.usable()
    const spans = new PublishSpans(this.#options.tracing, rows)
    const publication = await this.#publisher.publish(
      connection,
      spans.rows,
      this.#failed ? { ...stream, takesBatches: false } : stream,
    )
    const { acknowledged, failure } = publication
    spans.end(publication)
    if (acknowledged.some(({ isKnown, sequence }) => !isKnown && sequence <= lastSequence)) throw new StreamWentBack()
    if (acknowledged.length > 0) {
      const sequences = acknowledged.map(({ sequence }) => sequence)
      tx.send(markPublished, [
        acknowledged.map(({ id }) => id),
        sequences,
        stream.createdAt,
        sequences.reduce((highest, sequence) => Math.max(highest, sequence), 0),
      ])
    }
    published.inc({ service }, acknowledged.length)
    if (failure !== undefined) {
      publishFailures.inc({ service }, rows.length - acknowledged.length)
      const failed = rows.length - acknowledged.length
      // Each pass tries them again; how many there are is a metric.
      if (!this.#failed) logger.warn({ err: failure, failed }, 'Messages were not acknowledged')
      if (acknowledged.length === 0)
        throw new DependencyUnavailable('The stream acknowledges nothing', { cause: failure })
    }
    return failure
  }

  async #report(error: unknown): Promise<void> {
    this.#outage.failed(error)
    if (error instanceof StreamWentBack) await this.#republication.force()
  }
}
