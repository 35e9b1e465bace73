import { setTimeout as delay } from 'node:timers/promises'

/** Only what fails waits for so long, and twenty processes on two cores are slow. */
const TIMEOUT_MS = 30_000
const INTERVAL_MS = 20

/** How long a condition may take. */
export interface EventuallyOptions {
  readonly timeoutMs?: number
}

/**
 * Waits until `attempt` neither throws nor returns `false`, and returns what it returned. At the end of the time the last
 * error is thrown, so an `expect` inside says what was missing.
 */
export async function eventually<T>(
  attempt: () => Promise<T> | T,
  { timeoutMs = TIMEOUT_MS }: EventuallyOptions = {},
): Promise<Exclude<T, false>> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    let failure: unknown = new Error(`The condition did not hold within ${timeoutMs} ms`)
    try {
      const result = await attempt()
      if (result !== false) return result as Exclude<T, false>
    } catch (error) {
      failure = error
    }
    if (performance.now() > deadline) throw failure
    await delay(INTERVAL_MS)
  }
}
