import type { Clock } from '@saas/config'
import type { Logger } from '@saas/http'

/** How often what was held back is told. */
export const REFUSALS_TOLD_EVERY_MS = 10_000
/** Of each reason in that time. */
const LINES_MAX = 20

/** A refused request, as far as it is known. */
export interface Refusal {
  readonly reason: string
  readonly route: string | undefined
  readonly method: string | undefined
  readonly userId: string | undefined
  readonly requestId: string | undefined
}

interface Told {
  count: number
  readonly sinceMs: number
}

/**
 * What the log says of refused requests. A line for each would be the loudest thing in the log while somebody knocks a thousand times a
 * second, and would cost more than the refusal. So the first of each reason are told one by one, with route and user, and the rest by
 * their number. Each is counted in the metrics, and the edge has a line for every request.
 */
export class RefusalLog {
  readonly #logger: Logger
  readonly #clock: Clock
  readonly #told = new Map<string, Told>()

  constructor({ logger, clock }: { readonly logger: Logger; readonly clock: Clock }) {
    this.#logger = logger
    this.#clock = clock
  }

  /** The reasons are a handful, so what is kept is bounded. */
  tell(refusal: Refusal): void {
    const told = this.#told.get(refusal.reason) ?? { count: 0, sinceMs: this.#clock.now().getTime() }
    if (told.count === 0) this.#told.set(refusal.reason, told)
    told.count += 1
    if (told.count <= LINES_MAX) this.#logger.info(refusal, 'request denied')
  }

  /** Says how many were held back, and begins anew. */
  sum(): void {
    for (const [reason, { count, sinceMs }] of this.#told) {
      const heldBack = count - LINES_MAX
      const seconds = Math.round((this.#clock.now().getTime() - sinceMs) / 100) / 10
      if (heldBack > 0) this.#logger.warn({ reason, count: heldBack, seconds }, 'more requests were denied')
    }
    this.#told.clear()
  }
}
