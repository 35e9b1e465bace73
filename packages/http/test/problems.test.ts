import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, onTestFinished, test, vi } from 'vitest'
import { createApp, listen } from '../src/index.ts'
import { HANDLER_TIMEOUT_MS } from '../src/limits.ts'
import { sampleApp, sampleRoutes } from './sample.ts'

const anyPort = { listenHost: '127.0.0.1', listenPort: 0, opsPort: 0 }

test('a declared problem is answered with all it says', async () => {
  const { app, lines } = sampleApp()
  const response = await app.fastify.inject({ method: 'POST', url: '/fail/declared' })
  expect(response.statusCode).toBe(409)
  expect(response.headers).toMatchObject({ 'content-type': 'application/problem+json', 'x-left': '0' })
  expect(response.json()).toEqual({
    type: '/problems/sold-out',
    title: 'Sold out',
    status: 409,
    detail: 'No more tea.',
    instance: `urn:uuid:${String(response.headers['x-request-id'])}`,
  })
  expect(lines.filter((line) => line['level'] === 'error')).toEqual([])
})

test('an unexpected error is a 500 whose cause is logged under the request id and never sent', async () => {
  const { app, lines } = sampleApp()
  const response = await app.fastify.inject({ method: 'POST', url: '/fail/other' })
  expect(response.statusCode).toBe(500)
  expect(response.body).not.toMatch(/postgres|hunter2|stack/)
  expect(lines).toContainEqual(
    expect.objectContaining({
      message: 'request failed',
      level: 'error',
      requestId: response.headers['x-request-id'],
      route: 'orders.fail',
      err: expect.objectContaining({ message: 'connect postgres://orders:[redacted]@db failed' }),
    }),
  )
  expect(JSON.stringify(lines)).not.toContain('hunter2')
})

test('an outage is logged as one sentence with its cause, because it comes with many requests at once', async () => {
  const { app, lines } = sampleApp()
  const response = await app.fastify.inject({ method: 'POST', url: '/fail/outage' })
  expect(response.statusCode).toBe(503)
  expect(response.headers['retry-after']).toBe('1')
  const failure = lines.find((line) => line['message'] === 'request failed')
  expect(failure?.['err']).toEqual({
    type: 'ProblemError',
    message: 'Part of the shop is not available right now',
    cause: 'connect postgres://orders:[redacted]@db failed',
  })
})

test.each([
  ['an unknown path', 'GET', '/nothing', 404, 'not-found'],
  ['a known path with another method', 'PUT', '/look', 404, 'not-found'],
  ['a trailing slash', 'GET', '/look/', 404, 'not-found'],
  ['another case', 'GET', '/Look', 404, 'not-found'],
  ['a path that is not percent-encoded', 'GET', '/thing/%zz', 400, 'invalid-request'],
  ['a parameter that is too long', 'GET', `/thing/${'x'.repeat(600)}`, 400, 'invalid-request'],
  ['a URL that is too long', 'GET', `/look?q=${'x'.repeat(9000)}`, 400, 'invalid-request'],
] as const)('%s gets problem+json', async (_what, method, url, status, name) => {
  const { app } = sampleApp()
  const response = await app.fastify.inject({ method, url })
  expect(response.statusCode).toBe(status)
  expect(response.headers['content-type']).toBe('application/problem+json')
  expect(response.json()).toMatchObject({ type: `/problems/${name}`, status })
})

test.each([
  ['headers beyond the limit', `GET /look HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`],
  ['no HTTP', 'HELO shop\r\n\r\n'],
  [
    'both a length and chunks',
    'POST /thing HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
])('%s gets problem+json and a closed connection', async (_what, bytes) => {
  await using running = await listen(sampleApp().app, anyPort)
  const socket = connect(Number(new URL(running.url).port), '127.0.0.1')
  socket.write(bytes)
  const answer = await text(socket)
  expect(answer).toMatch(/^HTTP\/1\.1 400 /)
  expect(answer).toContain('Content-Type: application/problem+json')
  expect(answer).toContain('"type":"/problems/invalid-request"')
})

test('a route without a handler stops the start', async () => {
  const { app } = sampleApp()
  const bare = createApp({ ...app, routes: sampleRoutes })
  await expect(bare.fastify.ready()).rejects.toThrow('Routes without a handler: orders.look, orders.read')
})

test('a handler that takes too long is answered for with 503', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
  onTestFinished(() => void vi.useRealTimers())
  const { app, served, release } = sampleApp()
  const answer = app.fastify.inject({ method: 'POST', url: '/wait' })
  await vi.waitFor(() => expect(served).toEqual(['wait']))
  await vi.advanceTimersByTimeAsync(HANDLER_TIMEOUT_MS)
  const response = await answer
  expect(response.statusCode).toBe(503)
  expect(response.headers['retry-after']).toBe('1')
  expect(response.json()).toMatchObject({ type: '/problems/dependency-unavailable' })
  release()
})

test('a client that went away before anybody asked is known to have gone', async () => {
  const { app, served, release } = sampleApp()
  await using running = await listen(app, anyPort)
  const client = connect(Number(new URL(running.url).port), '127.0.0.1')
  client.write('POST /wait HTTP/1.1\r\nhost: shop.example\r\n\r\n')
  await vi.waitFor(() => expect(served).toEqual(['wait']))
  client.destroy()
  await vi.waitFor(async () => {
    const left = await new Promise((resolve) => void app.fastify.server.getConnections((_, count) => resolve(count)))
    expect(left).toBe(0)
  })
  release()
  await vi.waitFor(() => expect(served).toEqual(['wait', 'left']))
})
