import { hashSync, verifySync } from '@node-rs/argon2'
import { setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'
import type { AskedOfThread, HashingAnswer, HashingJob, SaidByThread } from './hashing-threads.ts'

/** Whoever decides or reads comes before whoever hashes: of the two only the second has a core to fill. */
const NICENESS = 5

// On Linux a thread has a priority of its own; elsewhere this would be the whole service's.
if (process.platform === 'linux') setPriority(0, NICENESS)

parentPort?.on('message', ({ number, job }: AskedOfThread) => {
  const said: SaidByThread = { number, answer: answerTo(job) }
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
  parentPort?.postMessage(said)
})

function answerTo({ password, passwordHash, parameters }: HashingJob): HashingAnswer {
  try {
    const value = passwordHash === undefined ? hashSync(password, parameters) : verifySync(passwordHash, password)
    return { value }
  } catch (error) {
    return { failure: error }
  }
}
