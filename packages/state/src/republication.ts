import type { Logger } from 'pino'
import { aggregateOf, type Aggregate, type OutgoingRow } from './codec.ts'
import type { Database, Transaction } from './database.ts'
import { HIGHEST_ID, UUID } from './id-page.ts'
import { SHARD_LOCK_CLASS, SHARDS } from './relay-shards.ts'
import { sql, type Statement } from './statement.ts'
import { STREAM, type Stream, type StreamState } from './stream.ts'

/** So many rows are written down in one step: what is new waits for it. */
const STEP_ROWS = 5_000
const RECALLED_PER_STATEMENT = 2_000
/** So many kept messages join those that wait, when fewer than that wait. */
const INSTALMENT_ROWS = 500
/** The last aggregate of an instalment may have more. */
const INSTALMENT_VERSIONS = 2_000
/** However many new ones wait, the kept ones get on as well: so often at most, and with a tenth of what is published. */
const INSTALMENT_INTERVAL_MS = 1_000
const PUBLISHED_PER_KEPT = 10
/** So often when nothing is published, as by a full stream, or when only such rows wait that cannot be sent. */
const INSTALMENT_INTERVAL_MAX_MS = 60_000
/** By so much the clocks of who makes the ids of aggregates and messages may differ. */
const CLOCK_ERROR_SECONDS = 60
/** So many of them are counted. */
export const KEPT_MAX = 100_000
/** Beside those of the shards: held by whoever writes down, and by whoever begins that anew. */
const WRITER_LOCK = SHARDS

/** What was last seen of the stream, compared with one. */
interface Known {
  readonly is_same: boolean
  readonly last_sequence: number
  readonly is_under_way: boolean
  readonly is_written: boolean
}

const selectKnownStream = sql<Known>(
  'state.select_known_stream',
  `select stream_created_at = $1::timestamptz as is_same, last_sequence,
     num_nonnulls(republish_below, keep_below) > 0 as is_under_way, keep_below is null as is_written
   from stream_position
   where stream = '${STREAM}'`,
)

// Relays take these locks for a pass; whoever holds all of them is alone. A pass lasts at most as long as its acks.
const waitForPasses = sql('state.wait_for_passes', `set local lock_timeout = '4s'`)
const lockAll = sql(
  'state.lock_all',
  `select pg_advisory_xact_lock(${SHARD_LOCK_CLASS}, lock) from generate_series(0, ${WRITER_LOCK}) as lock`,
)

const tryAllShards = sql<{ is_alone: boolean }>(
  'state.try_all_shards',
  `select bool_and(pg_try_advisory_xact_lock(${SHARD_LOCK_CLASS}, shard)) as is_alone
   from generate_series(0, ${SHARDS - 1}) as shard`,
)

const tryWriterLock = sql<{ is_writer: boolean }>(
  'state.try_writer_lock',
  `select pg_try_advisory_xact_lock(${SHARD_LOCK_CLASS}, ${WRITER_LOCK}) as is_writer`,
)

// The newest first, as far as the last step did not come. What was published on the new stream already is only published once more.
const keepPublished = sql<{ last_id: string | null }>(
  'state.keep_published',
  `with step as materialized (
     select id, aggregate_type, aggregate_id, published_at
     from outbox
     where id < (select keep_below from stream_position where stream = '${STREAM}')
     order by id desc
     limit ${STEP_ROWS}
   ), kept as (
     insert into republication (message_id, aggregate_type, aggregate_id)
     select id, aggregate_type, aggregate_id
     from step
     where published_at is not null
     on conflict do nothing
   )
   select (select id from step order by id limit 1) as last_id`,
)

// By itself, at the end: a pass waits for this row when it marks what it has published.
const moveKeepBelow = sql(
  'state.move_keep_below',
  `update stream_position
   set keep_below = $1, republish_below = '${HIGHEST_ID}'
   where stream = '${STREAM}'
     and keep_below is not null`,
)

const rememberStream = sql(
  'state.remember_stream',
  `insert into stream_position (stream, stream_created_at, last_sequence, republish_below, keep_below)
   values ('${STREAM}', $1::timestamptz, $2, '${HIGHEST_ID}', '${HIGHEST_ID}')
   on conflict (stream) do update
   set stream_created_at = excluded.stream_created_at,
     last_sequence = excluded.last_sequence,
     republish_below = excluded.republish_below,
     keep_below = excluded.keep_below`,
)

const rememberFirstStream = sql(
  'state.remember_first_stream',
  `insert into stream_position (stream, stream_created_at, last_sequence)
   values ('${STREAM}', $1::timestamptz, 0)
   on conflict (stream) do nothing`,
)

