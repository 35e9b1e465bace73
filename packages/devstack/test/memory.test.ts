import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { makeMemoryFolder, memoryFolderOf } from '../src/servers/memory.ts'

let memory: string
let clone: string
beforeEach(() => {
  memory = mkdtempSync(join(tmpdir(), 'memory-'))
  clone = mkdtempSync(join(tmpdir(), 'clone-'))
})
afterEach(() => {
  for (const folder of [memory, clone]) rmSync(folder, { recursive: true, force: true })
})

test('a folder in memory goes with the next start when its run or its clone has gone, and those of others stay', () => {
  const run = join(clone, 'run')
  mkdirSync(run)
  const gone = makeMemoryFolder(join(run, 'postgres'), { memory, freeBytesMin: 0 }) ?? ''
  const kept = makeMemoryFolder(join(clone, 'postgres'), { memory, freeBytesMin: 0 }) ?? ''
  const beingMade = join(memory, 'saas-postgres-0123456789ab')
  const strangers = join(memory, 'strangers')
  for (const folder of [beingMade, strangers]) mkdirSync(folder)
  writeFileSync(join(gone, 'data'), 'much')
  rmSync(run, { recursive: true })

  makeMemoryFolder(join(clone, 'another'), { memory, freeBytesMin: 0 })
  expect([gone, kept, beingMade, strangers].map((folder) => existsSync(folder))).toEqual([false, true, true, true])
  expect(gone).toBe(memoryFolderOf(join(run, 'postgres'), memory))
})

test('a folder in memory stays while a server works on it, though its run cannot be seen from here', () => {
  const run = join(clone, 'elsewhere')
  mkdirSync(run)
  const [served, dead] = ['served', 'dead'].map((name) =>
    makeMemoryFolder(join(run, name), { memory, freeBytesMin: 0 }),
  )
  for (const [folder = '', pid] of [[served, process.pid] as const, [dead, 0x7fff_ffff] as const]) {
    mkdirSync(join(folder, 'data'))
    writeFileSync(join(folder, 'data/postmaster.pid'), `${pid}\n/data\n`)
  }
  rmSync(run, { recursive: true })

  makeMemoryFolder(join(clone, 'another'), { memory, freeBytesMin: 0 })
  expect([served, dead].map((folder = '') => existsSync(folder))).toEqual([true, false])
})

test('without room in memory, or without such a folder, data stays where it belongs', () => {
  expect(makeMemoryFolder(clone, { memory, freeBytesMin: Number.MAX_SAFE_INTEGER })).toBeUndefined()
  expect(makeMemoryFolder(clone, { memory: join(memory, 'missing'), freeBytesMin: 0 })).toBeUndefined()
})
