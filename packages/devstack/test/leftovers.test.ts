import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { claimDirectory, DirectoryInUseError, recordChild, stopLeftovers } from '../src/ledger.ts'
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
  const { writeFileSync } = await import('node:fs')
  writeFileSync(
    join(directory, `${pid}.json`),
    JSON.stringify({ name: 'NATS', owner: { pid: 1, startedAt: 'long ago' }, child: { pid, startedAt: 'long ago' } }),
  )
  expect(await stopLeftovers(directory)).toEqual([])
  expect(isAlive({ pid, startedAt: startTimeOf(pid) ?? '' })).toBe(true)
  stranger.kill('SIGKILL')
})

test('what a living launcher has started is left alone', async () => {
  const own = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)'])
  const pid = own.pid ?? 0
  recordChild('NATS', pid, directory)
  expect(await stopLeftovers(directory)).toEqual([])
  expect(isAlive({ pid, startedAt: startTimeOf(pid) ?? '' })).toBe(true)
  own.kill('SIGKILL')
})

test('a directory is used by one launcher at a time', () => {
  const release = claimDirectory(directory)
  expect(() => claimDirectory(directory)).toThrow(DirectoryInUseError)
  release()
  claimDirectory(directory)()
})
