import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import { readFileSync } from 'node:fs'
import { get, request, type IncomingMessage, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import { gunzipSync, gzipSync } from 'node:zlib'
import { AVATAR_BYTES_MAX } from '@saas/contracts'
import { eventually } from '@saas/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { edgePort, startEdge } from './edge.ts'
import { stage } from './stage.ts'

const on = stage()
const id = '01977c1e-6a00-7000-8000-000000000001'

describe('GET /product', () => {
  test('is cached for a second, by method and full URI', async () => {
    const list = async (path = '/product?q=tea', method = 'GET') => (await on.edge.send(path, { method })).body
    const first = await list()
    expect(await list()).toBe(first)
    expect(on.products.seen).toHaveLength(1)
    await list('/product?q=coffee')
    await list('/product?q=tea&limit=1')
    expect(await list('/product?q=tea', 'HEAD')).toBe('')
    expect(on.products.seen.map((seen) => `${seen.method} ${seen.url}`)).toEqual([
      'GET /product?q=tea',
      'GET /product?q=coffee',
      'GET /product?q=tea&limit=1',
      'HEAD /product?q=tea',
    ])
    await eventually(async () => (await list()) !== first, { timeoutMs: 2500 })
  })

  test('that many ask for at once is asked of the service once', async () => {
    const answers = await Promise.all(Array.from({ length: 30 }, () => on.edge.send('/product?q=many')))
    expect(new Set(answers.map((answer) => answer.body)).size).toBe(1)
    expect(on.products.seen).toHaveLength(1)
  })

  test('is not kept when it failed or sets a cookie', async () => {
    on.products.answer = (_seen, response) => {
      const failed = on.products.seen.length === 1
      response.writeHead(failed ? 500 : 200, failed ? {} : { 'set-cookie': 'a=1' }).end()
    }
    for (let count = 0; count < 3; count += 1) await on.edge.send('/product?q=failed')
    expect(on.products.seen).toHaveLength(3)
  })

  test('answers 304 from the cache', async () => {
    on.products.answer = (_seen, response) =>
      response.writeHead(200, { etag: '"1"', 'cache-control': 'no-cache' }).end('{}')
    const send = () => on.edge.send('/product?q=etag', { headers: { 'if-none-match': '"1"' } })
    expect([(await send()).status, (await send()).status]).toEqual([304, 304])
    expect(on.products.seen).toHaveLength(1)
  })
})

test('no other answer is kept', async () => {
  for (let count = 0; count < 2; count += 1) await on.edge.send('/cart', { token: on.auth.tokens.customer })
  expect([...on.orders.seen, ...on.otherOrders.seen]).toHaveLength(2)
})

describe('response headers', () => {
  const common = {
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'same-origin',
    'cross-origin-opener-policy': 'same-origin',
    server: 'nginx',
  }

  test.each([
    ['an answer of a service', '/product?headers', 200],
    ['a refusal of auth', '/order', 401],
    ['what is not there', '/nothing', 404],
    ['what cannot be read', '/%zz', 400],
  ])('%s is data that may do nothing', async (_what, path, status) => {
    const answer = await on.edge.send(path)
    expect(answer.status).toBe(status)
    expect(answer.headers).toMatchObject({
      ...common,
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    })
    expect(answer.headers['x-request-id']).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
    expect(answer.headers['x-powered-by']).toBeUndefined()
  })

  test.each([
    ['what is for anyone', 'GET', '/product?cors', undefined, 200],
    ['what is for somebody', 'GET', '/order', 'customer', 200],
    ['a refusal', 'GET', '/order', undefined, 401],
    ['signing in', 'POST', '/auth/login', undefined, 400],
    ['what may be sent, though it asks beforehand', 'OPTIONS', '/order', undefined, 404],
  ] as const)(
    'no other origin is let read %s, whatever a service says',
    async (_what, method, path, role, expected) => {
      const permissive = {
        'access-control-allow-origin': '*',
        'access-control-allow-credentials': 'true',
        'access-control-allow-methods': '*',
        'access-control-allow-headers': '*',
        'access-control-expose-headers': '*',
        'access-control-max-age': '600',
      }
      for (const echo of [on.products, on.orders, on.otherOrders]) {
        echo.answer = (_seen, response) => response.writeHead(200, permissive).end('{}')
      }
      for (const origin of ['https://elsewhere.example', 'null', `http://localhost:${on.edge.port}`]) {
        const headers = { origin, 'access-control-request-method': 'POST' }
        const answer = await on.edge.send(path, {
          method,
          headers,
          ...(role === undefined ? {} : { token: on.auth.tokens[role] }),
        })
        expect(answer.status, origin).toBe(expected)
        expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control-'))).toEqual([])
      }
    },
  )

  test('a page keeps the policy the front end sends, once', async () => {
    const policy = "default-src 'none'; img-src 'self' blob:; script-src 'self'"
    on.frontend.answer = (_seen, response) =>
      response.writeHead(200, { 'content-security-policy': policy, 'x-content-type-options': 'nosniff' }).end()
    expect((await on.edge.send('/')).headers).toMatchObject({ ...common, 'content-security-policy': policy })
  })

  test.each([
    ['a URL that is too long', `/product?q=${'x'.repeat(20_000)}`, {}],
    ['a header that is too long', '/product', { accept: 'x'.repeat(20_000) }],
  ])('%s is refused with the status that the body says', async (_what, path, headers) => {
    const answer = await on.edge.send(path, { headers })
    expect(answer.status).toBe(400)
    expect(JSON.parse(answer.body)).toMatchObject({ type: '/problems/invalid-request', status: 400 })
  })

  test('a problem names its request', async () => {
    const answer = await on.edge.send('/nothing')
    expect(JSON.parse(answer.body)).toMatchObject({ instance: `urn:uuid:${String(answer.headers['x-request-id'])}` })
  })

  test('a service cannot steer the edge', async () => {
    on.products.answer = (_seen, response) =>
      response.writeHead(200, { 'x-accel-redirect': '/admin/orders/lag', 'x-internal-token': 'leak' }).end('{}')
    const answer = await on.edge.send('/product?steer')
    expect(answer.body).toBe('{}')
    expect(answer.headers['x-internal-token']).toBeUndefined()
  })
})

describe('a person who navigates', () => {
  const html = { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' }
  const document = '<!doctype html><div id="app"></div>'
  const policy = "default-src 'none'; script-src 'self'"
  const serveDocument = () => {
    on.frontend.answer = (_seen, response) =>
      response.writeHead(200, { 'content-type': 'text/html', 'content-security-policy': policy }).end(document)
  }

  test.each([
    ['what is not there', '/nothing', 404],
    ['a path with a capital letter', '/Basket', 404],
    ['a page with a slash at its end', '/basket/', 404],
    ['what is not canonical', '/caf%C3%A9', 400],
    ['what is for somebody', '/order', 401],
    ['what is for others', '/admin/orders/lag', 401],
  ])('sees the shop instead of a problem: %s', async (_what, path, status) => {
    serveDocument()
    for (const method of ['GET', 'HEAD']) {
      const headers = { ...html, cookie: 'a=b', 'x-internal-token': 'forged' }
      const answer = await on.edge.send(`${path}?q=1`, { method, headers })
      expect(answer).toMatchObject({
        status,
        body: method === 'HEAD' ? '' : document,
        headers: {
          'content-type': 'text/html',
          'content-security-policy': policy,
          vary: expect.stringMatching(/(^|, )Accept, Authorization$/),
        },
      })
    }
    // Nothing of the request went along.
    expect(on.frontend.seen.map(({ method, url }) => `${method} ${url}`)).toEqual(['GET /', 'HEAD /'])
    for (const { headers } of on.frontend.seen) {
      expect(headers).toMatchObject({ accept: 'text/html' })
      for (const name of ['cookie', 'authorization', 'x-internal-token', 'user-agent'])
        expect(headers).not.toHaveProperty(name)
    }
    expect([...on.orders.seen, ...on.otherOrders.seen]).toEqual([])
  })

  test.each([
    ['a program that takes anything', { accept: '*/*' }, 'GET'],
    ['a script', { accept: 'application/json, text/event-stream' }, 'GET'],
    ['a picture', { accept: 'image/avif,image/webp,*/*;q=0.8' }, 'GET'],
    ['who says nothing', {}, 'GET'],
    ['who changes something', html, 'POST'],
    ['a program that names HTML as well', { ...html, authorization: 'Bearer none' }, 'GET'],
  ])('but %s gets the problem', async (_what, headers, method) => {
    serveDocument()
    const answer = await on.edge.send('/nothing', { headers, method })
    expect(answer.headers).toMatchObject({ 'content-type': 'application/problem+json', vary: 'Accept, Authorization' })
    expect(JSON.parse(answer.body)).toMatchObject({ status: 404 })
    expect(on.frontend.seen).toEqual([])
  })

  test('but a program that is refused what its token does not allow gets the problem', async () => {
    serveDocument()
    const answer = await on.edge.send('/admin/orders/lag', { headers: html, token: on.auth.tokens.customer })
    expect(answer.headers).toMatchObject({ 'content-type': 'application/problem+json' })
    expect(JSON.parse(answer.body)).toMatchObject({ type: '/problems/forbidden', status: 403 })
    expect(on.frontend.seen).toEqual([])
  })

  test.each([
    ['/', undefined, 'en', 'Try again'],
    ['/', 'fr-CH, de-AT;q=0.9, en;q=0.8', 'de', 'Noch einmal'],
    ['/nothing', 'en-GB,de', 'en', 'Try again'],
    ['/p/x', 'den, da', 'en', 'Try again'],
  ])('reads at %s in %s that nothing answers, as %s', async (path, accepted, language, again) => {
    onTestFinished(() => on.frontend.listen())
    await on.frontend.kill()
    const headers = { ...html, ...(accepted === undefined ? {} : { 'accept-language': accepted }) }
    const answer = await on.edge.send(path, { headers })
    expect(answer).toMatchObject({
      status: 503,
      headers: {
        'content-type': 'text/html; charset=utf-8',
        'retry-after': '1',
        'cache-control': 'no-store',
        vary: 'Accept, Accept-Language, Authorization',
      },
    })
    expect(answer.body).toContain(`<html lang="${language}">`)
    expect(answer.body).toContain(`<a href="">${again}</a>`)
    // Its one style is the one that its policy allows.
    const style = /<style>(.*)<\/style>/s.exec(answer.body)?.[1] ?? ''
    const hash = createHash('sha256').update(style).digest('base64')
    expect(answer.headers['content-security-policy']).toContain(`default-src 'none'; style-src 'sha256-${hash}'`)
    expect(answer.headers['x-content-type-options']).toBe('nosniff')
    expect((await on.edge.send(path)).headers['content-type']).toBe('application/problem+json')
  })
})

test('JSON is compressed for those who take it', async () => {
  const body = JSON.stringify({ items: Array.from({ length: 200 }, (_, count) => ({ count })) })
  on.products.answer = (_seen, response) => response.writeHead(200, { 'content-type': 'application/json' }).end(body)
  const { promise, resolve } = Promise.withResolvers<Buffer>()
  get(`${on.edge.url}/product?big`, { headers: { 'accept-encoding': 'gzip' } }, (response) => {
    expect(response.headers['content-encoding']).toBe('gzip')
    const chunks: Buffer[] = []
    response.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => resolve(Buffer.concat(chunks)))
  })
  expect(gunzipSync(await promise).toString()).toBe(body)
})

test('an event reaches the client before the stream ends', async () => {
  const finish = Promise.withResolvers<void>()
  const answer = (_seen: unknown, response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
    void finish.promise.then(() => response.end('data: 2\n\n'))
  }
  on.orders.answer = answer
  on.otherOrders.answer = answer
  const response = await fetch(`${on.edge.url}/order/${id}/events`, {
    headers: { authorization: `Bearer ${on.auth.tokens.customer}`, 'accept-encoding': 'gzip' },
  })
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  expect((await reader?.read())?.value).toBe('data: 1\n\n')
  finish.resolve()
  expect((await reader?.read())?.value).toBe('data: 2\n\n')
})

test('a file reaches the service while it is still being sent', async () => {
  const { products } = on
  products.answer = undefined
  const sent = request(`${on.edge.url}/product/import`, {
    method: 'POST',
    headers: { authorization: `Bearer ${on.auth.tokens.admin}`, 'content-type': 'text/csv' },
  })
  const before = products.bytesReceived
  sent.write('x'.repeat(1_000_000))
  await eventually(() => products.bytesReceived === before + 1_000_000)
  sent.end('y')
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  response.resume()
  expect(response.statusCode).toBe(200)
  expect(products.bytesReceived).toBe(before + 1_000_001)
})

test.each([
  ['JSON', 'POST', '/auth/login', 'application/json', undefined],
  ['a file', 'PUT', '/profile/avatar', 'image/png', 'customer'],
] as const)('%s that was compressed is refused, and the answer says why', async (_what, method, path, type, who) => {
  const answer = await on.edge.send(path, {
    method,
    ...(who === undefined ? {} : { token: on.auth.tokens[who] }),
    headers: { 'content-type': type, 'content-encoding': 'gzip' },
    body: gzipSync('{"email":"ada@example.com","password":"a guess that is long"}'),
  })
  expect(answer.status).toBe(415)
  expect(answer.headers['accept-encoding']).toBe('identity')
  expect(JSON.parse(answer.body)).toMatchObject({
    type: '/problems/unsupported-media-type',
    detail: expect.stringContaining('Content-Encoding'),
  })
})

test('a body may be as large as its route says', async () => {
  const send = (path: string, method: string, bytes: number) =>
    on.edge.send(path, {
      method,
      token: on.auth.tokens.customer,
      headers: { 'content-type': 'image/png' },
      body: Buffer.alloc(bytes),
    })
  // Auth got it, and says that it is no picture.
  expect((await send('/profile/avatar', 'PUT', AVATAR_BYTES_MAX)).status).toBe(422)
  const tooLarge = await send('/profile/avatar', 'PUT', AVATAR_BYTES_MAX + 1)
  expect(tooLarge.status).toBe(413)
  expect(JSON.parse(tooLarge.body)).toMatchObject({ type: '/problems/body-too-large' })
  expect((await send('/order', 'POST', 200_000)).status).toBe(413)
})

test('the log is one JSON object a request, without path, query or credentials', async () => {
  await on.edge.send('/product?q=secret-words', { token: 'secret-token' })
  const log = () => readFileSync(`${on.edge.directory}/run/access.log`, 'utf8').trim().split('\n')
  await eventually(() => log().some((line) => line.includes('products.listProducts')))
  for (const line of log())
    expect(JSON.parse(line)).toMatchObject({ requestId: expect.any(String), status: expect.any(Number) })
  expect(log().join('\n')).not.toContain('secret')
})

describe('with another environment', () => {
  const upstreams = () => ({
    auth: [on.auth.address],
    products: [on.products.address],
    orders: [on.orders.address],
    notifications: [on.notifications.address],
    frontend: [on.frontend.address],
  })

  test('the client is the address that the trusted proxies say, and https is said to be kept', async () => {
    await using edge = await startEdge(await edgePort(), {
      upstreams: upstreams(),
      trustedHops: 1,
      publicUrl: 'https://shop.example',
    })
    const answer = await edge.send('/product?hops', { headers: { 'x-forwarded-for': '6.6.6.6, 203.0.113.7' } })
    expect(answer.headers['strict-transport-security']).toContain('max-age=63072000')
    expect(on.products.seen[0]?.headers).toMatchObject({
      'x-forwarded-for': '6.6.6.6, 203.0.113.7, 127.0.0.1',
      'x-forwarded-proto': 'https',
    })
    await eventually(() => readFileSync(`${edge.directory}/run/access.log`, 'utf8').includes('"address":"203.0.113.7"'))
  })

  test('a development server gets its modules and its web socket, and nothing else is opened', async () => {
    await using edge = await startEdge(await edgePort(), { upstreams: upstreams(), developmentServer: true })
    expect((await edge.send('/@vite/client')).status).toBe(200)
    expect((await edge.send('/app/main.tsx')).status).toBe(200)
    expect((await edge.send('/app/main.tsx', { method: 'POST' })).status).toBe(404)
    expect((await edge.send('/order')).status).toBe(401)
    expect((await edge.send('/')).headers['content-security-policy']).toBeUndefined()
    on.frontend.answer = undefined
    await edge.send('/@hmr', { headers: { 'x-probe': '1' } })
    expect(on.frontend.seen.at(-1)?.headers['upgrade']).toBeUndefined()
    expect(await upgradeSeen(edge.port)).toMatchObject({ upgrade: 'websocket', connection: 'upgrade' })
  })

  test('no web socket passes where there is no development server', async () => {
    expect(await upgradeSeen(on.edge.port, '/')).not.toHaveProperty('upgrade')
  })

  async function upgradeSeen(port: number, path = '/@hmr') {
    const before = on.frontend.seen.length
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n`)
    await eventually(() => on.frontend.seen.length > before)
    socket.destroy()
    return on.frontend.seen.at(-1)?.headers
  }
})
