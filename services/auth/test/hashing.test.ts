import { hash } from '@node-rs/argon2'
import { readdirSync, readFileSync } from 'node:fs'
import { expect, test, vi } from 'vitest'
import { HashingThreads } from '../src/hashing-threads.ts'
import { isOutdated, PasswordHashing } from '../src/hashing.ts'

const PASSWORD = 'quiet-otter-lends-a-ladder'
/** As small as the library allows: what is tested here is who hashes, not how long. */
const cheap = { memoryCost: 1_024, timeCost: 1, parallelism: 1 }

test('a password is told from others by its hash, whichever of its Unicode forms is typed', async () => {
  await using hashing = new PasswordHashing()
  const passwordHash = await hashing.hash('pässword-of-otters')
  expect(isOutdated(passwordHash)).toBe(false)
  expect(await hashing.verify(passwordHash, 'pa\u0308ssword-of-otters')).toBe(true)
  expect(await hashing.verify(passwordHash, 'password-of-otters')).toBe(false)
})

test('where there is no hash no password is right', async () => {
  await using hashing = new PasswordHashing()
  expect(await hashing.verify(undefined, PASSWORD)).toBe(false)
})

test('each caller gets the answer to its own password, however many ask at once', async () => {
  await using threads = new HashingThreads({ threadsMax: 2, waitingMax: 100 })
  const passwordHash = await hash(PASSWORD, cheap)
  const asked = Array.from({ length: 40 }, (_, n) => (n % 3 === 0 ? PASSWORD : `${PASSWORD}-${n}`))
  const answers = await Promise.all(asked.map((password) => threads.run({ password, passwordHash })))
  expect(answers).toEqual(asked.map((password) => password === PASSWORD))
})

test('what Node says of a thread in watch mode is no answer', async () => {
  vi.stubEnv('WATCH_REPORT_DEPENDENCIES', '1')
  try {
    await using threads = new HashingThreads({ threadsMax: 1, waitingMax: 10 })
    const passwordHash = await threads.run({ password: PASSWORD, parameters: cheap })
    expect(passwordHash).toMatch(/^\$argon2id\$/)
    expect(await threads.run({ password: PASSWORD, passwordHash: String(passwordHash) })).toBe(true)
  } finally {
    vi.unstubAllEnvs()
  }
})

test('a bounded number waits, and the others are told to come later', async () => {
  await using threads = new HashingThreads({ threadsMax: 1, waitingMax: 1 })
  const tried = Array.from({ length: 5 }, () => threads.run({ password: PASSWORD, parameters: cheap }))
  const outcomes = (await Promise.allSettled(tried)).map(({ status }) => status)
  expect(outcomes).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'rejected'])
})

test('a hash that cannot be read fails alone', async () => {
  await using threads = new HashingThreads({ threadsMax: 1, waitingMax: 10 })
  const broken = threads.run({ password: PASSWORD, passwordHash: 'no hash' })
  const right = threads.run({ password: PASSWORD, passwordHash: await hash(PASSWORD, cheap) })
  await expect(broken).rejects.toThrow(/./)
  expect(await right).toBe(true)
})

test('what a thread was to do fails with it, and the next password gets another thread', async () => {
  await using threads = new HashingThreads({ threadsMax: 1, waitingMax: 10 })
  const job = { password: PASSWORD, passwordHash: await hash(PASSWORD, cheap) }
  // No job at all: nothing catches what that makes the thread throw.
  const outcomes = await Promise.allSettled([threads.run(null as never), threads.run(job)])
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect(await threads.run(job)).toBe(true)
})

test.runIf(process.platform === 'linux')('whoever hashes gives way to the rest of the service', async () => {
  const priorities = (): number[] =>
    readdirSync('/proc/self/task').map((task) => {
      const stat = readFileSync(`/proc/self/task/${task}/stat`, 'utf8')
      return Number(stat.slice(stat.lastIndexOf(')')).split(' ')[17])
    })
  const usual = Math.min(...priorities())
  await using threads = new HashingThreads({ threadsMax: 1, waitingMax: 1 })
  await threads.run({ password: PASSWORD, parameters: cheap })
  expect(priorities().filter((priority) => priority > usual)).toHaveLength(1)
  const main = readFileSync(`/proc/self/task/${process.pid}/stat`, 'utf8')
  expect(Number(main.slice(main.lastIndexOf(')')).split(' ')[17])).toBe(usual)
})
