import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { percentile } from './benchmark.ts'
import type { LoadJob, LoadResult } from './load.ts'

/** "\r\n\r\n" as a number. */
const HEAD_END = 0x0d0a0d0a
const READ_BYTES = 4 * 1024
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
  const lanes = await Promise.all(
    Array.from({ length: connections }, () =>
      openLane(new URL(url), (lane, chunk, length) => read(lane, chunk, length)),
    ),
  )
  const idle = [...lanes]
  const statuses: Record<string, number> = {}
  const { promise: isDone, resolve, reject } = Promise.withResolvers<undefined>()
  let [due, sent, answers, bytes] = [0, 0, 0, 0]
  const send = (lane: Lane): void => {
    lane.request = sent
    sent += 1
    lane.socket.write(requests[lane.request % requests.length] ?? '', 'latin1')
  }
  const read = (lane: Lane, chunk: Buffer, length: number): void => {
    if (length < 12 || chunk.readUInt32BE(length - 4) !== HEAD_END) return
    latenciesMs[lane.request] = performance.now() - (dueAtMs[lane.request] ?? 0)
    // "HTTP/1.1 200": the digits stand at a fixed place.
    const status = ((chunk[9] ?? 0) - 48) * 100 + ((chunk[10] ?? 0) - 48) * 10 + ((chunk[11] ?? 0) - 48)
    statuses[status] = (statuses[status] ?? 0) + 1
    answers += 1
    bytes += length
    if (sent < due) send(lane)
    else idle.push(lane)
    if (answers === total) resolve(undefined)
  }
  for (const lane of lanes) {
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

/** Reads into the same bytes again and again: an answer costs no memory that must be collected, which would stop the clock's owner. */
async function openLane(url: URL, read: (lane: Lane, chunk: Buffer, length: number) => void): Promise<Lane> {
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES)
  const socket = connect({
    host: url.hostname,
    port: Number(url.port),
    noDelay: true,
    onread: {
      buffer,
      callback: (length) => {
        read(lane, buffer, length)
        return true
      },
    },
  })
  const lane = { socket, request: 0 }
  await once(socket, 'connect')
  return lane
}
