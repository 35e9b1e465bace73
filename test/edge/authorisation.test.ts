import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { allRoutes, fillPath } from '@saas/contracts'
import { verifyInternalToken } from '@saas/http'
import { internalTokenKey } from '@saas/testing'
import { describe, expect, test } from 'vitest'
import { stage } from './stage.ts'

const on = stage()
const id = '01977c1e-6a00-7000-8000-000000000001'

function seenByOrders() {
  return [...on.orders.seen, ...on.otherOrders.seen]
}

test('an anonymous request for a protected route is stopped with 401 and never reaches the service', async () => {
  for (const token of [undefined, 'nonsense', `${on.auth.tokens.admin.slice(0, -4)}AAAA`]) {
    const answer = await on.edge.send('/order', token === undefined ? {} : { token })
    expect(answer.status).toBe(401)
    expect(answer.headers).toMatchObject({ 'content-type': 'application/problem+json', 'www-authenticate': 'Bearer' })
    expect(JSON.parse(answer.body)).toMatchObject({ type: '/problems/not-signed-in', status: 401 })
  }
  expect(seenByOrders()).toEqual([])
})

test('a request with the wrong role is stopped with 403 and never reaches the service', async () => {
  const answer = await on.edge.send('/product', { method: 'POST', token: on.auth.tokens.customer })
  expect(answer.status).toBe(403)
  expect(JSON.parse(answer.body)).toMatchObject({ type: '/problems/forbidden' })
  expect(on.products.seen).toEqual([])
})

test('a request with the right role arrives with a token for this service and this route', async () => {
  const answer = await on.edge.send(`/order/${id}?x=1`, { token: on.auth.tokens.customer })
  expect(answer.status).toBe(200)
  const [seen] = seenByOrders()
  expect(seen?.url).toBe(`/order/${id}?x=1`)
  const token = String(seen?.headers['x-internal-token'])
  expect(verifyInternalToken(token, [internalTokenKey('orders')], 'orders', new Date())).toMatchObject({
    claims: { routeId: 'orders.getOrder', roles: ['customer'] },
  })
  expect(verifyInternalToken(token, [internalTokenKey('products')], 'products', new Date())).toHaveProperty('refused')
})

test('HEAD is authorised as its GET', async () => {
  expect((await on.edge.send('/order', { method: 'HEAD' })).status).toBe(401)
  expect((await on.edge.send('/order', { method: 'HEAD', token: on.auth.tokens.customer })).status).toBe(200)
  expect(seenByOrders()[0]?.method).toBe('HEAD')
})

describe('every route of the contract', () => {
  test.each(
    allRoutes.filter((route) => route.service !== 'auth').map((route) => [route.method, route.path, route] as const),
  )('%s %s is reachable, for those it is for', async (method, path, route) => {
    const params = Object.fromEntries([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => [String(name), id]))
    const send = (token?: string) =>
      on.edge.send(fillPath(path, params), token === undefined ? { method } : { method, token })
    const statuses = [await send(), await send(on.auth.tokens.customer), await send(on.auth.tokens.admin)].map(
      (answer) => answer.status,
    )
    const expected =
      route.access === 'anyone' ? [200, 200, 200] : route.access === 'user' ? [401, 200, 200] : [401, 403, 200]
    expect(statuses).toEqual(expected)
  })
})

test('credentials on a route for anyone are ignored, good or bad', async () => {
  for (const token of ['nonsense', on.auth.tokens.customer]) {
    const answer = await on.edge.send('/product?mine', { token })
    expect(answer.status).toBe(200)
  }
  expect(on.products.seen[0]?.headers['x-internal-token']).toBeUndefined()
})

test('forged identity headers change nothing and reach no service', async () => {
  const forged = {
    'X-User-Id': id,
    'X-Internal-Token': ['a.b.c', 'd.e.f'],
    X_Internal_Token: 'a.b.c',
    'X-Internal_Token': 'a.b.c',
    X_User_Id: id,
    'X-Roles': 'admin',
    'X-Original-Method': 'GET',
    'X-Original-URI': '/product',
    'X-Forwarded-Uri': '/product',
    'X-Forwarded-Method': 'GET',
    'X-Rewrite-URL': '/product',
    'X-HTTP-Method-Override': 'GET',
    'X-Request-Id': id,
    Forwarded: 'for=1.2.3.4',
    'X-Accel-Redirect': '/admin/orders/lag',
    Connection: 'close, X-Internal-Token',
  }
  expect((await on.edge.send('/order', { headers: forged })).status).toBe(401)
  expect((await on.edge.send('/admin/orders/lag', { headers: forged, token: on.auth.tokens.customer })).status).toBe(
    403,
  )
  expect(seenByOrders()).toEqual([])

  expect((await on.edge.send('/product?forged', { headers: forged })).status).toBe(200)
  expect((await on.edge.send('/order', { headers: forged, token: on.auth.tokens.customer })).status).toBe(200)
  const [anonymous, signedIn] = [on.products.seen[0]?.headers, seenByOrders()[0]?.headers]
  expect(Object.keys(anonymous ?? {}).toSorted()).toEqual([
    'host',
    'x-forwarded-for',
    'x-forwarded-proto',
    'x-request-id',
  ])
  expect(anonymous?.['x-request-id']).not.toBe(id)
  expect(String(signedIn?.['x-internal-token']).split('.')).toHaveLength(3)
  expect(signedIn?.['x-internal-token']).not.toContain('a.b.c')
})

