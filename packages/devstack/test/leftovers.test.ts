import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { loadSecrets } from '../src/dev/secrets.ts'
import { claimDirectory, DirectoryInUseError, killChildren, recordChild, stopLeftovers } from '../src/ledger.ts'
import { isAlive, startTimeOf } from '../src/processes.ts'

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'leftovers-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

/** A launcher as `pnpm dev` is one: starts a mailbox, says its number, and waits. */
const LAUNCHER = `
  import { startMailbox } from ${JSON.stringify(join(import.meta.dirname, '../src/index.ts'))}
  const mailbox = await startMailbox({ logFile: process.argv[1] })
  console.log(mailbox.child.pid)
  setInterval(() => undefined, 1000)
`

test("a killed run's servers are stopped at the next start", async () => {
  const launcher = spawn(process.execPath, ['--input-type=module', '-e', LAUNCHER, join(directory, 'log')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [said] = (await once(launcher.stdout, 'data')) as [Buffer]
  const pid = Number(said.toString())
  const server = { pid, startedAt: startTimeOf(pid) ?? '' }
  expect(isAlive(server)).toBe(true)

  expect(await stopLeftovers()).not.toContain('mailbox')
  expect(isAlive(server)).toBe(true)

  launcher.kill('SIGKILL')
  await once(launcher, 'exit')
  expect(isAlive(server)).toBe(true)
  expect(await stopLeftovers()).toContain('mailbox')
  expect(isAlive(server)).toBe(false)
})

test('a process that only has the number of a noted one is left alone', async () => {
  const stranger = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)'])
  const pid = stranger.pid ?? 0
  writeFileSync(
    join(directory, `${pid}.json`),
    JSON.stringify({ name: 'NATS', owner: { pid: 1, startedAt: 'long ago' }, child: { pid, startedAt: 'long ago' } }),
  )
  expect(await stopLeftovers(directory)).toEqual([])
  expect(isAlive({ pid, startedAt: startTimeOf(pid) ?? '' })).toBe(true)
  stranger.kill('SIGKILL')
})

test('what a living launcher has started is left alone, and ends with it when nobody wants to wait', async () => {
  const own = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)'])
  const pid = own.pid ?? 0
  recordChild('NATS', pid, directory)
  expect(await stopLeftovers(directory)).toEqual([])
  expect(isAlive({ pid, startedAt: startTimeOf(pid) ?? '' })).toBe(true)
  killChildren(directory)
  await once(own, 'exit')
})

test('a directory is used by one launcher at a time', () => {
  const release = claimDirectory(directory)
  expect(() => claimDirectory(directory)).toThrow(DirectoryInUseError)
  release()
  claimDirectory(directory)()
})

test('secrets stay, what a newer version needs beside them is added, and a file that is cut off is refused until its data may go', () => {
  const file = join(directory, 'secrets.json')
  const made = loadSecrets(file)
  const { mailSecretKey: _, ...older } = made
  const { orders: __, ...passwords } = made.databasePasswords
  writeFileSync(file, JSON.stringify({ ...older, databasePasswords: passwords }))
  const newer = loadSecrets(file)
  expect(newer).toEqual({
    ...made,
    mailSecretKey: newer.mailSecretKey,
    databasePasswords: { ...made.databasePasswords, orders: newer.databasePasswords['orders'] },
  })
  expect(newer.mailSecretKey).toMatch(/^.{43}$/)
  expect(loadSecrets(file)).toEqual(newer)

  writeFileSync(file, readFileSync(file).subarray(0, 100))
  expect(() => loadSecrets(file)).toThrow('--fresh')
  expect(loadSecrets(file, { isFresh: true })).not.toEqual(newer)
})
