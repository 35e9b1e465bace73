import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'

// What customers do beside an upgrade. Nothing is tried twice here: whatever is not answered as is due, at once, has failed.

const BUYERS = 4
const PAUSE_MS = 30
const CALL_TIMEOUT_MS = 20_000
const FAILURES_KEPT = 40
/** An access token is good for five minutes; each buyer signs in again long before. */
const ROUNDS_A_SESSION = 25

/** What became of all requests. */
interface Load {
  requests: number
  orders: number
  failed: number
  seconds: number
  slowestMs: number
  /** Event streams that a service ended because it stopped, before the order was decided; clients open them again. */
  streamsEnded: number
  readonly byRequest: Record<string, number>
  readonly failures: string[]
}

/** Who buys what, and where. */
interface Errand {
  readonly url: string
  readonly email: string
  readonly password: string
  readonly productId: string
}

interface Sent {
  readonly body?: object
  readonly headers?: Readonly<Record<string, string>>
  readonly expected?: number
  /** How it is counted, where the path has an id in it. */
  readonly as?: string
}

/** Buyers who go on until they are told to stop. */
export class Buyers {
  readonly #errand: Errand
  readonly #stop = new AbortController()
  readonly #startedAt = performance.now()
  readonly #done: Promise<unknown>
  readonly #load: Load = {
    requests: 0,
    orders: 0,
    failed: 0,
    seconds: 0,
    slowestMs: 0,
    streamsEnded: 0,
    byRequest: {},
    failures: [],
  }

  constructor(errand: Errand) {
    this.#errand = errand
    this.#done = Promise.all(Array.from({ length: BUYERS }, () => this.#shop()))
  }

  async stop(): Promise<Load> {
    this.#stop.abort()
    await this.#done
    this.#load.seconds = Math.round((performance.now() - this.#startedAt) / 1000)
    return this.#load
  }

  async #shop(): Promise<void> {
    const { email, password, productId } = this.#errand
    while (!this.#stop.signal.aborted) {
      let session = await this.#send('POST', '/auth/login', undefined, { body: { email, password } })
      for (let round = 0; round < ROUNDS_A_SESSION && !this.#stop.signal.aborted; round += 1) {
        const token = text(session, 'accessToken')
        await this.#send('GET', '/', token)
        await this.#send('GET', '/product?limit=20', token)
        await this.#send('GET', `/product/${productId}`, token, { as: 'GET /product/{id}' })
        await this.#send('GET', '/profile', token)
        const cart = { body: { quantity: 1 + (round % 3) }, as: 'PUT /cart/{id}' }
        await this.#send('PUT', `/cart/${productId}`, token, cart)
        await this.#send('GET', '/cart', token)
        await this.#order(token, round)
        const refreshToken = text(session, 'refreshToken')
        session = (await this.#send('POST', '/auth/refresh', undefined, { body: { refreshToken } })) ?? session
      }
      const refreshToken = text(session, 'refreshToken')
      await this.#send('POST', '/auth/logout', undefined, { body: { refreshToken }, expected: 204 })
    }
  }

  /** By turns the answer waits for the decision, or the order's events are followed until it is there. */
  async #order(token: string | undefined, round: number): Promise<void> {
    const wait = round % 2 === 0 ? 10 : 0
    const order = await this.#send('POST', '/order', token, {
      body: { lines: [{ productId: this.#errand.productId, quantity: 1 }] },
      headers: { 'idempotency-key': randomUUID(), prefer: `wait=${wait}` },
      expected: 201,
      as: `POST /order, wait=${wait}`,
    })
    if (order === undefined) return
    this.#load.orders += 1
    if (wait === 0) await this.#followEvents(text(order, 'id') ?? '', token)
    else if (text(order, 'status') !== 'confirmed') this.#fail('POST /order, wait=10', `it is ${text(order, 'status')}`)
  }

  async #followEvents(id: string, token: string | undefined): Promise<void> {
    for (let isDecided = false; !isDecided;) {
      const said = await this.#send('GET', `/order/${id}/events`, token, { as: 'GET /order/{id}/events' })
      if (said === undefined) return
      isDecided = text(said, 'events')?.includes('"confirmed"') === true
      if (!isDecided) this.#load.streamsEnded += 1
    }
  }

  /** Answers the body, or undefined when the request failed. */
  async #send(method: string, path: string, token: string | undefined, sent: Sent = {}): Promise<unknown> {
    const name = sent.as ?? `${method} ${path}`
    this.#load.requests += 1
    this.#load.byRequest[name] = (this.#load.byRequest[name] ?? 0) + 1
    const startedAt = performance.now()
    try {
      const response = await fetch(this.#errand.url + path, {
        method,
        headers: {
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(sent.body === undefined ? {} : { 'content-type': 'application/json' }),
          ...sent.headers,
        },
        body: sent.body === undefined ? null : JSON.stringify(sent.body),
        signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
      })
      const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true
      const body = isStream ? await untilConfirmed(response) : await response.text()
      if (response.status !== (sent.expected ?? 200)) {
        throw new Error(`${response.status}, request ${response.headers.get('x-request-id')}: ${body.slice(0, 200)}`)
      }
      if (isStream) return { events: body }
      return body.startsWith('{') ? JSON.parse(body) : {}
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? ` (${error.cause.message})` : ''
      this.#fail(name, `${String(error)}${cause}, after ${Math.round(performance.now() - startedAt)} ms`)
      return undefined
    } finally {
      this.#load.slowestMs = Math.max(this.#load.slowestMs, Math.round(performance.now() - startedAt))
      await delay(PAUSE_MS)
    }
  }

  #fail(name: string, what: string): void {
    this.#load.failed += 1
    if (this.#load.failures.length < FAILURES_KEPT) {
      this.#load.failures.push(`${new Date().toISOString()} ${name}: ${what}`)
    }
  }
}

/** Reads events until one says that the order is confirmed, or the stream ends. */
async function untilConfirmed(response: Response): Promise<string> {
  let said = ''
  const decoder = new TextDecoder()
  for await (const chunk of response.body ?? []) {
    said += decoder.decode(chunk, { stream: true })
    if (said.includes('"confirmed"')) break
  }
  return said
}

function text(body: unknown, name: string): string | undefined {
  const value = (body as Record<string, unknown> | undefined)?.[name]
  return typeof value === 'string' ? value : undefined
}
