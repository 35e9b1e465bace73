import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { percentile } from './benchmark.ts'
import type { LoadJob, LoadResult } from './load.ts'

const HEAD_END = Buffer.from('\r\n\r\n')
/** Sent and answered, but not counted: what compiles in the first moment, here and there, is no part of a service that runs. */
const WARM_SECONDS = 1

interface Lane {
  readonly socket: Socket
  /** The number of the request that is under way. */
  request: number
}

/**
 * Sends so many requests a second, whether the answers keep up or not. A request's time counts from when it was due, so what waited
 * because others were late is late too. Only for answers without a body. It sleeps for a millisecond at a time, which counts as well: a
 * loop that never slept would take the core that it waits for.
 */
export async function sendPaced(
  { url, connections, seconds = 1 }: LoadJob,
  requests: readonly string[],
  perSecond: number,
): Promise<LoadResult> {
  const total = Math.floor(perSecond * (WARM_SECONDS + seconds))
  // Made before the clock starts, so that none has to grow while it runs.
  const [dueAtMs, latenciesMs] = [new Float64Array(total), new Float64Array(total)]
  const lanes = await Promise.all(Array.from({ length: connections }, () => openLane(new URL(url))))
  const idle = [...lanes]
  const statuses: Record<string, number> = {}
  const { promise: isDone, resolve, reject } = Promise.withResolvers<undefined>()
  let [due, sent, answers, bytes] = [0, 0, 0, 0]
  const send = (lane: Lane): void => {
    lane.request = sent
    sent += 1
    lane.socket.write(requests[lane.request % requests.length] ?? '')
  }
  const read = (lane: Lane, chunk: Buffer): void => {
    if (!chunk.subarray(-HEAD_END.length).equals(HEAD_END)) return
    latenciesMs[lane.request] = performance.now() - (dueAtMs[lane.request] ?? 0)
    // "HTTP/1.1 200": the digits stand at a fixed place.
    const status = chunk.toString('latin1', 9, 12)
    statuses[status] = (statuses[status] ?? 0) + 1
    answers += 1
    bytes += chunk.length
    if (sent < due) send(lane)
    else idle.push(lane)
    if (answers === total) resolve(undefined)
  }
  for (const lane of lanes) {
    lane.socket.on('data', (chunk) => read(lane, chunk))
    lane.socket.on('close', () => reject(new Error('The connection was closed')))
  }
  const startedAtMs = performance.now()
  while (due < total) {
    const dueNow = Math.min(total, ((performance.now() - startedAtMs) / 1_000) * perSecond)
    while (due < dueNow) {
      dueAtMs[due] = startedAtMs + (due / perSecond) * 1_000
      due += 1
      const lane = idle.pop()
      if (lane !== undefined) send(lane)
    }
    await wait(1)
  }
  await isDone
  const elapsedSeconds = (performance.now() - startedAtMs) / 1_000
  for (const { socket } of lanes) socket.destroy()
  const counted = latenciesMs.subarray(Math.floor(perSecond * WARM_SECONDS))
  return {
    answers,
    seconds: elapsedSeconds,
    perSecond: answers / elapsedSeconds,
    p50Ms: percentile(counted, 50),
    p99Ms: percentile(counted, 99),
    maxMs: percentile(counted, 100),
    statuses,
    broken: 0,
    bytes,
  }
}

async function openLane(url: URL): Promise<Lane> {
  const socket = connect({ host: url.hostname, port: Number(url.port), noDelay: true })
  await once(socket, 'connect')
  return { socket, request: 0 }
}
