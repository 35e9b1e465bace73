import { Outage, type Clock } from '@saas/config'
import type { Logger } from './logger.ts'

const RETRY_MS = 1_000

/** Work that is done again and again, one run at a time: after every pause, and at once when somebody nudges. */
export interface RepeatingOptions {
  readonly name: string
  readonly everyMs: number
  readonly clock: Clock
  readonly logger: Logger
  /** Does it once; `signal` is aborted when it is to end, after which disposing waits for it. */
  readonly run: (signal: AbortSignal) => Promise<void>
}

/** A run that fails is logged once until one succeeds again, and tried after the next pause. */
export class Repeating implements AsyncDisposable {
  readonly #options: RepeatingOptions
  readonly #closed = new AbortController()
  readonly #outage: Outage
  #wake: AbortController | undefined
  #nudged = false
  #running: Promise<void> | undefined

  constructor(options: RepeatingOptions) {
    this.#options = options
    const words = { begun: 'A repeated job failed and will be tried again', over: 'A repeated job works again' }
    this.#outage = new Outage(options.logger, words, { job: options.name })
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
    try {
      await this.#options.run(this.#closed.signal)
      this.#outage.worked()
    } catch (error) {
      this.#outage.failed(error)
    }
  }

  async #pause(): Promise<void> {
    this.#wake = new AbortController()
    // A nudge ends the pause by aborting it.
    const { clock, everyMs } = this.#options
    const pauseMs = this.#outage.isOn ? Math.min(everyMs, RETRY_MS) : everyMs
    await clock.sleep(pauseMs, this.#wake.signal).catch(() => undefined)
    this.#wake = undefined
  }
}
