import { systemClock } from '@saas/config'
import { operatorRoutes, ProblemError, problems, type DeadLetter } from '@saas/contracts'
import { expect, test } from 'vitest'
import { createApp, operatorHandlers, registerRoutes, type Operated } from '../src/index.ts'
import { sampleApp, key, tokenFor, userId } from './sample.ts'

const letter: DeadLetter = {
  id: userId,
  consumer: 'orders',
  subject: 'msg.products.product.changed',
  messageId: userId,
  reason: 'no such product',
  data: { a: 1 },
  bytes: 7,
  cut: false,
  createdAt: '2026-01-01T12:00:00.000Z',
  replayedAt: null,
  dismissal: null,
}
const at = letter.createdAt
const asked: unknown[] = []
const operated: Operated = {
  deadLetters: {
    list: async (page) => {
      asked.push(page)
      return { items: [letter], next: 'c2' }
    },
    replay: async (id) => (id === letter.id ? { ...letter, replayedAt: at } : undefined),
    dismiss: async (id, { by, reason }) =>
      id === letter.id ? { ...letter, dismissal: { at, by, reason } } : undefined,
    reopen: async (id) => {
      if (id === letter.id) throw new ProblemError(problems.deadLetterEnded)
      return undefined
    },
  },
  lag: async () => ({ outboxPending: 1, stream: { messages: 2, bytes: 3, bytesMax: 4 }, consumers: [] }),
}

function call(
  name: keyof ReturnType<typeof operatorRoutes> & string,
  method: 'GET' | 'POST',
  path: string,
  { roles = ['admin'], payload }: { roles?: string[]; payload?: object } = {},
) {
  const routes = operatorRoutes('orders')
  const app = createApp({ ...sampleApp().app, clock: systemClock, internalTokenKeys: [key], routes })
  registerRoutes(app, routes, operatorHandlers(operated))
  return app.fastify.inject({
    method,
    url: `/admin/orders/${path}`,
    headers: { 'x-internal-token': tokenFor(`orders.${name}`, { roles, at: new Date() }) },
    ...(payload === undefined ? {} : { payload }),
  })
}

test('an administrator lists dead letters a page at a time', async () => {
  const answer = await call('listDeadLetters', 'GET', 'dead-letter?limit=5&cursor=c1&status=open')
  expect(answer.json()).toEqual({ items: [letter], next: 'c2' })
  expect(asked).toEqual([{ limit: 5, cursor: 'c1', status: 'open' }])
})

const other = letter.id.replace('1', '2')

test('an administrator dismisses a dead letter in their own name, with a reason', async () => {
  const dismiss = (id: string, payload: object, roles?: string[]) =>
    call('dismissDeadLetter', 'POST', `dead-letter/${id}/dismiss`, {
      payload,
      ...(roles === undefined ? {} : { roles }),
    })
  const answer = await dismiss(letter.id, { reason: 'worthless' })
  expect(answer.json()).toEqual({ ...letter, dismissal: { at, by: userId, reason: 'worthless' } })
  expect((await dismiss(other, { reason: 'worthless' })).statusCode).toBe(404)
  for (const wrong of [
    {},
    { reason: '' },
    { reason: 'x'.repeat(501) },
    { reason: 'a\0b' },
    { reason: 'x', by: other },
  ]) {
    expect((await dismiss(letter.id, wrong)).statusCode).toBe(400)
  }
  expect((await dismiss(letter.id, { reason: 'worthless' }, ['manager'])).statusCode).toBe(403)
})

test('what has ended otherwise cannot be reopened', async () => {
  const reopen = (id: string) => call('reopenDeadLetter', 'POST', `dead-letter/${id}/reopen`)
  expect((await reopen(letter.id)).json()).toMatchObject({ status: 409, type: '/problems/dead-letter-ended' })
  expect((await reopen(other)).statusCode).toBe(404)
})

test('an administrator replays a dead letter; one that is not there is 404', async () => {
  expect((await call('replayDeadLetter', 'POST', `dead-letter/${letter.id}/replay`)).json()).toMatchObject({
    replayedAt: at,
  })
  expect((await call('replayDeadLetter', 'POST', `dead-letter/${other}/replay`)).statusCode).toBe(404)
})

test('an administrator sees how far behind the service is, and nobody else does', async () => {
  expect((await call('getLag', 'GET', 'lag')).json()).toMatchObject({ outboxPending: 1 })
  expect((await call('getLag', 'GET', 'lag', { roles: ['manager'] })).statusCode).toBe(403)
})
