import type { Logger } from 'pino'
import { aggregateOf, type Aggregate, type OutgoingRow } from './codec.ts'
import type { Database, Transaction } from './database.ts'
import { HIGHEST_ID, NIL_ID } from './id-page.ts'
import { SHARD_LOCK_CLASS, SHARDS } from './relay-shards.ts'
import { sql, type Statement } from './statement.ts'
import { STREAM, type Stream, type StreamState } from './stream.ts'

const ROWS_PER_STATEMENT = 20_000
const RECALLED_PER_STATEMENT = 2_000
/** So many kept messages join those that wait, when fewer than that wait. */
const INSTALMENT_ROWS = 500
/** The last aggregate of an instalment may have more. */
const INSTALMENT_VERSIONS = 2_000
/** However many new ones wait, the kept ones get on as well. */
const INSTALMENT_INTERVAL_MS = 1_000
/** So many of them are counted. */
export const KEPT_MAX = 100_000

/** What was last seen of the stream, compared with one. */
interface Known {
  readonly is_same: boolean
  readonly last_sequence: number
  readonly is_under_way: boolean
}

const selectKnownStream = sql<Known>(
  'state.select_known_stream',
  `select stream_created_at = $1::timestamptz as is_same, last_sequence, republish_below is not null as is_under_way
   from stream_position
   where stream = '${STREAM}'`,
)

// Relays take these locks for a pass; whoever holds all of them is alone. A pass lasts at most as long as its acks.
const waitForPasses = sql('state.wait_for_passes', `set local lock_timeout = '4s'`)
const lockAllShards = sql(
  'state.lock_all_shards',
  `select pg_advisory_xact_lock(${SHARD_LOCK_CLASS}, shard) from generate_series(0, ${SHARDS - 1}) as shard`,
)

const tryAllShards = sql<{ is_alone: boolean }>(
  'state.try_all_shards',
  `select bool_and(pg_try_advisory_xact_lock(${SHARD_LOCK_CLASS}, shard)) as is_alone
   from generate_series(0, ${SHARDS - 1}) as shard`,
)

const keepPublished = sql<{ rows: number; last_id: string | null }>(
  'state.keep_published',
  `with chosen as materialized (
     select id, aggregate_type, aggregate_id
     from outbox
     where id > $1
       and published_at is not null
     order by id
     limit ${ROWS_PER_STATEMENT}
   ), kept as (
     insert into republication (message_id, aggregate_type, aggregate_id)
     select id, aggregate_type, aggregate_id
     from chosen
     on conflict do nothing
   )
   select count(*)::integer as rows, (select id from chosen order by id desc limit 1) as last_id
   from chosen`,
)

const rememberStream = sql(
  'state.remember_stream',
  `insert into stream_position (stream, stream_created_at, last_sequence, republish_below)
   values ('${STREAM}', $1::timestamptz, $2, $3)
   on conflict (stream) do update
   set stream_created_at = excluded.stream_created_at,
     last_sequence = excluded.last_sequence,
     republish_below = excluded.republish_below`,
)

const rememberFirstStream = sql(
  'state.remember_first_stream',
  `insert into stream_position (stream, stream_created_at, last_sequence)
   values ('${STREAM}', $1::timestamptz, 0)
   on conflict (stream) do nothing`,
)

const countWaiting = sql<{ waiting: number }>(
  'state.count_waiting',
  `select count(*)::integer as waiting
   from (
     select
     from outbox
     where published_at is null
     limit ${INSTALMENT_ROWS}
   ) as first`,
)

export const countKept = sql<{ rows: number }>(
  'state.count_kept',
  `select count(*)::integer as rows
   from (
     select
     from republication
     limit ${KEPT_MAX + 1}
   ) as first`,
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

// Where the lost stream had them stays, which tells them from what is new.
const recall = sql<{ rows: number }>(
  'state.recall',
  `with recalled as (
     delete from republication
     where message_id in (
       select message_id
       from unnest($1::text[], $2::text[]) as waiting (aggregate_type, aggregate_id)
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

/**
 * Publishes all kept rows again when the stream is not the one that has them: it was created anew, or has fewer messages
 * than it acknowledged. That it is so is written down while every relay is kept out. Then the kept rows become unpublished again
 * in instalments, the newest first, so that new messages need not wait for a week of old ones; of an aggregate of which something
 * new waits, the older versions come first.
 */
export class Republication {
  readonly #database: Database
  readonly #stream: Pick<Stream, 'ensure'>
  readonly #logger: Logger
  #isUnderWay = false
  #instalmentAtMs = -Infinity

  constructor(database: Database, stream: Pick<Stream, 'ensure'>, logger: Logger) {
    this.#database = database
    this.#stream = stream
    this.#logger = logger
  }

  /** Compares the stream with what this service last saw. */
  async whenNeeded(stream: StreamState): Promise<void> {
    const [known] = await this.#database.read(selectKnownStream, [stream.createdAt])
    this.#isUnderWay = known?.is_under_way ?? false
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
    await this.#republish(() => true)
  }

  /**
   * Lets some of the kept rows join those that wait for being published, and says whether it did: not while another relay
   * publishes or many rows wait already. To be called after each pass; costs nothing while the stream has everything.
   */
  async instalment(): Promise<boolean> {
    if (!this.#isUnderWay) return false
    const isDue = performance.now() - this.#instalmentAtMs > INSTALMENT_INTERVAL_MS
    const newest = await this.#database.transaction(async (tx) => {
      const [[lock], [first]] = await Promise.all([tx.query(tryAllShards), tx.query(countWaiting)])
      if (lock?.is_alone !== true || (!isDue && first?.waiting === INSTALMENT_ROWS)) return undefined
      const aggregates = await tx.query(selectNewest)
      await recallAll(tx, aggregates)
      await tx.query(moveBelow, [aggregates.at(-1)?.newest_id ?? null])
      return aggregates
    })
    if (newest === undefined) return false
    this.#instalmentAtMs = performance.now()
    if (newest.length > 0) return true
    this.#isUnderWay = false
    this.#logger.info('The last of the kept messages is published again')
    return false
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

  /**
   * Asks for both sides again when no relay publishes: what the stream said before may be older than what another replica has
   * published and written down since, and a stream that only looks as if it went back would cost everything of seven days.
   */
  async #republish(isNeeded: (known: Known | undefined, stream: StreamState) => boolean): Promise<void> {
    const rows = await this.#database.transaction(async (tx) => {
      await tx.query(waitForPasses)
      await tx.query(lockAllShards)
      const stream = await this.#stream.ensure()
      const [known] = await tx.query(selectKnownStream, [stream.createdAt])
      if (!isNeeded(known, stream)) return 0
      let count = 0
      for (let after: string | null = NIL_ID; after !== null;) {
        const [kept]: { rows: number; last_id: string | null }[] = await tx.query(keepPublished, [after])
        count += kept?.rows ?? 0
        after = kept?.last_id ?? null
      }
      await tx.query(rememberStream, [stream.createdAt, stream.lastSequence, HIGHEST_ID])
      return count
    })
    this.#isUnderWay = true
    if (rows > 0) this.#logger.warn({ rows }, 'The stream is new or went back; all kept rows are published again')
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
