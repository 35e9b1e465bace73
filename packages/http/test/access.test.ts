import { expect, test } from 'vitest'
import { sampleApp, tokenFor, userId } from './sample.ts'

test('a request without an internal token is served only where access is anyone', async () => {
  const { app, served } = sampleApp()
  expect((await app.fastify.inject('/look')).statusCode).toBe(200)
  expect((await app.fastify.inject('/thing/1')).statusCode).toBe(403)
  expect((await app.fastify.inject({ method: 'DELETE', url: '/thing/1' })).statusCode).toBe(403)
  expect(served).toEqual([])
})

test('a request with a token for its route is served as the user it names', async () => {
  const { app } = sampleApp()
  const response = await app.fastify.inject({
    url: '/thing/1',
    headers: { 'x-internal-token': tokenFor('orders.read'), 'x-user-id': 'somebody-else' },
  })
  expect(response.statusCode).toBe(200)
  expect(response.json()).toMatchObject({ note: userId })
})

test('HEAD is authorised as its GET', async () => {
  const { app } = sampleApp()
  const headers = { 'x-internal-token': tokenFor('orders.read') }
  expect((await app.fastify.inject({ method: 'HEAD', url: '/thing/1', headers })).statusCode).toBe(200)
  expect((await app.fastify.inject({ method: 'HEAD', url: '/thing/1' })).statusCode).toBe(403)
})

test('the roles in the token are checked again by the service', async () => {
  const { app, served } = sampleApp()
  const remove = (roles: string[]) =>
    app.fastify.inject({
      method: 'DELETE',
      url: '/thing/1',
      headers: { 'x-internal-token': tokenFor('orders.remove', { roles }) },
    })
  expect((await remove(['manager'])).statusCode).toBe(403)
  expect((await remove(['toString'])).statusCode).toBe(403)
  expect(served).toEqual([])
  expect((await remove(['admin'])).statusCode).toBe(204)
})

test('an anyone route refuses a token that is not good rather than ignore it', async () => {
  const { app } = sampleApp()
  expect((await app.fastify.inject({ url: '/look', headers: { 'x-internal-token': 'x' } })).statusCode).toBe(403)
})

test('an internal route answers any method without a token, with an empty body of length 0', async () => {
  const { app } = sampleApp()
  for (const method of ['GET', 'POST', 'DELETE'] as const) {
    const response = await app.fastify.inject({ method, url: '/decide' })
    expect(response.statusCode).toBe(200)
    expect(response.headers).toMatchObject({ 'content-length': '0', 'x-internal-token': 't' })
  }
})

test('a refusal is logged with its reason and without the token', async () => {
  const { app, lines } = sampleApp()
  const token = tokenFor('orders.look')
  await app.fastify.inject({ url: '/thing/1', headers: { 'x-internal-token': token } })
  expect(lines).toContainEqual(expect.objectContaining({ message: 'internal token refused', reason: 'route' }))
  expect(JSON.stringify(lines)).not.toContain(token)
})
