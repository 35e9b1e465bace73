import { setTimeout as delay } from 'node:timers/promises'
import { serviceNames, statefulServices, type ServiceName } from '@saas/contracts'
import { freePort } from '../ports.ts'
import { runStep, type Progress } from '../progress.ts'
import { compose, CONTAINER_PORTS } from './compose.ts'
import { engine } from './images.ts'
import { environmentFile, startTrialShop, type TrialShop } from './shop.ts'

const MIGRATE_TIMEOUT_MS = 60_000
const READY_TIMEOUT_MS = 30_000
const PROBE_INTERVAL_MS = 5
const MEMORY_MIB = 256
const HEAP_SHARE = 0.75

/** How long an image takes from the start of its process to its first "ready", in milliseconds, one a run. */
export interface StartTimes {
  readonly service: ServiceName
  readonly readyMs: readonly number[]
}

/**
 * Starts each image `runs` times as a pod would (read-only, no capabilities, the memory limit and heap of the charts) in front
 * of servers that are up and migrated, one at a time.
 */
export async function timeStarts(runs: number, progress: Progress): Promise<StartTimes[]> {
  await using shop = await startTrialShop(progress, false)
  await runStep(progress, 'Migrations', async () => {
    for (const service of statefulServices) {
      await compose(shop.project, ['--profile', 'shop', 'run', '--rm', `migrate-${service}`], MIGRATE_TIMEOUT_MS)
    }
  })
  const times: StartTimes[] = []
  for (const service of serviceNames) {
    const readyMs = await runStep(
      progress,
      `Starts of ${service}`,
      () => timeRuns(shop, service, runs),
      (measured) => measured.join(' '),
    )
    times.push({ service, readyMs })
  }
  return times
}

async function timeRuns(shop: TrialShop, service: ServiceName, runs: number): Promise<number[]> {
  const readyMs: number[] = []
  while (readyMs.length < runs) readyMs.push(await timeStart(shop, service))
  return readyMs
}

/** A line a service: least, median, most. */
export function startTimeLines(times: readonly StartTimes[]): string {
  const row = (name: string, values: readonly (number | string)[]): string =>
    `${name.padEnd(16)}${values.map((value) => String(value).padStart(8)).join('')}\n`
  const rows = times.map(({ service, readyMs }) => {
    const sorted = readyMs.toSorted((a, b) => a - b)
    return row(service, [sorted.at(0) ?? 0, sorted.at(Math.floor(sorted.length / 2)) ?? 0, sorted.at(-1) ?? 0])
  })
  return [row('ready after ms', ['least', 'median', 'most']), ...rows].join('')
}

async function timeStart(shop: TrialShop, service: ServiceName): Promise<number> {
  const port = await freePort()
  const confined = ['--read-only', '--tmpfs', '/tmp', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges']
  const limited = [
    '--memory',
    `${MEMORY_MIB}m`,
    '--env',
    `NODE_OPTIONS=--max-old-space-size=${MEMORY_MIB * HEAP_SHARE}`,
  ]
  const environment = ['--env-file', environmentFile(shop.project, service)]
  const network = ['--network', `${shop.project.name}_default`]
  const published = ['--publish', `127.0.0.1:${port}:${CONTAINER_PORTS.opsPort}`]
  const image = `saas/${service}:latest`
  const container = await engine('create', ...network, ...published, ...environment, ...limited, ...confined, image)
  try {
    const ready = untilReady(`http://127.0.0.1:${port}/readyz`)
    await engine('start', container)
    const readyAt = await ready
    const startedAt = await engine('inspect', '--format', '{{.State.StartedAt}}', container)
    return Math.round(readyAt - Date.parse(startedAt))
  } finally {
    await engine('rm', '--force', container)
  }
}

/** Answers when that was. */
async function untilReady(url: string): Promise<number> {
  const deadline = Date.now() + READY_TIMEOUT_MS
  for (;;) {
    const answer = await fetch(url, { headers: { connection: 'close' } }).catch(() => undefined)
    if (answer?.ok) return Date.now()
    if (Date.now() > deadline)
      throw new Error(`${url} was not ready: ${(await answer?.text()) ?? 'it does not answer'}`)
    await delay(PROBE_INTERVAL_MS)
  }
}
