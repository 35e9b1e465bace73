import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { choosePorts } from '../src/dev/public-ports.ts'
import { readOptions } from '../src/dev/options.ts'
import { freePort } from '../src/ports.ts'

const LISTEN = `require('node:net').createServer().listen(Number(process.argv.at(-1)), '127.0.0.1', () => console.log('listening'))`
const started: ChildProcess[] = []

afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL')
})

/** A process that listens on a port and is not ours. */
async function listener(port: number, ...arguments_: string[]): Promise<ChildProcess> {
  const child = spawn(process.execPath, [...arguments_, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] })
  started.push(child)
  await once(child.stdout, 'data')
  return child
}

async function freeDefaults() {
  return { edge: await freePort(), mailbox: await freePort(), docs: await freePort() }
}

test('a default port held by a foreign program is refused with port, pid and program', async () => {
  const defaults = await freeDefaults()
  const foreign = await listener(defaults.edge, '-e', LISTEN)
  await expect(choosePorts({}, defaults)).rejects.toThrow(
    `Port ${defaults.edge} for edge is in use by process ${foreign.pid} (node). Stop it, or set SAAS_EDGE_PORT to a free port.`,
  )
})

test('a port the user set is refused when it is busy, even when another clone has it', async () => {
  const port = await freePort()
  const foreign = await listener(port, '-e', LISTEN)
  await expect(choosePorts({ docs: port }, await freeDefaults())).rejects.toThrow(
    `Port ${port} for docs is in use by process ${foreign.pid} (node).`,
  )
})

test("a default port held by another clone's stack moves to the next free one, and it is said", async () => {
  const folder = mkdtempSync(join(tmpdir(), 'other-clone-'))
  const program = join(folder, 'packages/devstack/src/dev.cjs')
  mkdirSync(join(program, '..'), { recursive: true })
  writeFileSync(program, LISTEN)
  const defaults = await freeDefaults()
  await listener(defaults.mailbox, program)
  const { ports, notes } = await choosePorts({}, defaults)
  expect(ports.mailbox).toBeGreaterThan(defaults.mailbox)
  expect(ports).toMatchObject({ edge: defaults.edge, docs: defaults.docs })
  expect(notes).toEqual([
    `mailbox: port ${defaults.mailbox} belongs to another clone's stack, so this one has ${ports.mailbox}`,
  ])
  rmSync(folder, { recursive: true })
})

test('free ports are taken as they are', async () => {
  const defaults = await freeDefaults()
  const edge = await freePort()
  expect(await choosePorts({ edge }, defaults)).toEqual({ ports: { ...defaults, edge }, notes: [] })
})

test('one port for two purposes is refused', async () => {
  const port = await freePort()
  await expect(choosePorts({ edge: port, docs: port }, await freeDefaults())).rejects.toThrow(`${port}`)
})

test('the command line names what it does not know', () => {
  expect(() => readOptions(['--only', 'orders,basket'], {})).toThrow('There is no service basket')
  expect(() => readOptions(['--quickly'], {})).toThrow('--quickly')
  expect(() => readOptions(['--docker', '--no-docker'], {})).toThrow('exclude each other')
  expect(() => readOptions([], { SAAS_EDGE_PORT: '80a' })).toThrow('SAAS_EDGE_PORT is "80a"')
  expect(readOptions(['--', '--fresh', '--only', 'orders'], { SAAS_DOCS_PORT: '9000' })).toEqual({
    fresh: true,
    services: ['orders'],
    docker: 'auto',
    ports: { docs: 9000 },
  })
})