const countWaiting = sql<{ waiting: number; is_written: boolean }>(
  'state.count_waiting',
  `select count(*)::integer as waiting,
     (select keep_below is null from stream_position where stream = '${STREAM}') as is_written
   from (
     select
     from outbox
     where published_at is null
     limit ${INSTALMENT_ROWS}
   ) as first`,
)

export const countKept = sql<{ rows: number }>(
  'state.count_kept',
  `select (select count(*) from (select from republication limit ${KEPT_MAX + 1}) as first)::integer
     + (select count(*) from stream_position where keep_below is not null)::integer as rows`,
)

// Whole aggregates, as long as they do not have too many versions together. All with a higher id than the last one's are of these.
const selectNewest = sql<Aggregate & { readonly newest_id: string }>(
  'state.select_newest',
  `with newest as materialized (
     select message_id, aggregate_type, aggregate_id
     from republication
     where message_id < (select republish_below from stream_position where stream = '${STREAM}')
     order by message_id desc
     limit ${INSTALMENT_ROWS}
   ), counted as (
     select aggregate_type, aggregate_id, newest_id,
       (
         select count(*)
         from republication
         where republication.aggregate_type = aggregate.aggregate_type
           and republication.aggregate_id = aggregate.aggregate_id
       ) as versions
     from (
       select distinct on (aggregate_type, aggregate_id) aggregate_type, aggregate_id, message_id as newest_id
       from newest
       order by aggregate_type, aggregate_id, message_id desc
     ) as aggregate
   ), summed as (
     select *, sum(versions) over (order by newest_id desc) - versions as before
     from counted
   )
   select aggregate_type, aggregate_id, newest_id
   from summed
   where before < ${INSTALMENT_VERSIONS}
   order by newest_id desc`,
)

const moveBelow = sql('state.move_below', `update stream_position set republish_below = $1 where stream = '${STREAM}'`)

// Where the lost stream had them stays, which tells them from what is new. Each aggregate once: fewer rows than the limit mean that none is
// left, which they do not when a row is found for each of its aggregate's new versions.
const recall = sql<{ rows: number }>(
  'state.recall',
  `with recalled as (
     delete from republication
     where message_id in (
       select message_id
       from (
         select distinct aggregate_type, aggregate_id
         from unnest($1::text[], $2::text[]) as waiting (aggregate_type, aggregate_id)
       ) as aggregate
       join republication using (aggregate_type, aggregate_id)
       limit ${RECALLED_PER_STATEMENT}
     )
     returning message_id
   ), unpublished as (
     update outbox
     set published_at = null
     from recalled
     where outbox.id = recalled.message_id
   )
   select count(*)::integer as rows
   from recalled`,
)

/** What a pass may publish while it is not yet written down all that was: see `Republication`. */
export const IS_WHOLE = `(
  aggregate_version = 1
  or case when aggregate_id ~ '${UUID.source}' then uuid_extract_timestamp(aggregate_id::uuid) end > (
    select uuid_extract_timestamp(keep_below) + interval '${CLOCK_ERROR_SECONDS} seconds'
    from stream_position
    where stream = '${STREAM}'
  )
)`

/**
 * Publishes all kept rows again when the stream is not the one that has them: it was created anew, or has fewer messages
 * than it acknowledged.
 *
 * - That it is so is noticed while every relay is kept out.
 * - Which rows those are is written down in steps, from the newest to the oldest.
 * - Then they become unpublished again in instalments, the newest first, so that new messages need not wait for a week of old ones.
 *
 * Of an aggregate of which something new waits, the older versions come first. As long as not all are written down that can only be known
 * of one that is younger than the last step came: messages of the others wait for the end of the steps.
 */
export class Republication {
  readonly #database: Database
  readonly #stream: Pick<Stream, 'ensure'>
  readonly #logger: Logger
  #isUnderWay = false
  #isWritten = true
  #hasGoneBack = false
  #instalmentAtMs = -Infinity
  /** So many rows have to be published before the next instalment, when many wait. */
  #owed = 0

  constructor(database: Database, stream: Pick<Stream, 'ensure'>, logger: Logger) {
    this.#database = database
    this.#stream = stream
    this.#logger = logger
  }

