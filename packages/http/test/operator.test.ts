import { systemClock } from '@saas/config'
import { operatorRoutes, type DeadLetter } from '@saas/contracts'
import { expect, test } from 'vitest'
import { createApp, operatorHandlers, registerRoutes, type OperatorState } from '../src/index.ts'
import { sampleApp, key, tokenFor, userId } from './sample.ts'

const letter: DeadLetter = {
  id: userId,
  consumer: 'orders',
  subject: 'msg.products.product.changed',
  messageId: userId,
  reason: 'no such product',
  data: { a: 1 },
  createdAt: '2026-01-01T12:00:00.000Z',
  replayedAt: null,
}
const asked: unknown[] = []
const state: OperatorState = {
  listDeadLetters: async (page) => {
    asked.push(page)
    return { items: [letter], next: 'c2' }
  },
  replayDeadLetter: async (id) => (id === letter.id ? { ...letter, replayedAt: letter.createdAt } : undefined),
  lag: async () => ({ outboxPending: 1, stream: { messages: 2, bytes: 3, bytesMax: 4 }, consumers: [] }),
}

function call(
  name: 'listDeadLetters' | 'replayDeadLetter' | 'getLag',
  method: 'GET' | 'POST',
  path: string,
  roles = ['admin'],
) {
  const routes = operatorRoutes('orders')
  const app = createApp({ ...sampleApp().app, clock: systemClock, internalTokenKeys: [key], routes })
  registerRoutes(app, routes, operatorHandlers(state))
  return app.fastify.inject({
    method,
    url: `/admin/orders/${path}`,
    headers: { 'x-internal-token': tokenFor(`orders.${name}`, { roles, at: new Date() }) },
  })
}

test('an administrator lists dead letters a page at a time', async () => {
  const answer = await call('listDeadLetters', 'GET', 'dead-letter?limit=5&cursor=c1')
  expect(answer.json()).toEqual({ items: [letter], next: 'c2' })
  expect(asked).toEqual([{ limit: 5, cursor: 'c1' }])
})

test('an administrator replays a dead letter; one that is not there is 404', async () => {
  expect((await call('replayDeadLetter', 'POST', `dead-letter/${letter.id}/replay`)).json()).toMatchObject({
    replayedAt: letter.createdAt,
  })
  const other = letter.id.replace('1', '2')
  expect((await call('replayDeadLetter', 'POST', `dead-letter/${other}/replay`)).statusCode).toBe(404)
})

test('an administrator sees how far behind the service is, and nobody else does', async () => {
  expect((await call('getLag', 'GET', 'lag')).json()).toMatchObject({ outboxPending: 1 })
  expect((await call('getLag', 'GET', 'lag', ['manager'])).statusCode).toBe(403)
})