test('Cookie and Authorization reach auth and nobody else', async () => {
  const headers = { cookie: 'refresh=secret', authorization: `Bearer ${on.auth.tokens.admin}` }
  for (const path of ['/product?cookie', '/order', '/', '/admin/notifications/mail']) {
    expect((await on.edge.send(path, { headers })).status).toBe(200)
  }
  const seen = [on.products, on.orders, on.otherOrders, on.frontend, on.notifications].flatMap((echo) => echo.seen)
  expect(seen).toHaveLength(4)
  for (const { headers: received } of seen) {
    expect(received).not.toHaveProperty('cookie')
    expect(received).not.toHaveProperty('authorization')
  }
  // Auth answers by what it got: a refresh token that it does not know.
  const refresh = await on.edge.send('/auth/refresh', {
    method: 'POST',
    headers: {
      cookie: 'refresh=secret',
      origin: `http://localhost:${on.edge.port}`,
      'content-type': 'application/json',
    },
    body: '{}',
  })
  expect(refresh.status).toBe(401)
})

describe('what is not in the contract', () => {
  test.each([
    ['GET', '/orders'],
    ['GET', '/order/'],
    ['GET', '/Order'],
    ['PUT', '/order'],
    ['OPTIONS', '/order'],
    ['PROPFIND', '/order'],
    ['POST', '/authz'],
    ['POST', '/authn'],
    ['GET', '/_authz'],
    ['GET', '/_problem/invalid-request'],
    ['GET', '/_problem/x'],
    ['GET', '/metrics'],
    ['GET', '/healthz'],
    ['GET', '/@vite/client'],
    ['GET', '/order/a/b/c'],
    ['GET', '/assets/'],
  ])('%s %s is 404 for everybody', async (method, path) => {
    for (const token of [undefined, on.auth.tokens.admin]) {
      const answer = await on.edge.send(path, { method, ...(token === undefined ? {} : { token }) })
      expect(answer.status).toBe(404)
      expect(JSON.parse(answer.body)).toMatchObject({ type: '/problems/not-found' })
    }
    expect([...seenByOrders(), ...on.frontend.seen]).toEqual([])
  })
})

describe('a path that is not canonical is 400 for everybody', () => {
  test.each([
    '//order',
    '/order//1',
    '/./order',
    '/product/../order',
    '/order/..',
    '/product/%2e%2e/order',
    '/product/..%2forder',
    '/order%2f1',
    '/order%5c1',
    '/order\\1',
    '/order;x=1',
    '/order/1%00',
    '/%6frder',
    '/order/%zz',
    '/order/1%20',
    '/order#/1',
    '/order|1',
  ])('%s', async (path) => {
    const answer = await on.edge.send(path, { token: on.auth.tokens.admin })
    expect(answer.status).toBe(400)
    expect(answer.headers['content-type']).toBe('application/problem+json')
    expect(seenByOrders()).toEqual([])
  })
})

describe('a request that two parts could read differently is refused', () => {
  const raw = async (lines: string[], body = '') => {
    const socket = connect(on.edge.port, '127.0.0.1')
    socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`)
    return await text(socket)
  }
  test.each([
    [
      'both a length and chunks',
      ['POST /auth/login HTTP/1.1', 'Host: a', 'Content-Length: 5', 'Transfer-Encoding: chunked'],
    ],
    ['two lengths', ['POST /auth/login HTTP/1.1', 'Host: a', 'Content-Length: 5', 'Content-Length: 6']],
    ['an unknown transfer coding', ['POST /auth/login HTTP/1.1', 'Host: a', 'Transfer-Encoding: xchunked']],
    ['no host', ['GET /product HTTP/1.1']],
    ['two hosts', ['GET /product HTTP/1.1', 'Host: a', 'Host: b']],
    ['NUL in the path', ['GET /product\0 HTTP/1.1', 'Host: a']],
  ])('%s', async (_what, lines) => {
    expect(await raw(lines, '0\r\n\r\n')).toMatch(/^HTTP\/1\.1 (400|501|503) /)
  })
})
