import { setTimeout as wait } from 'node:timers/promises'

/**
 * The one source of time. Rules that a test must control ask it, never SQL's `now()` or `Date.now()`.
 */
export interface Clock {
  now(): Date
  /** Resolves after `milliseconds`; rejects with the signal's reason when it is aborted before. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>
}

/** The machine's own clock. A sleep does not keep a finished program alive. */
export const systemClock: Clock = {
  now: () => new Date(),
  sleep: async (milliseconds, signal) => {
    await wait(milliseconds, undefined, signal === undefined ? { ref: false } : { ref: false, signal })
  },
}
