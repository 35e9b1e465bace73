import type { Logger } from 'pino'
import type { Clock } from '@saas/config'
import type { Database } from './database.ts'
import { firstIdAt } from './id-time.ts'
import { pause } from './pause.ts'
import { sql, type Statement } from './statement.ts'

const OUTBOX_RETENTION_MS = 7 * 86_400_000
const INBOX_RETENTION_MS = 30 * 86_400_000
/** After their end. Longer than the outbox keeps a message, so that none comes again when nobody remembers that it was dismissed. */
const DEAD_LETTER_RETENTION_MS = 30 * 86_400_000
const ROWS_PER_STATEMENT = 1_000
const INTERVAL_MS = 60_000

// Ids are UUIDs of version 7, so their order is the order of their making and the primary key finds the oldest.
const pruneOutbox = sql<{ pruned: number }>(
  'state.prune_outbox',
  `with pruned as (
     delete from outbox
     where id in (
       select id
       from outbox
       where id < $1
         and published_at is not null
       order by id
       limit ${ROWS_PER_STATEMENT}
       for update skip locked
     )
     returning 1
   )
   select count(*) as pruned from pruned`,
)

const pruneInbox = sql<{ pruned: number }>(
  'state.prune_inbox',
  `with pruned as (
     delete from inbox
     where (consumer, message_id) in (
       select consumer, message_id
       from inbox
       where message_id < $1
       limit ${ROWS_PER_STATEMENT}
       for update skip locked
     )
     returning 1
   )
   select count(*) as pruned from pruned`,
)

const pruneDeadLetters = sql<{ pruned: number }>(
  'state.prune_dead_letters',
  `with pruned as (
     delete from dead_letter
     where id in (
       select id
       from dead_letter
       where coalesce(replayed_at, dismissed_at) < $1
       order by coalesce(replayed_at, dismissed_at)
       limit ${ROWS_PER_STATEMENT}
       for update skip locked
     )
     returning 1
   )
   select count(*) as pruned from pruned`,
)

/** How many rows went. */
export interface Pruned {
  readonly outbox: number
  readonly inbox: number
  readonly deadLetters: number
}

export interface PrunerOptions {
  readonly database: Database
  readonly logger: Logger
  readonly clock: Clock
}

/**
 * Deletes what is past its retention, a bounded batch a statement: published outbox rows after 7 days, inbox rows after 30, and dead letters
 * 30 days after they were replayed or dismissed.
 */
export class Pruner implements AsyncDisposable {
  readonly #options: PrunerOptions
  readonly #closed = new AbortController()
  #running: Promise<void> | undefined

  constructor(options: PrunerOptions) {
    this.#options = options
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Deletes everything that is due now and says how many rows that were. */
  async prune(): Promise<Pruned> {
    const now = this.#options.clock.now().getTime()
    return {
      outbox: await this.#pruneAll(pruneOutbox, firstIdAt(now - OUTBOX_RETENTION_MS)),
      inbox: await this.#pruneAll(pruneInbox, firstIdAt(now - INBOX_RETENTION_MS)),
      deadLetters: await this.#pruneAll(pruneDeadLetters, new Date(now - DEAD_LETTER_RETENTION_MS)),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#closed.signal.aborted) {
      await pause(INTERVAL_MS, this.#closed.signal)
      if (this.#closed.signal.aborted) return
      await this.prune().catch((error: unknown) => {
        this.#options.logger.warn({ err: error }, 'Old messages could not be pruned')
      })
    }
  }

  async #pruneAll(statement: Statement<{ pruned: number }>, before: string | Date): Promise<number> {
    let total = 0
    for (
      let pruned = ROWS_PER_STATEMENT;
      pruned === ROWS_PER_STATEMENT && !this.#closed.signal.aborted;
      total += pruned
    ) {
      const [row] = await this.#options.database.write(statement, [before])
      pruned = row?.pruned ?? 0
    }
    return total
  }
}