  /** Compares the stream with what this service last saw. */
  async whenNeeded(stream: StreamState): Promise<void> {
    const [known] = await this.#database.read(selectKnownStream, [stream.createdAt])
    this.#isUnderWay = known?.is_under_way ?? false
    this.#isWritten = known?.is_written ?? true
    if (this.#hasGoneBack) return await this.force()
    if (isTheSame(known, stream)) return
    // Nothing was ever published, so nothing can be missing.
    if (known === undefined) {
      await this.#database.write(rememberFirstStream, [stream.createdAt])
      return
    }
    await this.#republish((again, now) => !isTheSame(again, now))
  }

  /** Publishes everything again although the stream looks right: an acknowledgement has shown that it went back. */
  async force(): Promise<void> {
    // Tried until it is done: who looks at the stream again may see nothing wrong with it.
    this.#hasGoneBack = true
    await this.#republish(() => true)
    this.#hasGoneBack = false
  }

  /**
   * Goes on by one step or one instalment, and says whether it did. To be called between two passes; costs nothing while the stream has
   * everything.
   */
  async advance(): Promise<boolean> {
    if (!this.#isUnderWay) return false
    return this.#isWritten ? await this.#recallSome() : await this.#writeSome()
  }

  /** To be told of each pass: so many rows were published. */
  published(rows: number): void {
    this.#owed -= rows
  }

  /**
   * What a relay may publish of the rows it read, in a transaction that holds their shards: when the stream lacks older versions of
   * their aggregates, those with them.
   */
  async withOlderVersions(
    tx: Transaction,
    rows: readonly OutgoingRow[],
    select: Statement<OutgoingRow>,
  ): Promise<readonly OutgoingRow[]> {
    if ((await recallAll(tx, rows)) === 0) return rows
    // What was written since then may be of other aggregates, whose older versions nobody looked for.
    const known = new Set(rows.map(aggregateOf))
    return (await tx.query(select)).filter((row) => known.has(aggregateOf(row)))
  }

  /** A step of writing down; not while another replica takes one. Killed in the middle of it, the next one takes it again. */
  async #writeSome(): Promise<boolean> {
    return await this.#database.transaction(async (tx) => {
      const [lock] = await tx.query(tryWriterLock)
      if (lock?.is_writer !== true) return false
      const [step] = await tx.query(keepPublished)
      const below = step?.last_id ?? null
      tx.send(moveKeepBelow, [below])
      this.#isWritten = below === null
      return true
    })
  }

  /**
   * An instalment: some of the kept rows join those that wait for being published. Not while another relay publishes. When many wait
   * already they would stand before those, as most of them are of older aggregates: then only when ten times as many as the last one had are
   * published.
   */
  async #recallSome(): Promise<boolean> {
    const waitedMs = performance.now() - this.#instalmentAtMs
    const isDue = waitedMs > (this.#owed > 0 ? INSTALMENT_INTERVAL_MAX_MS : INSTALMENT_INTERVAL_MS)
    const instalment = await this.#database.transaction(async (tx) => {
      const [[lock], [first]] = await Promise.all([tx.query(tryAllShards), tx.query(countWaiting)])
      // Another replica has noticed that the stream was lost again.
      this.#isWritten = first?.is_written ?? true
      if (lock?.is_alone !== true || !this.#isWritten) return undefined
      if (!isDue && first?.waiting === INSTALMENT_ROWS) return undefined
      const aggregates = await tx.query(selectNewest)
      const rows = await recallAll(tx, aggregates)
      await tx.query(moveBelow, [aggregates.at(-1)?.newest_id ?? null])
      return { rows, isLast: aggregates.length === 0 }
    })
    if (instalment === undefined) return false
    this.#instalmentAtMs = performance.now()
    this.#owed = PUBLISHED_PER_KEPT * instalment.rows
    if (!instalment.isLast) return true
    this.#isUnderWay = false
    this.#logger.info('The last of the kept messages is published again')
    return false
  }

  /**
   * Asks for both sides again when no relay publishes: what the stream said before may be older than what another replica has
   * published and written down since, and a stream that only looks as if it went back would cost everything of seven days.
   */
  async #republish(isNeeded: (known: Known | undefined, stream: StreamState) => boolean): Promise<void> {
    const isLost = await this.#database.transaction(async (tx) => {
      await tx.query(waitForPasses)
      await tx.query(lockAll)
      const stream = await this.#stream.ensure()
      const [known] = await tx.query(selectKnownStream, [stream.createdAt])
      if (!isNeeded(known, stream)) return false
      await tx.query(rememberStream, [stream.createdAt, stream.lastSequence])
      return true
    })
    if (!isLost) return
    this.#isUnderWay = true
    this.#isWritten = false
    this.#logger.warn('The stream is new or went back; all kept rows are published again')
  }
}

/** Makes everything of the aggregates that this stream lacks unpublished again; says how many rows that were. */
async function recallAll(tx: Transaction, aggregates: readonly Aggregate[]): Promise<number> {
  const names = [aggregates.map((row) => row.aggregate_type), aggregates.map((row) => row.aggregate_id)]
  let count = 0
  for (let rows = RECALLED_PER_STATEMENT; rows === RECALLED_PER_STATEMENT; count += rows) {
    const [recalled] = await tx.query(recall, names)
    rows = recalled?.rows ?? 0
  }
  return count
}

function isTheSame(known: Known | undefined, stream: StreamState): boolean {
  return known !== undefined && known.is_same && stream.lastSequence >= known.last_sequence
}
