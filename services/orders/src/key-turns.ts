import { ProblemError, problems } from '@saas/contracts'
import { Overloaded } from '@saas/state'

/** Repetitions of one key that wait at once; a client that sends more gets 503 for them. */
const WAITING_MAX = 1_024

/** A call under a key. */
export interface KeyedCall {
  readonly userId: string
  readonly key: string
  /** Which body it came with. */
  readonly fingerprint: string
}

interface Attempt<Call, Made> {
  readonly call: Call
  /** Why it made nothing; `undefined` when there is something under the key now. Never rejects. */
  readonly failure: Promise<{ readonly error: unknown } | undefined>
  waiting: number
  /** What is under the key, once somebody who waited asked. */
  made: Promise<Made> | undefined
}

/**
 * Sends one call of a key at a time. Those that come meanwhile wait for what becomes of it, and are then answered by what it
 * made. When it made nothing, one of them is sent for all: a refusal or a failure of a call that was sent after another came
 * is the answer to both, if they came with the same body. So a client that repeats itself at once costs a statement or two, not one each.
 *
 * This is about cost only, and about this process: that a key makes one thing is for the statement to guarantee.
 */
export class KeyTurns<Call extends KeyedCall, Made> {
  readonly #underWay = new Map<string, Attempt<Call, Made>>()
  readonly #find: (call: Call) => Promise<Made>

  /** `find` reads what a call has made; all who waited for it share one reading. */
  constructor(find: (call: Call) => Promise<Made>) {
    this.#find = find
  }

  /**
   * `send`s the call, or answers it by `replay` with what another has made meanwhile.
   *
   * @throws whatever `send` or `replay` throws. @throws {Overloaded} when too many wait under this key.
   */
  async take<Answer>(call: Call, send: () => Promise<Answer>, replay: (made: Made) => Answer): Promise<Answer> {
    const id = `${call.userId} ${call.key}`
    let ahead = this.#underWay.get(id)
    for (let waits = 1; ahead !== undefined; waits += 1) {
      if (ahead.waiting === WAITING_MAX) throw new Overloaded('Too many calls wait for one key')
      ahead.waiting += 1
      const failure = await ahead.failure
      if (failure === undefined) return replay(await (ahead.made ??= this.#find(ahead.call)))
      // The first one waited for may have looked at the cart before this call filled it.
      if (waits > 1 && isAbout(failure.error, ahead.call, call)) throw failure.error
      ahead = this.#underWay.get(id)
    }
    return await this.#send(id, call, send)
  }

  async #send<Answer>(id: string, call: Call, send: () => Promise<Answer>): Promise<Answer> {
    const { promise, resolve } = Promise.withResolvers<{ error: unknown } | undefined>()
    this.#underWay.set(id, { call, failure: promise, waiting: 0, made: undefined })
    const end = (failure: { error: unknown } | undefined) => {
      this.#underWay.delete(id)
      resolve(failure)
    }
    try {
      const answer = await send()
      end(undefined)
      return answer
    } catch (error) {
      const isMade = error instanceof ProblemError && error.problem === problems.idempotencyKeyReused
      end(isMade ? undefined : { error })
      throw error
    }
  }
}

/** A refusal is about the body that was sent; that the database is away is about all. */
function isAbout(error: unknown, sent: KeyedCall, call: KeyedCall): boolean {
  const isRefusal = error instanceof ProblemError && error.problem.status < 500
  return !isRefusal || sent.fingerprint === call.fingerprint
}
