const FAILURES_UNTIL_OPEN = 3
const OPEN_MS_FIRST = 10_000
const OPEN_MS_MAX = 5 * 60_000

export type CircuitState = 'closed' | 'open' | 'half-open'

/**
 * Keeps a mail server that failed three times in a row out of use: for 10 s, then twice as long after each probe that
 * failed, at most 5 minutes. One mail at a time probes whether it is back.
 */
export class Circuit {
  #failures = 0
  #openMs = 0
  #openUntilMs = 0
  #isProbing = false

  state(now: Date): CircuitState {
    if (this.#openMs === 0) return 'closed'
    return now.getTime() < this.#openUntilMs || this.#isProbing ? 'open' : 'half-open'
  }

  /** Whether a mail may go this way now. Who got a yes reports what came of it. */
  enter(now: Date): boolean {
    const state = this.state(now)
    if (state === 'half-open') this.#isProbing = true
    return state !== 'open'
  }

  succeeded(): void {
    this.#failures = 0
    this.#openMs = 0
    this.#isProbing = false
  }

  failed(now: Date): void {
    this.#failures += 1
    if (this.#openMs === 0 && this.#failures < FAILURES_UNTIL_OPEN) return
    // Mails that were under way when it opened report late; they do not lengthen it.
    if (this.#openMs > 0 && !this.#isProbing) return
    this.#openMs = Math.min(OPEN_MS_MAX, Math.max(OPEN_MS_FIRST, this.#openMs * 2))
    this.#openUntilMs = now.getTime() + this.#openMs
    this.#isProbing = false
  }
}
