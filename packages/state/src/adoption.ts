import type { Logger } from 'pino'
import { Outage } from '@saas/config'
import type { Consumer } from './consumer.ts'
import type { DeadLetters } from './dead-letters.ts'
import { pause } from './pause.ts'

const INTERVAL_MS = 5_000

/**
 * Looks every five seconds for dead letters that an older version kept because only a newer one could know them, and has
 * those applied that this version knows. Any number of replicas may run: a message still has one effect.
 */
export class Adoption implements AsyncDisposable {
  readonly #deadLetters: DeadLetters
  readonly #logger: Logger
  readonly #closed = new AbortController()
  readonly #running: Promise<void>[] = []

  constructor(deadLetters: DeadLetters, logger: Logger) {
    this.#deadLetters = deadLetters
    this.#logger = logger
  }

  watch(consumer: Consumer): void {
    this.#running.push(this.#run(consumer))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort()
    await Promise.all(this.#running)
  }

  async #run(consumer: Consumer): Promise<void> {
    const { durable } = consumer
    const words = { begun: 'Dead letters could not be adopted', over: 'Dead letters are adopted again' }
    const outage = new Outage(this.#logger, words, { durable })
    for (;;) {
      await pause(INTERVAL_MS, this.#closed.signal)
      if (this.#closed.signal.aborted) return
      try {
        await this.#deadLetters.adopt(consumer)
        outage.worked()
      } catch (error) {
        outage.failed(error)
      }
    }
  }
}
