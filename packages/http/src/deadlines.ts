const SWEEP_INTERVAL_MS = 1_000

/** Something that may take only so long. */
interface Timed {
  timeOut(): void
}

/**
 * Ends what takes longer than `timeoutMs`, up to a second late. One timer for all: a timer of its own for each request cost more than
 * all else that is done about time-outs.
 */
export class Deadlines {
  readonly #timeoutMs: number
  /** Since when; the oldest first. */
  readonly #sinceMs = new Map<Timed, number>()
  #sweep: NodeJS.Timeout | undefined

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs
  }

  add(timed: Timed): void {
    this.#sinceMs.set(timed, performance.now())
    this.#sweep ??= setInterval(() => this.#endLate(), SWEEP_INTERVAL_MS).unref()
  }

  delete(timed: Timed): void {
    this.#sinceMs.delete(timed)
  }

  #endLate(): void {
    const latestMs = performance.now() - this.#timeoutMs
    for (const [timed, sinceMs] of this.#sinceMs) {
      if (sinceMs > latestMs) return
      this.#sinceMs.delete(timed)
      timed.timeOut()
    }
    if (this.#sinceMs.size > 0) return
    clearInterval(this.#sweep)
    this.#sweep = undefined
  }
}
