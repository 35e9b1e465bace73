import { Overloaded } from './errors.ts'

const CALLS_MAX = 4_096
/** One subject, say a user who presses a button in a loop, must not keep the others out. */
const CALLS_PER_SUBJECT_MAX = CALLS_MAX / 4
const BATCH_CALLS_MAX = 256
const BATCH_BYTES_MAX = 1024 ** 2
const WAIT_MAX_MS = 1_000
const SWEEP_INTERVAL_MS = 100

/** A call that waits for its batch. */
export interface QueuedCall<Payload> {
  readonly payload: Payload
  readonly bytes: number
  readonly conflictKeys: readonly string[]
  readonly subject: string | undefined
  readonly reject: (error: unknown) => void
}

interface Waiting<Call> {
  readonly call: Call
  readonly sinceMs: number
}

/**
 * Calls in the order they came, with a limit on everything: 4096 calls, a quarter of them from one subject, a second of
 * waiting, 256 calls and 1 MiB a batch.
 */
export class CallQueue<Call extends QueuedCall<unknown>> {
  readonly #countBySubject = new Map<string, number>()
  #waiting: Waiting<Call>[] = []
  #sweep: NodeJS.Timeout | undefined

  get size(): number {
    return this.#waiting.length
  }

  /** @throws {Overloaded} when the queue is full, or too much of it is this subject's. */
  add(call: Call): void {
    if (this.#waiting.length >= CALLS_MAX) throw new Overloaded('Too many calls wait for the database')
    if (call.subject !== undefined) {
      const count = this.#countBySubject.get(call.subject) ?? 0
      if (count >= CALLS_PER_SUBJECT_MAX) throw new Overloaded('Too many calls of one subject wait for the database')
      this.#countBySubject.set(call.subject, count + 1)
    }
    this.#waiting.push({ call, sinceMs: performance.now() })
    this.#sweep ??= setInterval(() => this.#expire(), SWEEP_INTERVAL_MS).unref()
  }

  /**
   * The calls of the next batch, at most `count`: in order, but no two that share a conflict key, and none that shares one with what is `busy`.
   * One that is left behind keeps its keys, so that a later call with the same key does not overtake it.
   */
  take(busy: Iterable<string>, count: number): Call[] {
    const callsMax = Math.min(count, BATCH_CALLS_MAX)
    const keys = new Set(busy)
    const taken: Call[] = []
    const left: Waiting<Call>[] = []
    let bytes = 0
    let isFull = false
    for (const waiting of this.#waiting) {
      const { call } = waiting
      isFull ||= taken.length >= callsMax || (taken.length > 0 && bytes + call.bytes > BATCH_BYTES_MAX)
      if (isFull || call.conflictKeys.some((key) => keys.has(key))) left.push(waiting)
      else {
        taken.push(call)
        bytes += call.bytes
      }
      for (const key of call.conflictKeys) keys.add(key)
    }
    this.#keep(left, taken)
    return taken
  }

  #expire(): void {
    const deadline = performance.now() - WAIT_MAX_MS
    const late = this.#waiting.filter(({ sinceMs }) => sinceMs < deadline).map(({ call }) => call)
    if (late.length === 0) return
    this.#keep(
      this.#waiting.filter(({ sinceMs }) => sinceMs >= deadline),
      late,
    )
    for (const call of late) call.reject(new Overloaded('A call waited too long for the database'))
  }

  #keep(left: Waiting<Call>[], gone: readonly Call[]): void {
    this.#waiting = left
    for (const { subject } of gone) {
      if (subject === undefined) continue
      const count = (this.#countBySubject.get(subject) ?? 1) - 1
      if (count === 0) this.#countBySubject.delete(subject)
      else this.#countBySubject.set(subject, count)
    }
    if (left.length > 0) return
    clearInterval(this.#sweep)
    this.#sweep = undefined
  }
}
