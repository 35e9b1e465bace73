import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/** A process and the moment it started: a number alone may belong to somebody else by now. */
export interface ProcessIdentity {
  readonly pid: number
  readonly startedAt: string
}

const STOP_TIMEOUT_MS = 8_000
const PROBE_INTERVAL_MS = 10

/** When the process started, as the system tells it; undefined when it is gone (or only waits to be reaped). */
export function startTimeOf(pid: number): string | undefined {
  if (process.platform === 'linux') {
    try {
      // Fields are counted after the program's name, which is in parentheses and may hold anything.
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ')
      return fields[0] === 'Z' ? undefined : fields[19]
    } catch {
      return undefined
    }
  }
  try {
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim() || undefined
  } catch {
    return undefined
  }
}

/** Who started a process; undefined when it is gone, or the system has no /proc. */
export function parentOf(pid: number): number | undefined {
  if (pid === process.pid) return process.ppid
  try {
    const parent = /^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return parent === undefined ? undefined : Number(parent)
  } catch {
    return undefined
  }
}

/** This very process. */
export function ownIdentity(): ProcessIdentity {
  return { pid: process.pid, startedAt: startTimeOf(process.pid) ?? '' }
}

/** Whether exactly this process still runs. */
export function isAlive({ pid, startedAt }: ProcessIdentity): boolean {
  return startTimeOf(pid) === startedAt
}

/** Stops exactly this process and its group: SIGTERM, then SIGKILL after eight seconds. */
export async function stopProcess(identity: ProcessIdentity, firstSignal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  const deadline = Date.now() + STOP_TIMEOUT_MS
  signalGroup(identity, firstSignal)
  while (isAlive(identity) && Date.now() < deadline) await delay(PROBE_INTERVAL_MS)
  signalGroup(identity, 'SIGKILL')
  while (isAlive(identity)) await delay(PROBE_INTERVAL_MS)
}

/** Sends a signal to exactly this process and its group. */
export function signalGroup(identity: ProcessIdentity, signal: NodeJS.Signals): void {
  if (!isAlive(identity)) return
  for (const target of [-identity.pid, identity.pid]) {
    try {
      process.kill(target, signal)
      return
    } catch {
      // Not the leader of a group, or gone in between: the next target, or nothing, is right.
    }
  }
}
