import type { Clock } from '@saas/config'
import type { Logger } from '@saas/http'
import { sql, type Database, type Statement } from '@saas/state'

/** Longer than a mail is kept that says what the firing says, and than any outage that is caught up with. */
const FIRE_RETENTION_MS = 180 * 24 * 3_600_000
/** Longer than any message can come again: outbox rows are published again for 7 days, inbox rows kept for 30. */
const RETENTION_MS = 90 * 24 * 3_600_000
const PRUNE_EVERY_MS = 3_600_000
const PRUNE_ROWS_MAX = 1_000

const pruneMails = sql<{ id: string }>(
  'notifications.prune_mails',
  `delete from mail
   where id in (
     select id from mail where status <> 'due' and created_at < $1 order by id limit ${PRUNE_ROWS_MAX}
     for update skip locked
   )
   returning id`,
)

const pruneFires = sql<{ id: string }>(
  'notifications.prune_fires',
  `delete from fire
   where id in (
     select id from fire where status = 'done' and fire_at < $1 order by fire_at limit ${PRUNE_ROWS_MAX}
     for update skip locked
   )
   returning id`,
)

const pruneSales = sql<{ id: string }>(
  'notifications.prune_sales',
  `delete from sale
   where order_id in (
     select order_id from sale where coalesce(confirmed_at, cancelled_at) < $1 limit ${PRUNE_ROWS_MAX}
     for update skip locked
   )
   returning order_id as id`,
)

/**
 * Forgets what nobody asks for any more: mails, firings of schedules, and what the report of a day is made of.
 */
export class Jobs implements AsyncDisposable {
  readonly #database: Database
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #stopping = new AbortController()
  #running: Promise<void> | undefined

  constructor(database: Database, clock: Clock, logger: Logger) {
    this.#database = database
    this.#clock = clock
    this.#logger = logger
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Deletes mails that ended 90 days ago, firings and sales after 180, a thousand at a time, until none is left. */
  async prune(): Promise<void> {
    await this.#prune(pruneMails, RETENTION_MS)
    await this.#prune(pruneFires, FIRE_RETENTION_MS)
    await this.#prune(pruneSales, FIRE_RETENTION_MS)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }

  async #prune(statement: Statement<{ id: string }>, retentionMs: number): Promise<void> {
    const before = new Date(this.#clock.now().getTime() - retentionMs)
    for (let pruned = PRUNE_ROWS_MAX; pruned === PRUNE_ROWS_MAX && !this.#stopping.signal.aborted;) {
      pruned = (await this.#database.write(statement, [before])).length
    }
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      await this.prune().catch((error: unknown) => this.#logger.warn({ err: error }, 'Old mails could not be deleted'))
      await this.#clock.sleep(PRUNE_EVERY_MS, this.#stopping.signal).catch(() => undefined)
    }
  }
}
