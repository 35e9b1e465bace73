import { Overloaded } from '@saas/state'

/** Calls that are answered together. */
interface Round {
  started: number
  running: number
  /** Whether nobody joins any more. */
  isClosed: boolean
  readonly ended: PromiseWithResolvers<undefined>
}

/**
 * Lets a bounded number of calls work at once and a bounded number wait. Those that had to wait are answered a few together: what each
 * does next then runs in caches that the one before has filled, after work that has swept them.
 * No place stays empty for that, and a call that leaves nobody waiting is answered when it ends.
 */
export class Rounds {
  readonly #atOnceMax: number
  readonly #waitingMax: number
  readonly #togetherMax: number
  readonly #waiting: (() => void)[] = []
  #running = 0
  #round = newRound()

  constructor(limits: { readonly atOnceMax: number; readonly waitingMax: number; readonly togetherMax: number }) {
    this.#atOnceMax = limits.atOnceMax
    this.#waitingMax = limits.waitingMax
    this.#togetherMax = limits.togetherMax
  }

  /** @throws {Overloaded} when too many wait already. */
  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running < this.#atOnceMax) this.#running += 1
    else if (this.#waiting.length >= this.#waitingMax) throw new Overloaded('Too many wait for their turn')
    // Whoever ends hands its place over, so `#running` stays as it is.
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    const round = this.#join()
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#running -= 1
      else next()
      round.running -= 1
      if (round.isClosed && round.running === 0) round.ended.resolve(undefined)
      await round.ended.promise
    }
  }

  #join(): Round {
    const round = this.#round
    round.started += 1
    round.running += 1
    round.isClosed = this.#waiting.length === 0 || round.started >= this.#togetherMax
    if (round.isClosed) this.#round = newRound()
    return round
  }
}

function newRound(): Round {
  return { started: 0, running: 0, isClosed: false, ended: Promise.withResolvers<undefined>() }
}
