import { request, type IncomingMessage } from 'node:http'
import { once } from 'node:events'
import { json } from 'node:stream/consumers'
import { ProblemError, route } from '@saas/contracts'
import { Type } from 'typebox'
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
