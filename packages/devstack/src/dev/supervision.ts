import { setTimeout as delay } from 'node:timers/promises'
import type { Child } from '../child.ts'

const PAUSE_MS = 500
const RESTARTS_MAX = 5

/** Starts a server again whenever it ends without being asked to, at most five times. Disposing lets it be. */
export function keepRunning(child: Child, say: (text: string) => void): Disposable {
  let isWatching = true
  const watch = async (): Promise<void> => {
    for (let restarts = 0; restarts < RESTARTS_MAX; restarts += 1) {
      await child.ended()
      if (!isWatching) return
      say(`${child.name} has ended by itself (its log: ${child.logFile}); it is started again.`)
      await delay(PAUSE_MS)
      if (!isWatching) return
      await child.restart().catch((error: Error) => say(error.message))
    }
    say(`${child.name} has ended too often; it stays down until the next start.`)
  }
  void watch()
  return {
    [Symbol.dispose]: () => {
      isWatching = false
    },
  }
}
