import type { Clock } from '@saas/config'
import type { Logger } from '@saas/http'
import { sql, type Database } from '@saas/state'

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

/**
 * What runs on a clock. Schedules belong here: a tick plans what is due, and each planned mail is a row in `mail`, which the
 * courier sends like any other.
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

  /** Deletes mails that ended 90 days ago, a thousand at a time, until none is left. */
  async prune(): Promise<void> {
    const before = new Date(this.#clock.now().getTime() - RETENTION_MS)
    for (let pruned = PRUNE_ROWS_MAX; pruned === PRUNE_ROWS_MAX && !this.#stopping.signal.aborted;) {
      pruned = (await this.#database.write(pruneMails, [before])).length
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      await this.prune().catch((error: unknown) => this.#logger.warn({ err: error }, 'Old mails could not be deleted'))
      await this.#clock.sleep(PRUNE_EVERY_MS, this.#stopping.signal).catch(() => undefined)
    }
  }
}
