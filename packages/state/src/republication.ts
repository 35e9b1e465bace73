import type { Logger } from 'pino'
import type { Database } from './database.ts'
import { SHARD_LOCK_CLASS, SHARDS } from './relay-shards.ts'
import { sql } from './statement.ts'
import { STREAM, type Stream, type StreamState } from './stream.ts'

const ROWS_PER_STATEMENT = 5_000
const NIL_ID = '00000000-0000-0000-0000-000000000000'

/** What was last seen of the stream, compared with one. */
interface Known {
  readonly is_same: boolean
  readonly last_sequence: number
}

const selectKnownStream = sql<Known>(
  'state.select_known_stream',
  `select stream_created_at = $1::timestamptz as is_same, last_sequence
   from stream_position
   where stream = '${STREAM}'`,
)

// Relays take these locks for a pass; whoever holds all of them is alone. A pass lasts at most as long as its acks.
const waitForPasses = sql('state.wait_for_passes', `set local lock_timeout = '4s'`)
const lockAllShards = sql(
  'state.lock_all_shards',
  `select pg_advisory_xact_lock(${SHARD_LOCK_CLASS}, shard) from generate_series(0, ${SHARDS - 1}) as shard`,
)

const forgetPublished = sql<{ id: string }>(
  'state.forget_published',
  `with chosen as (
     select id
     from outbox
     where id > $1
       and published_at is not null
     order by id
     limit ${ROWS_PER_STATEMENT}
     for update
   )
   update outbox
   set published_at = null, stream_created_at = null, stream_sequence = null
   from chosen
   where outbox.id = chosen.id
   returning outbox.id`,
)

const rememberStream = sql(
  'state.remember_stream',
  `insert into stream_position (stream, stream_created_at, last_sequence)
   values ('${STREAM}', $1::timestamptz, $2)
   on conflict (stream) do update
   set stream_created_at = excluded.stream_created_at, last_sequence = excluded.last_sequence`,
)

const rememberFirstStream = sql(
  'state.remember_first_stream',
  `insert into stream_position (stream, stream_created_at, last_sequence)
   values ('${STREAM}', $1::timestamptz, 0)
   on conflict (stream) do nothing`,
)

/**
 * Publishes all kept rows again when the stream is not the one that has them: it was created anew, or has fewer messages
 * than it acknowledged. All rows become unpublished in one transaction that keeps every relay out, because an aggregate's
 * newer versions must not overtake its older ones.
 */
export class Republication {
  readonly #database: Database
  readonly #stream: Pick<Stream, 'ensure'>
  readonly #logger: Logger

  constructor(database: Database, stream: Pick<Stream, 'ensure'>, logger: Logger) {
    this.#database = database
    this.#stream = stream
    this.#logger = logger
  }

  /** Compares the stream with what this service last saw. */
  async whenNeeded(stream: StreamState): Promise<void> {
    const [known] = await this.#database.read(selectKnownStream, [stream.createdAt])
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
      for (let after = NIL_ID, size = ROWS_PER_STATEMENT; size === ROWS_PER_STATEMENT;) {
        const forgotten = await tx.query(forgetPublished, [after])
        size = forgotten.length
        count += size
        after = forgotten.reduce((highest, { id }) => (id > highest ? id : highest), after)
      }
      await tx.query(rememberStream, [stream.createdAt, stream.lastSequence])
      return count
    })
    if (rows > 0) this.#logger.warn({ rows }, 'The stream is new or went back; all kept rows are published again')
  }
}

function isTheSame(known: Known | undefined, stream: StreamState): boolean {
  return known !== undefined && known.is_same && stream.lastSequence >= known.last_sequence
}
