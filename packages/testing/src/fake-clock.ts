import type { Clock } from '@saas/config'

const START = '2026-01-15T12:00:00.000Z'

interface Sleeper {
  readonly untilMs: number
  readonly wake: () => void
}

/** Time that stands still until a test moves it. */
export class FakeClock implements Clock {
  #nowMs: number
  #sleepers: Sleeper[] = []

  constructor(start: Date | string = START) {
    this.#nowMs = new Date(start).getTime()
  }

  now(): Date {
    return new Date(this.#nowMs)
  }

  /** How many sleep now: a test can wait until what it watches has gone to sleep. */
  get sleeping(): number {
    return this.#sleepers.length
  }

  async sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      const sleeper = { untilMs: this.#nowMs + milliseconds, wake: resolve }
      this.#sleepers.push(sleeper)
      signal?.addEventListener('abort', () => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper)
        reject(signal.reason as Error)
      })
    })
  }

  /** Moves time on and wakes whoever slept until then, the earliest first. */
  advance(milliseconds: number): void {
    this.set(new Date(this.#nowMs + milliseconds))
  }

  /** Moves time to a moment, forwards or back. */
  set(moment: Date | string): void {
    this.#nowMs = new Date(moment).getTime()
    const due = this.#sleepers.filter(({ untilMs }) => untilMs <= this.#nowMs)
    this.#sleepers = this.#sleepers.filter(({ untilMs }) => untilMs > this.#nowMs)
    for (const { wake } of due.toSorted((a, b) => a.untilMs - b.untilMs)) wake()
  }
}
