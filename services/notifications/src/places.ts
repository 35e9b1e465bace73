/** How many mails of one domain a replica sends at once, so that a slow one leaves room for the others. */
export const DOMAIN_SENDING_MAX = 6

interface Waiter {
  readonly domain: string
  readonly resolve: (entered: boolean) => void
}

/**
 * Who may send now: so many at once over all, and so many to one domain. The rest wait in the order they came, but nobody
 * waits behind mails to another domain.
 */
export class Places {
  readonly #total: () => number
  readonly #sending = new Map<string, number>()
  #waiting: Waiter[] = []
  #count = 0
  #isClosed = false

  /** `total` may change: it is asked each time. */
  constructor(total: () => number) {
    this.#total = total
  }

  /** The domains of which so many are being sent that more of them would only wait. */
  fullDomains(): string[] {
    return [...this.#sending].filter(([, count]) => count >= DOMAIN_SENDING_MAX).map(([domain]) => domain)
  }

  /** Resolves to true once there is a place, which `leave` gives back; to false after `waitMs`, once closed, or when there are none. */
  async enter(domain: string, waitMs: number): Promise<boolean> {
    if (this.#isClosed || this.#total() === 0) return false
    if (this.#hasPlace(domain)) {
      this.#take(domain)
      return true
    }
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const waiter = { domain, resolve }
    this.#waiting.push(waiter)
    const late = setTimeout(() => this.#giveUp(waiter), waitMs)
    return await promise.finally(() => clearTimeout(late))
  }

  leave(domain: string): void {
    this.#count -= 1
    const left = (this.#sending.get(domain) ?? 1) - 1
    if (left === 0) this.#sending.delete(domain)
    else this.#sending.set(domain, left)
    this.#admit()
  }

  /** Nobody enters any more; who waits is told so. */
  close(): void {
    this.#isClosed = true
    for (const { resolve } of this.#waiting.splice(0)) resolve(false)
  }

  #admit(): void {
    // Every server is out of use: what waits is given back instead of being held.
    if (this.#total() === 0) {
      for (const { resolve } of this.#waiting.splice(0)) resolve(false)
    }
    for (const waiter of this.#waiting) {
      if (!this.#hasPlace(waiter.domain)) continue
      this.#waiting = this.#waiting.filter((other) => other !== waiter)
      this.#take(waiter.domain)
      waiter.resolve(true)
      if (this.#count >= this.#total()) return
    }
  }

  #giveUp(waiter: Waiter): void {
    if (!this.#waiting.includes(waiter)) return
    this.#waiting = this.#waiting.filter((other) => other !== waiter)
    waiter.resolve(false)
  }

  #hasPlace(domain: string): boolean {
    return this.#count < this.#total() && (this.#sending.get(domain) ?? 0) < DOMAIN_SENDING_MAX
  }

  #take(domain: string): void {
    this.#count += 1
    this.#sending.set(domain, (this.#sending.get(domain) ?? 0) + 1)
  }
}
