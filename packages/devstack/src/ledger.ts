import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { processesDirectory } from './locations.ts'
import {
  isAlive,
  ownIdentity,
  parentOf,
  signalGroup,
  startTimeOf,
  stopProcess,
  type ProcessIdentity,
} from './processes.ts'

/** One child of one launcher. It outlives a launcher that is killed. One file each, so that nothing is ever merged. */
interface Entry {
  readonly name: string
  readonly owner: ProcessIdentity
  readonly child: ProcessIdentity
}

/** Another launcher that is still alive works in this directory. */
export class DirectoryInUseError extends Error {
  override readonly name = 'DirectoryInUseError'
  readonly pid: number

  constructor(directory: string, pid: number) {
    super(`${directory} is in use by process ${pid}`)
    this.pid = pid
  }
}

/** Remembers a child. Synchronous, so that nothing but a kill of this very moment comes between start and note. */
export function recordChild(name: string, pid: number, directory = processesDirectory): void {
  const startedAt = startTimeOf(pid)
  if (startedAt === undefined) return
  const entry: Entry = { name, owner: ownIdentity(), child: { pid, startedAt } }
  writeWhole(join(directory, `${pid}.json`), entry)
}

/** Forgets a child that has ended. */
export function forgetChild(pid: number, directory = processesDirectory): void {
  rmSync(join(directory, `${pid}.json`), { force: true })
}

/**
 * Stops what killed launchers of this clone left running and answers the names of what was stopped. Only a process whose
 * number and start time were both noted is touched, and only when its launcher is gone.
 */
export async function stopLeftovers(directory = processesDirectory): Promise<string[]> {
  const orphans = entryFiles(directory)
    .map((file) => ({ file, entry: readJson(file) as Entry | undefined }))
    .filter(({ entry }) => entry === undefined || !isAlive(entry.owner))
  const stopped = await Promise.all(
    orphans.map(async ({ file, entry }) => {
      const left = entry !== undefined && isAlive(entry.child)
      // Postgres waits for its clients on SIGTERM, and those may be leftovers too: SIGINT ends them.
      if (left) await stopProcess(entry.child, entry.name === 'Postgres' ? 'SIGINT' : 'SIGTERM')
      rmSync(file, { force: true })
      return left ? [entry.name] : []
    }),
  )
  return stopped.flat()
}

/** Stops every child of this process that still runs: what was being started while the launcher was told to stop. */
export async function stopOwnChildren(directory = processesDirectory): Promise<void> {
  const own = ownIdentity()
  const children = entryFiles(directory)
    .map((file) => readJson(file) as Entry | undefined)
    .filter((entry) => entry?.owner.pid === own.pid && entry.owner.startedAt === own.startedAt)
  await Promise.all(children.map(async (entry) => entry && stopProcess(entry.child, 'SIGINT')))
}

/**
 * Ends at once what this process and those that it has started run for this clone, and what nobody owns any more. Synchronous: nothing
 * is awaited by a process that exits.
 */
export function killChildren(directory = processesDirectory): void {
  for (const file of entryFiles(directory)) {
    const entry = readJson(file) as Entry | undefined
    if (entry === undefined) continue
    const { name, owner, child } = entry
    const isOurs = owner.pid === process.pid || parentOf(owner.pid) === process.pid
    // Postgres ends its backends then, and gives shared memory back.
    if (isOurs || !isAlive(owner)) signalGroup(child, name === 'Postgres' ? 'SIGQUIT' : 'SIGKILL')
  }
}

/** Claims a directory for this process until the answer is called. Throws DirectoryInUseError. */
export function claimDirectory(directory: string): () => void {
  const file = join(directory, 'owner.json')
  const owner = readJson(file) as ProcessIdentity | undefined
  if (owner !== undefined && isAlive(owner)) throw new DirectoryInUseError(directory, owner.pid)
  writeWhole(file, ownIdentity())
  return () => rmSync(file, { force: true })
}

function entryFiles(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => name.endsWith('.json'))
      .map((name) => join(directory, name))
  } catch {
    return []
  }
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}

function writeWhole(file: string, content: object): void {
  mkdirSync(join(file, '..'), { recursive: true })
  const draft = `${file}.draft-${process.pid}`
  writeFileSync(draft, `${JSON.stringify(content)}\n`)
  renameSync(draft, file)
}
