import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

const SHARED_MEMORY = '/dev/shm'
const PREFIX = 'saas-postgres-'
/** Several times what all databases and the write-ahead log of a run take. */
const FREE_BYTES_MIN = 4 * 1024 ** 3
/** In a folder in memory: the path of the one that it stands for. */
const NOTE = 'instead-of'

/**
 * Makes a folder in memory that stands for this one, when there is plenty of room; else answers undefined. A database is three hundred files: where
 * hundreds of databases come and go, ext4 looks for inodes that were not freed a moment ago, which took a sixth of Postgres' time in a run of all
 * tests. Folders in memory whose clone or run has gone are removed: only a new start of the machine would give their memory back.
 */
export function makeMemoryFolder(
  directory: string,
  { memory = SHARED_MEMORY, freeBytesMin = FREE_BYTES_MIN } = {},
): string | undefined {
  if (!existsSync(memory)) return undefined
  removeForsaken(memory)
  if (freeBytes(memory) < freeBytesMin) return undefined
  const folder = memoryFolderOf(directory, memory)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  writeFileSync(join(folder, NOTE), resolve(directory))
  return folder
}

/** Where the folder in memory that stands for this one is, if it was made. */
export function memoryFolderOf(directory: string, memory = SHARED_MEMORY): string {
  return join(memory, `${PREFIX}${fingerprint(resolve(directory))}`)
}

/** Short, and the same for the same text. */
export function fingerprint(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12)
}

/** The lesser of what the file system and what the machine, or the container's limit, has left. */
function freeBytes(memory: string): number {
  const { bavail, bsize } = statfsSync(memory)
  return Math.min(bavail * bsize, process.availableMemory())
}

function removeForsaken(memory: string): void {
  for (const name of readdirSync(memory).filter((entry) => entry.startsWith(PREFIX))) {
    const folder = join(memory, name)
    if (isForsaken(folder)) rmSync(folder, { recursive: true, force: true })
  }
}

function isForsaken(folder: string): boolean {
  try {
    return !existsSync(dirname(readFileSync(join(folder, NOTE), 'utf8'))) && !isServed(folder)
  } catch {
    // Another user's, or being made or removed at this moment.
    return false
  }
}

/** Whether a server works on the folder. Of a run in another root only the memory may be seen, and not its folder. */
function isServed(folder: string): boolean {
  const lock = join(folder, 'data', 'postmaster.pid')
  if (!existsSync(lock)) return false
  try {
    return process.kill(Number.parseInt(readFileSync(lock, 'utf8'), 10), 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}
