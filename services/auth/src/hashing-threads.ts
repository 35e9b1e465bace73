import type { Options } from '@node-rs/argon2'
import { Turns } from '@saas/state'
import { Worker } from 'node:worker_threads'

/** A password to hash, or with a hash one to compare. */
export interface HashingJob {
  readonly password: string
  readonly passwordHash?: string
  readonly parameters?: Options
}

/** A new hash, or whether the password was right. */
export type HashingAnswer = { readonly value: string | boolean } | { readonly failure: unknown }

/**
 * Jobs and their answers have numbers, because a thread says more than we made it say: under `node --watch` Node itself reports
 * on the same port what the thread has loaded. Taken for answers, those were stored as hashes.
 */
export interface AskedOfThread {
  readonly number: number
  readonly job: HashingJob
}

export interface SaidByThread {
  readonly number?: number
  readonly answer: HashingAnswer
}

/** One works and one waits, so that a thread has its next password when it ends with one, and its core never stands still for us. */
const JOBS_A_THREAD = 2

interface Thread {
  readonly worker: Worker
  /** What waits for an answer, by its number. */
  readonly jobs: Map<number, PromiseWithResolvers<string | boolean>>
}

/**
 * Threads that hash passwords, one for each core. They are not libuv's: of its four, as many hash on two cores as are told to, and each takes
 * the caches from another; files, names and signatures wait behind them. A thread starts when there is something for it.
 */
export class HashingThreads implements AsyncDisposable {
  readonly #threadsMax: number
  readonly #turns: Turns
  readonly #threads: Thread[] = []
  #number = 0

  constructor({ threadsMax, waitingMax }: { readonly threadsMax: number; readonly waitingMax: number }) {
    this.#threadsMax = threadsMax
    this.#turns = new Turns(threadsMax * JOBS_A_THREAD, waitingMax)
  }

  /** @throws {Overloaded} when too many wait already. */
  async run(job: HashingJob): Promise<string | boolean> {
    return await this.#turns.take(async () => {
      const { worker, jobs } = this.#idlest()
      const answer = Promise.withResolvers<string | boolean>()
      const asked: AskedOfThread = { number: (this.#number += 1), job }
      jobs.set(asked.number, answer)
      worker.ref()
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
      worker.postMessage(asked)
      return await answer.promise
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#threads.map(async ({ worker }) => await worker.terminate()))
  }

  #idlest(): Thread {
    const idlest = this.#threads.reduce<Thread | undefined>(
      (best, other) => (best === undefined || other.jobs.size < best.jobs.size ? other : best),
      undefined,
    )
    const isEnough = idlest !== undefined && (idlest.jobs.size === 0 || this.#threads.length >= this.#threadsMax)
    return isEnough ? idlest : this.#start()
  }

  #start(): Thread {
    const worker = new Worker(new URL('hashing-thread.ts', import.meta.url), { execArgv: [] })
    const thread: Thread = { worker, jobs: new Map() }
    worker.on('message', ({ number, answer }: SaidByThread) => {
      const job = number === undefined ? undefined : thread.jobs.get(number)
      if (job === undefined || number === undefined) return
      thread.jobs.delete(number)
      if (thread.jobs.size === 0) worker.unref()
      if ('failure' in answer) job.reject(answer.failure)
      else job.resolve(answer.value)
    })
    // What it was to do fails, and the next job starts another thread.
    const end = (reason: unknown): void => {
      const at = this.#threads.indexOf(thread)
      if (at >= 0) this.#threads.splice(at, 1)
      for (const job of thread.jobs.values()) job.reject(reason)
      thread.jobs.clear()
    }
    worker.on('error', end)
    worker.on('exit', (code) => end(new Error(`A hashing thread ended with ${code}`)))
    this.#threads.push(thread)
    return thread
  }
}
