import { Outage, type Clock } from '@saas/config'
import type { Logger } from '@saas/http'
import type { Bus, Database } from '@saas/state'
import type { DecisionWatch } from './decision-watch.ts'
import { expire } from './decisions.ts'

const EXPIRY_INTERVAL_MS = 1_000

export interface ExpiryContext {
  readonly database: Database
  readonly bus: Pick<Bus, 'nudge'>
  readonly clock: Clock
  readonly logger: Logger
  readonly watch: DecisionWatch
}

/** Rejects orders that nobody decided in time. It runs in every replica; each takes the rows that no other holds. */
export class ExpiryJob implements AsyncDisposable {
  readonly #context: ExpiryContext
  readonly #stopped = new AbortController()
  readonly #outage: Outage
  readonly #running: Promise<void>

  constructor(context: ExpiryContext) {
    this.#context = context
    this.#outage = new Outage(context.logger, {
      begun: 'orders past their deadline could not be rejected',
      over: 'orders past their deadline are rejected again',
    })
    this.#running = this.#run()
  }

  async #run(): Promise<void> {
    const { clock } = this.#context
    while (!this.#stopped.signal.aborted) {
      try {
        await this.#expireAll()
        this.#outage.worked()
      } catch (error) {
        this.#outage.failed(error)
      }
      await clock.sleep(EXPIRY_INTERVAL_MS, this.#stopped.signal).catch(() => undefined)
    }
  }

  async #expireAll(): Promise<void> {
    const { database, bus, clock, logger, watch } = this.#context
    while (!this.#stopped.signal.aborted) {
      const expired = await expire(database, clock.now())
      if (expired.length === 0) return
      logger.warn({ count: expired.length }, 'orders rejected at their deadline')
      bus.nudge()
      for (const state of expired) watch.tell(state)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort()
    await this.#running
  }
}
