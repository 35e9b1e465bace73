import { randomInt } from 'node:crypto'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import { basename } from 'node:path'

// Below the kernel's ephemeral range (32768 and up), where an outgoing connection may take a port at any moment.
const LOWEST_PORT = 20_000
const HIGHEST_PORT = 32_000
const ATTEMPTS_MAX = 200

/** Ports handed out by this process, so that two servers started in parallel never get the same one. */
const handedOut = new Set<number>()

/** Who listens on a port. The program is unknown when the process belongs to another user. */
export interface PortHolder {
  readonly pid?: number
  readonly program?: string
}

/** Whether 127.0.0.1:port can be listened on right now. */
export async function isPortFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    return await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false))
      server.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(true))
    })
  } finally {
    server.close()
  }
}

/** A free port of 127.0.0.1 between 20000 and 32000. Throws when none is found. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const port = randomInt(LOWEST_PORT, HIGHEST_PORT)
    if (handedOut.has(port)) continue
    handedOut.add(port)
    if (await isPortFree(port)) return port
  }
  throw new Error(`no free port between ${LOWEST_PORT} and ${HIGHEST_PORT} was found`)
}

/** Who listens on a TCP port of this machine, from /proc; undefined when nobody does or the system has no /proc. */
export function portHolder(port: number): PortHolder | undefined {
  const inodes = new Set(['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) => listeningInodes(table, port)))
  if (inodes.size === 0) return undefined
  for (const pid of readFolder('/proc').filter((name) => /^\d+$/.test(name))) {
    for (const descriptor of readFolder(`/proc/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(readLink(`/proc/${pid}/fd/${descriptor}`))?.[1]
      if (inode !== undefined && inodes.has(inode)) return { pid: Number(pid), program: programOf(pid) }
    }
  }
  return {}
}

function listeningInodes(table: string, port: number): string[] {
  const hexadecimal = port.toString(16).toUpperCase().padStart(4, '0')
  return readText(table)
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, , state]) => state === '0A' && local?.endsWith(`:${hexadecimal}`))
    .flatMap((fields) => fields[9] ?? [])
}

/** The name of the executable; the process's own name, which any program may change, only when that cannot be read. */
function programOf(pid: string): string {
  return basename(readLink(`/proc/${pid}/exe`)) || readText(`/proc/${pid}/comm`).trim() || 'unknown'
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function readFolder(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

function readLink(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}
