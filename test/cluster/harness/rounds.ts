import { setTimeout as delay } from 'node:timers/promises'

/**
 * Does something again and again until it is disposed of. A round that fails is told and tried again: what it looks at may
 * have changed in between.
 */
export function keepDoing(everyMs: number, round: () => Promise<void>): AsyncDisposable {
  const stopped = new AbortController()
  const rounds = (async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      await round().catch((error: unknown) => {
        if (!stopped.signal.aborted) process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
      })
      await delay(everyMs, undefined, { signal: stopped.signal }).catch(() => undefined)
    }
  })()
  return {
    [Symbol.asyncDispose]: async () => {
      stopped.abort()
      await rounds
    },
  }
}
