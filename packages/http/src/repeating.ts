import type { Clock } from '@saas/config'
import type { Logger } from './logger.ts'

const RETRY_MS = 1_000

/** Work that is done again and again, one run at a time: after every pause, and at once when somebody nudges. */
export interface RepeatingOptions {
  readonly name: string
  readonly everyMs: number
  readonly clock: Clock
  readonly logger: Logger
  readonly run: () => Promise<void>
}

/** A run that fails is logged once until one succeeds again, and tried after the next pause. */
export class Repeating implements AsyncDisposable {
  readonly #options: RepeatingOptions
  readonly #closed = new AbortController()
  #wake: AbortController | undefined
  #nudged = false
  #isFailing = false
  #running: Promise<void> | undefined

  constructor(options: RepeatingOptions) {
    this.#options = options
  }

  start(): void {
    this.#running ??= this.#loop()
  }

  /** Asks for a run that begins after this call. */
  nudge(): void {
    this.#nudged = true
    this.#wake?.abort()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort()
    this.#wake?.abort()
    await this.#running
  }

  async #loop(): Promise<void> {
    while (!this.#closed.signal.aborted) {
      this.#nudged = false
      await this.#runOnce()
      if (!this.#nudged && !this.#closed.signal.aborted) await this.#pause()
    }
  }

  async #runOnce(): Promise<void> {
    const { name, logger, run } = this.#options
    try {
      await run()
      if (this.#isFailing) logger.info({ job: name }, 'A repeated job works again')
      this.#isFailing = false
    } catch (error) {
      if (!this.#isFailing) logger.warn({ job: name, err: error }, 'A repeated job failed and will be tried again')
      this.#isFailing = true
    }
  }

  async #pause(): Promise<void> {
    this.#wake = new AbortController()
    // A nudge ends the pause by aborting it.
    const { clock, everyMs } = this.#options
    const pauseMs = this.#isFailing ? Math.min(everyMs, RETRY_MS) : everyMs
    await clock.sleep(pauseMs, this.#wake.signal).catch(() => undefined)
    this.#wake = undefined
  }
}
