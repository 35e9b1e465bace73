import { createServer, type Server, type ServerResponse } from 'node:http'
import { collectDefaultMetrics, Registry } from 'prom-client'
import type { App, Checks } from './app.ts'
import { CHECK_TIMEOUT_MS } from './limits.ts'

/** Why a service is not ready: the names of the dependencies that fail. It is ready without those it is `degraded` by. */
interface Readiness {
  readonly ready: boolean
  readonly failing: readonly string[]
  readonly degraded: readonly string[]
}

interface Checked {
  /** Why each fails that does, by its name. */
  readonly causes: Readonly<Record<string, string>>
}

/** Once a process, which may have several services as in tests: each collection has a timer of its own that never ends, a hundred times a second. */
let processMetrics: Registry | undefined

function collected(): Registry {
  const metrics = new Registry()
  collectDefaultMetrics({ register: metrics })
  return metrics
}

/**
 * The server for those who operate the service, on a port of its own: `/healthz` answers while the program lives,
 * `/readyz` 503 with the failing dependencies (or while stopping), `/metrics` in Prometheus' format. What only some routes need
 * is named in `/readyz` too, and leaves it 200: an object store that is down must not keep people from signing in.
 */
export function createOperationsServer(app: App): Server {
  const ofProcess = (processMetrics ??= collected())
  const readiness = watchReadiness(app)
  return createServer((request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return answer(response, 405, { status: 'method-not-allowed' })
    const path = request.url?.split('?', 1)[0]
    if (path === '/healthz') return answer(response, 200, { status: 'alive' })
    if (path === '/readyz') return void answerReadiness(response, readiness)
    if (path === '/metrics') return void answerMetrics(response, app, ofProcess)
    return answer(response, 404, { status: 'not-found' })
  })
}

/** Asks every dependency at once, each within its time-out. */
async function checkAll(checks: Checks): Promise<Checked> {
  const results = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => [name, await failureOf(check)] as const),
  )
  const failed = results.filter(([, cause]) => cause !== undefined)
  return { causes: Object.fromEntries(failed.map(([name, cause]) => [name, messageOf(cause)])) }
}

async function failureOf(check: () => Promise<void>): Promise<unknown> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`No answer within ${CHECK_TIMEOUT_MS} ms`)), CHECK_TIMEOUT_MS)
  try {
    await Promise.race([check(), late])
    return undefined
  } catch (error) {
    return error ?? new Error('The check failed without a reason')
  } finally {
    clearTimeout(timer)
  }
}

/** One check runs at a time, however many ask; what changed is logged. */
function watchReadiness(app: App): () => Promise<Readiness> {
  const { logger, checks, optionalChecks } = app
  let [running, known, knownDegraded]: [Promise<Readiness> | undefined, string, string] = [undefined, '', '']
  let degraded: readonly string[] = []
  let isLooking = false
  // Nobody waits for it, and not before the first time that all is there: its client need not be loaded at the start.
  const look = async (): Promise<void> => {
    isLooking = true
    const { causes } = await checkAll(optionalChecks)
    isLooking = false
    degraded = Object.keys(causes)
    const now = degraded.join(', ')
    if (now === knownDegraded) return
    if (now === '') logger.info('service complete')
    else logger.warn({ degraded, causes }, 'service degraded')
    knownDegraded = now
  }
  const check = async (): Promise<Readiness> => {
    const { causes } = await checkAll(checks)
    const failing = Object.keys(causes)
    const ready = failing.length === 0
    const now = ready ? 'ready' : failing.join(', ')
    if (ready && known === 'ready' && !isLooking) void look()
    if (now !== known) {
      if (ready) logger.info('service ready')
      else logger.warn({ failing, causes }, 'service not ready')
      known = now
    }
    return { ready, failing, degraded }
  }
  return async () => {
    if (app.stopping.signal.aborted) return { ready: false, failing: ['stopping'], degraded }
    running ??= check().finally(() => {
      running = undefined
    })
    return running
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}

async function answerReadiness(response: ServerResponse, readiness: () => Promise<Readiness>): Promise<void> {
  const { ready, failing, degraded } = await readiness()
  answer(response, ready ? 200 : 503, { status: ready ? 'ready' : 'not-ready', failing, degraded })
}

async function answerMetrics(response: ServerResponse, app: App, ofProcess: Registry): Promise<void> {
  try {
    const text = await Registry.merge([app.metrics, ofProcess]).metrics()
    response.writeHead(200, { 'content-type': app.metrics.contentType }).end(text)
  } catch (error) {
    app.logger.error({ err: error }, 'metrics not collected')
    answer(response, 500, { status: 'internal-error' })
  }
}

function answer(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body)
  response
    .writeHead(status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
      'cache-control': 'no-store',
    })
    .end(text)
}
