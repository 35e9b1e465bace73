import { onTestFinished, describe, expect, test } from 'vitest'
import { eventually } from '@saas/testing'
import { stage } from './stage.ts'

const on = stage()
const id = '01977c1e-6a00-7000-8000-000000000001'
const json = { 'content-type': 'application/json' }

function seenByOrders() {
  return [...on.orders.seen, ...on.otherOrders.seen]
}

/** Brings auth back for the next test. */
function restoreAuth(): void {
  onTestFinished(async () => {
    await on.auth.child.restart()
    await eventually(async () => (await on.edge.send('/cart', { token: on.auth.tokens.customer })).status === 200)
  })
}

describe('while auth is down', () => {
  test('protected routes answer 503 with Retry-After within a second, never 401, and nothing gets through', async () => {
    restoreAuth()
    await on.auth.child.kill()
    for (const options of [{}, { token: 'nonsense' }, { token: on.auth.tokens.admin }]) {
      const answer = await on.edge.send('/order', options)
      expect(answer).toMatchObject({
        status: 503,
        headers: { 'retry-after': '1', 'content-type': 'application/problem+json' },
      })
      expect(JSON.parse(answer.body)).toMatchObject({ type: '/problems/dependency-unavailable' })
      expect(answer.milliseconds).toBeLessThan(1000)
    }
    expect(seenByOrders()).toEqual([])
  })

  test('routes for anyone keep answering', async () => {
    restoreAuth()
    await on.auth.child.kill()
    for (const path of ['/product', '/', '/assets/app.js']) {
      expect((await on.edge.send(path, { token: on.auth.tokens.customer })).status).toBe(200)
    }
  })
})

test('while auth is frozen, protected routes answer 503 in about a second', async () => {
  on.auth.child.pause()
  onTestFinished(() => {
    on.auth.child.resume()
  })
  const answer = await on.edge.send('/order', { token: on.auth.tokens.customer })
  expect(answer.status).toBe(503)
  expect(answer.headers['retry-after']).toBe('1')
  expect(answer.milliseconds).toBeLessThan(1500)
  expect((await on.edge.send('/product?frozen')).milliseconds).toBeLessThan(500)
  expect(seenByOrders()).toEqual([])
})

test('while a service is down, its routes answer 503 as problem+json', async () => {
  onTestFinished(() => on.notifications.listen())
  await on.notifications.kill()
  const answer = await on.edge.send('/admin/notifications/mail', { token: on.auth.tokens.admin })
  expect(answer.status).toBe(503)
  expect(JSON.parse(answer.body)).toMatchObject({ type: '/problems/dependency-unavailable' })
})

describe('a killed replica', () => {
  /** The first of the two that gets a request dies over it. */
  function dieOnFirstRequest() {
    const replicas = [on.orders, on.otherOrders]
    let died: (typeof replicas)[number] | undefined
    for (const replica of replicas) {
      replica.answer = (_seen, response) => {
        if (died === undefined) {
          died = replica
          void replica.kill()
        } else {
          response.writeHead(201, json).end('{}')
        }
      }
    }
    onTestFinished(async () => {
      await died?.listen()
    })
  }

  test.each([
    ['GET', '/order', {}],
    ['PUT', `/cart/${id}`, {}],
    ['DELETE', `/cart/${id}`, {}],
    ['POST with an idempotency key', '/order', { 'idempotency-key': 'k-1' }],
    ['POST with an idempotency key', '/cart/merge', { 'idempotency-key': 'k-1' }],
    ['POST that may be repeated', `/order/${id}/cancel`, {}],
  ])('fails no %s %s, which the other one serves', async (what, path, headers) => {
    dieOnFirstRequest()
    const answer = await on.edge.send(path, {
      method: what.split(' ', 1)[0] ?? '',
      headers,
      token: on.auth.tokens.customer,
    })
    expect(answer.status).toBe(201)
    expect(seenByOrders()).toHaveLength(2)
  })

  test.each(['/order', '/cart/merge'])('leaves a POST %s without a key unknown: 503, sent once', async (path) => {
    dieOnFirstRequest()
    const answer = await on.edge.send(path, { method: 'POST', token: on.auth.tokens.customer })
    expect(answer.status).toBe(503)
    expect(seenByOrders()).toHaveLength(1)
  })

  test('that is gone already fails nothing, not even a POST', async () => {
    onTestFinished(() => on.otherOrders.listen())
    await on.otherOrders.kill()
    for (let count = 0; count < 20; count += 1) {
      for (const method of ['GET', 'POST']) {
        expect((await on.edge.send('/order', { method, token: on.auth.tokens.customer })).status).toBe(200)
      }
    }
    expect(on.orders.seen).toHaveLength(40)
  })
})
