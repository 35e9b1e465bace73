import { readdirSync, readFileSync } from 'node:fs'

/** Clock ticks a second of the kernel's user interface; 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100
const PARENT = 1
const USER_TICKS = 11
const SYSTEM_TICKS = 12

/** Processes to be watched, by the name under which they are reported; a process counts together with its children. */
export type WatchedProcesses = Readonly<Record<string, number>>

/**
 * Watches how many cores processes use, and under `others` whatever else runs on the machine; call the result at the end. Zero where there
 * is no /proc.
 */
export function watchCores(processes: WatchedProcesses): () => Record<string, number> {
  const startedAtMs = performance.now()
  const [before, busyBefore] = [secondsOf(processes), busySeconds()]
  return () => {
    const elapsedSeconds = (performance.now() - startedAtMs) / 1_000
    const [after, busyAfter] = [secondsOf(processes), busySeconds()]
    const cores = Object.keys(processes).map(
      (name) => [name, ((after[name] ?? 0) - (before[name] ?? 0)) / elapsedSeconds] as const,
    )
    const watched = cores.reduce((sum, [, used]) => sum + used, 0)
    const others = Math.max(0, (busyAfter - busyBefore) / elapsedSeconds - watched)
    return Object.fromEntries([...cores, ['others', others]])
  }
}

/** What all cores together have worked since the machine started: all columns of the first line but idle and waiting. */
function busySeconds(): number {
  try {
    // On a rented machine the last of these is what its host gave to somebody else.
    const [, user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, stolen = 0] = readFileSync(
      '/proc/stat',
      'latin1',
    )
      .split('\n', 1)
      .flatMap((line) => line.split(/ +/).map(Number))
    return (user + nice + system + irq + softirq + stolen) / TICKS_PER_SECOND
  } catch {
    return 0
  }
}

function secondsOf(processes: WatchedProcesses): Record<string, number> {
  const all = readProcesses()
  return Object.fromEntries(Object.entries(processes).map(([name, pid]) => [name, secondsOfFamily(pid, all)]))
}

interface ProcessTime {
  readonly parent: number
  readonly seconds: number
}

/** A child that has ended is not counted: the servers we watch keep theirs. */
function secondsOfFamily(pid: number, all: ReadonlyMap<number, ProcessTime>): number {
  let seconds = all.get(pid)?.seconds ?? 0
  for (const [child, { parent }] of all) if (parent === pid) seconds += secondsOfFamily(child, all)
  return seconds
}

function readProcesses(): Map<number, ProcessTime> {
  const found = new Map<number, ProcessTime>()
  for (const name of listProcesses()) {
    try {
      const line = readFileSync(`/proc/${name}/stat`, 'latin1')
      // The second field is the program's name in parentheses and may hold spaces.
      const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
      const ticks = Number(fields[USER_TICKS]) + Number(fields[SYSTEM_TICKS])
      found.set(Number(name), { parent: Number(fields[PARENT]), seconds: ticks / TICKS_PER_SECOND })
    } catch {
      // It has ended in between.
    }
  }
  return found
}

function listProcesses(): string[] {
  try {
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  } catch {
    return []
  }
}
