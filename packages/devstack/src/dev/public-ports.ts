import { readFileSync } from 'node:fs'
import { isPortFree, portHolder } from '../ports.ts'
import { UsageError, type PublicPortName } from './options.ts'

export type PublicPorts = Readonly<Record<PublicPortName, number>>

export interface PortChoice {
  readonly ports: PublicPorts
  /** One sentence for each default that was taken by another clone. */
  readonly notes: readonly string[]
}

const defaultPorts: PublicPorts = { edge: 8080, mailbox: 8025, docs: 8081 }

const NEXT_PORTS_MAX = 100
const ANCESTORS_MAX = 8

/**
 * Chooses the ports people use. A port the user set is taken or refused. A default that another clone's stack holds moves
 * to the next free one; one that a foreign program holds is refused. Throws UsageError with port, pid and program.
 */
export async function choosePorts(
  wanted: { readonly [P in PublicPortName]?: number },
  defaults: PublicPorts = defaultPorts,
): Promise<PortChoice> {
  const ports: Partial<Record<PublicPortName, number>> = {}
  const notes: string[] = []
  for (const name of ['edge', 'mailbox', 'docs'] as const) {
    const preferred = wanted[name] ?? defaults[name]
    const others = [...Object.values(ports), ...Object.values(wanted)]
    if (await isUsable(preferred)) {
      if (wanted[name] !== undefined && Object.values(ports).includes(preferred)) {
        throw new UsageError(`Two of the ports that were set are ${preferred}.`)
      }
      ports[name] = preferred
    } else if (wanted[name] === undefined && isHeldByStack(preferred)) {
      ports[name] = await nextUsable(preferred, [...others, ...Object.values(defaults)])
      notes.push(`${name}: port ${preferred} belongs to another clone's stack, so this one has ${ports[name]}`)
    } else {
      throw new UsageError(refusal(name, preferred))
    }
  }
  return { ports: ports as PublicPorts, notes }
}

/** Free on 127.0.0.1, and no wildcard or ::1 listener would get what a browser sends to localhost. */
async function isUsable(port: number): Promise<boolean> {
  return (await isPortFree(port)) && portHolder(port) === undefined
}

async function nextUsable(port: number, excluded: readonly number[]): Promise<number> {
  for (let next = port + 1; next < port + NEXT_PORTS_MAX; next += 1) {
    if (!excluded.includes(next) && (await isUsable(next))) return next
  }
  throw new UsageError(`None of the ports ${port} to ${port + NEXT_PORTS_MAX} is free.`)
}

/** Whether the process that listens, or one that started it, is part of a stack of another clone. */
function isHeldByStack(port: number): boolean {
  let pid = portHolder(port)?.pid
  for (let depth = 0; pid !== undefined && pid > 1 && depth < ANCESTORS_MAX; depth += 1) {
    if (/packages\/devstack\/src\/|\/\.devstack\//.test(readProcess(pid, 'cmdline'))) return true
    pid = Number(/^PPid:\s*(\d+)/m.exec(readProcess(pid, 'status'))?.[1] ?? 0)
  }
  return false
}

function refusal(name: PublicPortName, port: number): string {
  const holder = portHolder(port)
  const who =
    holder?.pid === undefined ? 'a program of another user' : `process ${holder.pid} (${holder.program ?? 'unknown'})`
  return `Port ${port} for ${name} is in use by ${who}. Stop it, or set SAAS_${name.toUpperCase()}_PORT to a free port.`
}

function readProcess(pid: number, file: 'cmdline' | 'status'): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}
