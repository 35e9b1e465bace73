import { ordersRoutes } from '@saas/contracts'
import { freePort } from '@saas/devstack'
import { eventually, signedIn } from '@saas/testing'
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Ledger } from './checkers/index.ts'
import { lastWords } from './stage/evidence.ts'
import { introduce } from './stage/recipients.ts'
import { direct, Shopper } from './stage/shopper.ts'
import { SpanReceiver, type ReceivedSpan } from './stage/span-receiver.ts'
import { Stack } from './stage/stack.ts'

let receiver: SpanReceiver
let stack: Stack
let productId: string
const userId = randomUUID()
const ledger = new Ledger()

beforeAll(async () => {
  receiver = await SpanReceiver.start()
  const nobody = `http://127.0.0.1:${await freePort()}`
  stack = await Stack.start({
    services: ['orders', 'products', 'notifications'],
    // Notifications find nobody who takes their spans.
    environment: (service) => ({
      OTEL_EXPORTER_OTLP_ENDPOINT: service === 'notifications' ? nobody : receiver.endpoint,
    }),
  })
  const managerId = randomUUID()
  const manager = new Shopper(managerId, direct(stack, managerId, ['manager']), ledger)
  await introduce(stack.databases.notifications, [userId])
  productId = await manager.sell(10, 490)
  await eventually(async () => (await stack.databases.orders?.query('select 1 from product_copy'))?.length === 1)
})
afterAll(async () => {
  await stack[Symbol.asyncDispose]()
  await receiver[Symbol.asyncDispose]()
})

const spansOf = (traceId: string): ReceivedSpan[] => receiver.spans.filter((span) => span.traceId === traceId)

async function order(headers: Readonly<Record<string, string>> = {}): Promise<Response> {
  const [{ url } = { url: '' }] = stack.replicas('orders')
  return await fetch(`${url}/order`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      prefer: 'wait=10',
      'idempotency-key': randomUUID(),
      ...signedIn(ordersRoutes.placeOrder, { userId }),
      ...headers,
    },
    body: JSON.stringify({ lines: [{ productId, quantity: 1 }] }),
  })
}

test('an order is one trace, each step of which names the one that caused it', async () => {
  const traceId = randomUUID().replaceAll('-', '')
  expect((await order({ traceparent: `00-${traceId}-00f067aa0ba902b7-01` })).status).toBe(201)
  const steps = [
    ['orders', 'POST /order'],
    ['orders', 'send msg.orders.order.placed'],
    ['products', 'process msg.orders.order.placed'],
    ['products', 'send msg.products.stock.reserved'],
    ['orders', 'process msg.products.stock.reserved'],
    ['orders', 'send msg.orders.order.confirmed'],
  ] as const
  await eventually(() => {
    const spans = spansOf(traceId)
    let parent = '00f067aa0ba902b7'
    for (const [service, name] of steps) {
      const step = spans.find((span) => span.name === name && span.parentSpanId === parent)
      expect(step, `${name} after ${parent} in ${JSON.stringify(spans)}`).toMatchObject({ service, hasFailed: false })
      parent = step?.spanId ?? ''
    }
  })
  const request = spansOf(traceId).find(({ name }) => name === 'POST /order')
  expect(request?.attributes).toMatchObject({ 'http.route': '/order', 'http.response.status_code': 201 })
})

test('a trace that begins here has the digits of its request id', async () => {
  const response = await order()
  const requestId = response.headers.get('x-request-id') ?? ''
  await eventually(() => expect(spansOf(requestId.replaceAll('-', '')).length).toBeGreaterThan(1))
})

test('spans say what was asked by the names of the contract, and nothing about who asked', async () => {
  const before = receiver.spans.length
  const secret = randomUUID()
  await order({ 'idempotency-key': secret, 'user-agent': secret })
  await eventually(() => expect(receiver.spans.length).toBeGreaterThan(before + 3))
  const told = JSON.stringify(receiver.spans)
  expect(told).not.toContain(userId)
  expect(told).not.toContain(secret)
})

test('a receiver that is down costs nobody anything but one line in the log', async () => {
  await eventually(() => expect(lastWords(stack, 'notifications')).toContain('Spans are not delivered'))
  await order()
  await eventually(async () => {
    const [sent] = (await stack.databases.notifications?.query<{ count: number }>(
      `select count(*)::int as count from mail where status = 'sent'`,
    )) ?? [{ count: 0 }]
    expect(sent?.count).toBeGreaterThan(0)
  })
})
