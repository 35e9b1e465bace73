import { request, type IncomingMessage } from 'node:http'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { json } from 'node:stream/consumers'
import { ProblemError, route } from '@saas/contracts'
import { Type } from '@saas/contracts'
import { expect, test } from 'vitest'
import { createApp, listen, registerRoutes } from '../src/index.ts'
import { sampleApp, soldOut } from './sample.ts'

const BYTES_MAX = 2_000_000
const routes = {
  put: route({
    id: 'orders.put',
    service: 'orders',
    method: 'PUT',
    path: '/put',
    access: 'anyone',
    summary: '',
    upload: { mediaTypes: ['image/png'], bytesMax: BYTES_MAX },
    responses: { 200: Type.Object({}) },
  }),
}

test.each(['at once', 'after the first bytes'])(
  'an upload that is refused %s is answered, and its connection goes on',
  async (when) => {
    const app = createApp({ ...sampleApp().app, routes })
    registerRoutes(app, routes, {
      put: async ({ body }) => {
        if (when !== 'at once') for await (const _ of body) break
        throw new ProblemError(soldOut)
      },
    })
    await using running = await listen(app, { listenHost: '127.0.0.1', listenPort: 0, opsPort: 0 })
    const sent = request(`${running.url}/put`, {
      method: 'PUT',
      headers: { 'content-type': 'image/png', 'content-length': BYTES_MAX },
    })
    const finished = once(sent, 'finish')
    sent.end(Buffer.alloc(BYTES_MAX))
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    expect(response.statusCode).toBe(409)
    expect(await json(response)).toMatchObject({ type: '/problems/sold-out' })
    await finished
  },
)

test('a file may take longer to arrive than a request may, and nothing else may', async () => {
  const transfer = { ...routes.put, id: 'orders.transfer', path: '/transfer', transfer: true } as const
  const all = { put: routes.put, transfer }
  const app = createApp({ ...sampleApp().app, routes: all })
  let reading = Promise.withResolvers<void>()
  const read = async ({ body }: { body: AsyncIterable<Buffer> }) => {
    for await (const _ of body) reading.resolve()
    return { status: 200, body: {} } as const
  }
  registerRoutes(app, all, { put: read, transfer: read })
  await using running = await listen(app, { listenHost: '127.0.0.1', listenPort: 0, opsPort: 0 })
  const sockets = new Set<Socket>()
  running.app.server.on('connection', (socket: Socket) => sockets.add(socket))
  const statusOf = async (path: string): Promise<number | undefined> => {
    sockets.clear()
    reading = Promise.withResolvers<void>()
    const sent = request(running.url + path, { method: 'PUT', headers: { 'content-type': 'image/png' }, agent: false })
    sent.on('error', () => undefined)
    sent.write('first')
    await reading.promise
    // What Node says of a request that is not whole after `requestTimeout`.
    const late = Object.assign(new Error('late'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' })
    for (const socket of sockets) running.app.server.emit('clientError', late, socket)
    sent.end('last')
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    response.resume()
    return response.statusCode
  }
  expect(await statusOf('/transfer')).toBe(200)
  expect(await statusOf('/put')).toBe(400)
})
