import { setTimeout as wait } from 'node:timers/promises'

/** Resolves after `milliseconds` of real time, or at once when the signal is aborted; keeps no program alive. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await wait(milliseconds, undefined, { signal, ref: false }).catch(() => undefined)
}
