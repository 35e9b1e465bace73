import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { watchCores, type WatchedProcesses } from './processor-time.ts'

/** One request as it is sent. `Host`, `Connection` and `Content-Length` are added. */
export interface LoadRequest {
  readonly method: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** A module's function that makes requests; it runs in the load generator's process, before the clock starts. */
export type RequestSource<Options> = (options: Options) => (n: number) => LoadRequest

/** What is asked of the load generator. */
export interface LoadJob {
  /** The origin, such as `http://127.0.0.1:3000`. */
  readonly url: string
  /** Connections that are kept; each sends its next request when it has the whole answer of the one before. */
  readonly connections: number
  /** Requests that are made before the clock starts. With `seconds` they start over when all are sent. */
  readonly requests: number
  /** How long to send; without it each request is sent once. */
  readonly seconds?: number
  /** Sends so many a second, each when it is due; without it, as many as are answered. */
  readonly perSecond?: number
  /** Where the requests come from: the URL of the module, the name of its `RequestSource`, and what it is called with. */
  readonly source: { readonly module: string; readonly name: string; readonly options: unknown }
}

/** What the load generator saw. */
export interface LoadResult {
  readonly answers: number
  readonly seconds: number
  readonly perSecond: number
  /** Milliseconds from the request to the whole answer; at a given pace, from when the request was due. */
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** How many answers had each status. */
  readonly statuses: Readonly<Record<string, number>>
  /** Requests whose connection broke before the answer. */
  readonly broken: number
  /** Bytes of answers. */
  readonly bytes: number
}

/** A result together with the CPU that the generator and the watched processes used, in cores. */
export type MeasuredLoad = LoadResult & { readonly cores: Readonly<Record<string, number>> }

const PROGRAM = fileURLToPath(new URL('load-generator.ts', import.meta.url))

/** Sends load from a process of its own, so that what it costs is known and does not slow down what it measures. */
export async function sendLoad(job: LoadJob, watched: WatchedProcesses = {}): Promise<MeasuredLoad> {
  const generator = fork(PROGRAM, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], execArgv: [] })
  try {
    generator.send(job)
    await nextMessage(generator)
    const measured = watchCores({ ...watched, generator: generator.pid ?? 0 })
    generator.send('start')
    const result = (await nextMessage(generator)) as LoadResult
    return { ...result, cores: measured() }
  } finally {
    generator.kill('SIGKILL')
  }
}

async function nextMessage(generator: ChildProcess): Promise<unknown> {
  const abort = new AbortController()
  try {
    const ended = once(generator, 'exit', abort).then(() => {
      throw new Error('The load generator ended early')
    })
    const [message] = (await Promise.race([once(generator, 'message', abort), ended])) as unknown[]
    return message
  } finally {
    abort.abort()
  }
}
