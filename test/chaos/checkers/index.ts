import { durability } from './durability.ts'
import type { Checkers, Evidence, Violation } from './evidence.ts'
import { notificationCheckers } from './notifications.ts'
import { orderCheckers } from './orders.ts'
import { scheduleCheckers } from './schedules.ts'
import { secretCheckers } from './secrets.ts'
import { stockCheckers } from './stock.ts'

export * from './evidence.ts'
export { INJECTED_HEADER, readStream } from './stream.ts'

const SHOWN_MAX = 5

/** Every promise that is checked here, by the name that `docs/promises.md` gives it. */
export const checkers: Checkers = {
  ...durability,
  ...orderCheckers,
  ...stockCheckers,
  ...notificationCheckers,
  ...scheduleCheckers,
  ...secretCheckers,
}

/** What the evidence says against each promise; nothing, when all hold. */
export async function violationsOf(
  evidence: Evidence,
  promises: readonly string[] = Object.keys(checkers),
): Promise<Violation[]> {
  const violations: Violation[] = []
  for (const promise of promises) {
    for (const detail of (await checkers[promise]?.(evidence)) ?? []) violations.push({ promise, detail })
  }
  return violations
}

/** The broken promises with the first few violations of each, as one text; empty when all hold. */
export async function brokenPromises(evidence: Evidence, promises?: readonly string[]): Promise<string> {
  const violations = await violationsOf(evidence, promises)
  const byPromise = Map.groupBy(violations, ({ promise }) => promise)
  const lines = [...byPromise].map(([promise, broken]) => {
    const shown = broken.slice(0, SHOWN_MAX).map(({ detail }) => `    ${detail}`)
    return `${promise}: ${broken.length} violations\n${shown.join('\n')}`
  })
  return lines.join('\n')
}
