import { setTimeout as delay } from 'node:timers/promises'

const STEP_MS = 20
const PATIENCE_MS = 60_000

/** Waits until the condition holds. @throws {Error} with its name when it never does. */
export async function until(name: string, holds: () => Promise<boolean>, patienceMs = PATIENCE_MS): Promise<void> {
  const deadlineMs = performance.now() + patienceMs
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw new Error(`It did not come about that ${name}`)
    await delay(STEP_MS)
  }
}
