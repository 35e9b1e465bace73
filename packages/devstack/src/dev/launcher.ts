import { readFileSync } from 'node:fs'
import { parentOf } from '../processes.ts'

const PROBE_MS = 1_000
const ANCESTORS_MAX = 10

interface Link {
  readonly pid: number
  readonly parent: number
}

/**
 * Calls back when the npx or pnpm that started us has ended without passing a signal on: npx dies of SIGTERM and leaves what
 * it has started. Only the links up to the outermost of them are watched: a shell that started it in the background may go.
 */
export function onLauncherGone(callback: () => void): void {
  const links = linksToLauncher()
  if (links.length === 0) return
  const timer = setInterval(() => {
    if (links.every(({ pid, parent }) => parentOf(pid) === parent)) return
    clearInterval(timer)
    callback()
  }, PROBE_MS)
  timer.unref()
}

/** From us up to the process that has none of npm's variables any more: that one is the launcher itself. */
function linksToLauncher(): Link[] {
  const links: Link[] = []
  for (let pid = process.pid; links.length < ANCESTORS_MAX;) {
    const parent = parentOf(pid)
    if (parent === undefined || parent <= 1 || !isStartedByLauncher(pid)) break
    links.push({ pid, parent })
    pid = parent
  }
  return links
}

function isStartedByLauncher(pid: number): boolean {
  if (pid === process.pid) return process.env['npm_lifecycle_event'] !== undefined
  return /(^|\0)npm_(command|lifecycle_event)=/.test(environmentOf(pid))
}

function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8')
  } catch {
    return ''
  }
}
