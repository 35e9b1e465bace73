import { once } from 'node:events'
import { percentile } from './benchmark.ts'
import type { LoadJob, LoadRequest, LoadResult, RequestSource } from './load.ts'
import { LoadConnection, type Answered } from './load-connection.ts'
import { sendPaced } from './paced-load.ts'

/** The program that sends the load: told what to send, it prepares it, says so, and starts when it is told to. */
async function main(): Promise<void> {
  const [job] = (await once(process, 'message')) as [LoadJob]
  const sources = (await import(job.source.module)) as Record<string, RequestSource<unknown>>
  const source = sources[job.source.name]
  if (source === undefined) throw new Error(`${job.source.module} exports no ${job.source.name}`)
  const requestAt = source(job.source.options)
  const { host } = new URL(job.url)
  const requests = Array.from({ length: job.requests }, (_, n) => serialize(requestAt(n), host))
  process.send?.('prepared')
  await once(process, 'message')
  const { perSecond } = job
  process.send?.(await (perSecond === undefined ? send(job, requests) : sendPaced(job, requests, perSecond)))
}

async function send({ url, connections, seconds }: LoadJob, requests: readonly string[]): Promise<LoadResult> {
  const latenciesMs: number[] = []
  const statuses: Record<string, number> = {}
  let bytes = 0
  let sent = 0
  let broken = 0
  const startedAtMs = performance.now()
  const endsAtMs = seconds === undefined ? Number.POSITIVE_INFINITY : startedAtMs + seconds * 1_000
  const next = (): string | undefined => {
    if (seconds === undefined ? sent >= requests.length : performance.now() >= endsAtMs) return undefined
    sent += 1
    return requests[(sent - 1) % requests.length]
  }
  const answered = (answer: Answered): void => {
    latenciesMs.push(answer.milliseconds)
    statuses[answer.status] = (statuses[answer.status] ?? 0) + 1
    bytes += answer.bytes
  }
  const isDone: Promise<void>[] = []
  for (let index = 0; index < connections; index += 1) {
    const connection = new LoadConnection(new URL(url), { next, answered, broken: () => (broken += 1) })
    isDone.push(connection.done)
  }
  await Promise.all(isDone)
  const elapsedSeconds = (performance.now() - startedAtMs) / 1_000
  return {
    answers: latenciesMs.length,
    seconds: elapsedSeconds,
    perSecond: latenciesMs.length / elapsedSeconds,
    p50Ms: percentile(latenciesMs, 50),
    p99Ms: percentile(latenciesMs, 99),
    maxMs: percentile(latenciesMs, 100),
    statuses,
    broken,
    bytes,
  }
}

/** The bytes that go over the wire, one a character: written so, nothing is left to be encoded while the clock runs. */
function serialize({ method, path, headers = {}, body = '' }: LoadRequest, host: string): string {
  const lines = [`${method} ${path} HTTP/1.1`, `host: ${host}`]
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`)
  if (body !== '') lines.push(`content-length: ${Buffer.byteLength(body)}`)
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`).toString('latin1')
}

await main()
