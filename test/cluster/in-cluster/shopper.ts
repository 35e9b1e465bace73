import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { Customer, sell } from '../../../charts/umbrella/files/journey.ts'

// Shops in a pod of the cluster, beside the release: what it bought it remembers while the release comes and goes. It is told
// what to do through a port of its own pod.

const PORT = 8099
const BUYERS = 4
const PAUSE_MS = 50
const STOCK = 1_000_000
const FAILURES_KEPT = 20

const run = randomUUID().slice(0, 8)
const customer = new Customer(`shopper-${run}@example.com`, `shops for ${randomUUID()}`)
const load = { requests: 0, orders: 0, failed: 0, failures: [] as string[], seconds: 0 }
let productId = ''
let orderId = ''
let stop = new AbortController()
let buyers: Promise<unknown> = Promise.resolve()

const commands: Readonly<Record<string, () => Promise<unknown>>> = {
  '/buy': async () => {
    await customer.register()
    await customer.logIn()
    productId = await sell(`SHOPPER-${run}`, `Shopper ${run}`, STOCK)
    orderId = await customer.buy(productId)
    return { orderId }
  },
  '/start': () => {
    stop = new AbortController()
    const startedAt = performance.now()
    buyers = Promise.all(Array.from({ length: BUYERS }, shop)).then(() => {
      load.seconds = Math.round((performance.now() - startedAt) / 1000)
      return undefined
    })
    return Promise.resolve({})
  },
  '/stop': async () => {
    stop.abort()
    await buyers
    return load
  },
  '/find': async () => {
    await customer.logIn()
    return await customer.call('GET', `/order/${orderId}`)
  },
}

/** One after the other what a customer asks for. An answer that is not the one that is due counts as failed, whatever it is. */
async function shop(): Promise<void> {
  while (!stop.signal.aborted) {
    await attempt('GET', '/')
    await attempt('GET', '/product?limit=20')
    await attempt('GET', `/product/${productId}`)
    await attempt('GET', '/profile')
    await attempt('POST', '/order', {
      body: { lines: [{ productId, quantity: 1 }] },
      headers: { 'idempotency-key': randomUUID(), prefer: 'wait=0' },
      expected: 201,
    })
    load.orders += 1
  }
}

async function attempt(method: string, path: string, request: Parameters<Customer['call']>[2] = {}): Promise<void> {
  load.requests += 1
  try {
    await customer.call(method, path, request)
  } catch (error) {
    load.failed += 1
    const cause = error instanceof Error && error.cause instanceof Error ? ` (${error.cause.message})` : ''
    if (load.failures.length < FAILURES_KEPT) {
      load.failures.push(`${new Date().toISOString()} ${method} ${path}: ${String(error)}${cause}`)
    }
  }
  await delay(PAUSE_MS)
}

createServer((request, response) => {
  const command = commands[request.url ?? '']
  const answer = (status: number, body: object): void => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }
  if (command === undefined) answer(404, {})
  else {
    command().then(
      (result) => answer(200, { result }),
      (error: unknown) => answer(200, { error: String(error) }),
    )
  }
}).listen(PORT, '127.0.0.1')

process.once('SIGTERM', () => process.exit(0))
