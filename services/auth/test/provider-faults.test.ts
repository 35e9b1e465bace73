import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { authRoutes } from '@saas/contracts'
import type { TestService } from '@saas/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startedAuth } from './fixtures.ts'

const METADATA = '/.well-known/openid-configuration'
type Say = (response: ServerResponse, issuer: string) => void

/** What it answers at which path; whatever else is asked for is not there. */
let says: Readonly<Record<string, Say>> = {}
let auth: TestService
let issuer: string

/** How often it was asked what it says of itself. */
let asked = 0
const server = createServer(({ url = '' }, response) => {
  const say = says[url.split('?')[0] ?? '']
  if (url === METADATA) asked += 1
  if (say === undefined) response.writeHead(404).end()
  else say(response, issuer)
})

const json =
  (body: unknown): Say =>
  (response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
const metadata = (changed: object = {}): Say =>
  json({
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    response_types_supported: ['code'],
    ...changed,
  })

// What a provider says of itself is kept, so each case has one of its own.
const ids = Array.from({ length: 20 }, (_, index) => `p${index}`)
let used = 0
const provider = (): string => ids[(used += 1) - 1] ?? ''

beforeAll(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  issuer = `http://localhost:${(server.address() as AddressInfo).port}`
  auth = await startedAuth({
    oidcProviders: ids.map((id) => ({
      id,
      name: id,
      issuer,
      clientId: 'shop',
      clientSecret: 'a secret',
      trustEmail: true,
    })),
  })
})
afterAll(async () => {
  await auth[Symbol.asyncDispose]()
  server.closeAllConnections()
  server.close()
})

type Answer = Awaited<ReturnType<TestService['call']>>

const depart = async (id: string): Promise<Answer> =>
  await auth.call(authRoutes.departToProvider, { params: { provider: id } })

/** Comes back with a code, which the provider answers as `token` says. */
async function arrived(token: Say, id = provider()): Promise<{ readonly id: string; readonly answer: Answer }> {
  const params = { provider: id }
  says = { [METADATA]: metadata(), '/token': token }
  const { body, headers } = await depart(params.provider)
  const state = new URL(body.url).searchParams.get('state') ?? ''
  const cookie = headers['set-cookie']?.split(';')[0] ?? ''
  const given = { params, body: { state, code: 'x' }, headers: { cookie } }
  return { id, answer: await auth.call(authRoutes.returnFromProvider, given) }
}

const BYTES_MAX = 20_000_000
/** JSON that goes on until nobody reads it. `bytes` says how much was taken off. */
function endless(): { readonly say: Say; readonly taken: Promise<number> } {
  const { promise: taken, resolve } = Promise.withResolvers<number>()
  const say: Say = (response) => {
    let bytes = 0
    const chunk = Buffer.alloc(100_000, ' ')
    const more = (): void => {
      while (bytes < BYTES_MAX && response.write(chunk)) bytes += chunk.length
      if (bytes >= BYTES_MAX) response.end()
    }
    response.on('drain', () => {
      bytes += chunk.length
      more()
    })
    response.on('close', () => resolve(bytes))
    response.writeHead(200, { 'content-type': 'application/json' })
    more()
  }
  return { say, taken }
}

describe('a provider that', () => {
  test.each<[string, () => Say]>([
    ['leads elsewhere', () => (response) => response.writeHead(302, { location: `${issuer}/elsewhere` }).end()],
    ['answers with a page', () => (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>')],
    ['says that it is another', () => metadata({ issuer: 'https://id.example.com' })],
    ['has no page to sign in at', () => metadata({ authorization_endpoint: undefined })],
    ['has a script for a page to sign in at', () => metadata({ authorization_endpoint: 'javascript:alert(1)' })],
    ['has a file for a page to sign in at', () => metadata({ authorization_endpoint: 'data:text/html,<p>' })],
  ])('%s is one that cannot be reached, until it says something else', async (_, say) => {
    const id = provider()
    says = { [METADATA]: say(), '/elsewhere': metadata() }
    const refused = await depart(id)
    expect([refused.status, refused.body.type, refused.headers['set-cookie']]).toEqual([
      503,
      '/problems/dependency-unavailable',
      undefined,
    ])
    says = { [METADATA]: metadata() }
    auth.clock.advance(5_000)
    expect((await depart(id)).status).toBe(200)
  })

  test('is down is asked once in five seconds, however many want to go there', async () => {
    const id = provider()
    says = {}
    const before = asked
    const statuses = (count: number) =>
      Promise.all(Array.from({ length: count }, async () => (await depart(id)).status))
    expect(new Set([...(await statuses(10)), ...(await statuses(10))])).toEqual(new Set([503]))
    expect(asked - before).toBe(1)
    auth.clock.advance(5_000)
    await statuses(10)
    expect(asked - before).toBe(2)
  })

  test('no longer says anything of itself is what it was for an hour, and asked once in five seconds', async () => {
    const id = provider()
    says = { [METADATA]: metadata() }
    expect((await depart(id)).status).toBe(200)
    says = {}
    const before = asked
    auth.clock.advance(600_000)
    for (let n = 0; n < 3; n += 1) expect((await depart(id)).status).toBe(200)
    expect(asked - before).toBe(1)
    auth.clock.advance(2_999_999)
    expect((await depart(id)).status).toBe(200)
    auth.clock.advance(5_000)
    expect((await depart(id)).status).toBe(503)
  })

  test('no longer answers keeps those waiting who ask first, and nobody after them', async () => {
    const id = provider()
    says = { [METADATA]: metadata() }
    expect((await depart(id)).status).toBe(200)
    let arrival = Promise.withResolvers<ServerResponse>()
    says = { [METADATA]: (response) => arrival.resolve(response) }
    auth.clock.advance(600_000)
    const first = depart(id)
    const question = await arrival.promise
    // The five seconds begin when it is given up.
    auth.clock.advance(5_000)
    question.destroy()
    expect((await first).status).toBe(200)
    const before = asked
    expect((await depart(id)).status).toBe(200)
    expect(asked).toBe(before)
    arrival = Promise.withResolvers()
    auth.clock.advance(5_000)
    expect((await depart(id)).status).toBe(200)
    const open = await arrival.promise
    expect((await depart(id)).status).toBe(200)
    expect([open.destroyed, asked]).toEqual([false, before + 1])
    open.destroy()
  })

  test('is asked no more often by whoever is refused again and again', async () => {
    const before = asked
    const { id } = await arrived((response) => response.writeHead(400).end())
    for (let n = 0; n < 5; n += 1) await arrived((response) => response.writeHead(400).end(), id)
    expect(asked - before).toBe(1)
    auth.clock.advance(5_000)
    for (let n = 0; n < 5; n += 1) await arrived((response) => response.writeHead(400).end(), id)
    expect(asked - before).toBe(2)
  })

  test('never stops talking is not listened to', async () => {
    const { say, taken } = endless()
    says = { [METADATA]: say }
    expect((await depart(provider())).status).toBe(503)
    expect(await taken).toBeLessThan(BYTES_MAX / 2)
  })
})

describe('a provider that, once somebody comes back from it,', () => {
  const fail: readonly [string, Say, number, string][] = [
    ['is gone', (response) => response.destroy(), 503, 'dependency-unavailable'],
    ['has a fault of its own', (response) => response.writeHead(502).end(), 503, 'dependency-unavailable'],
    ['refuses the code', (response) => response.writeHead(400).end(), 403, 'provider-refused'],
    ['leads elsewhere', (response, at) => response.writeHead(302, { location: at }).end(), 403, 'provider-refused'],
  ]
  test.each(fail.slice(0, 2))('%s is said to be that, and not to have refused anybody', async (_, say, ...expected) => {
    const { status, body } = (await arrived(say)).answer
    expect([status, body.type.split('/').pop()]).toEqual(expected)
  })
  test.each(fail.slice(2))('%s has refused them', async (_, say, ...expected) => {
    const { status, body } = (await arrived(say)).answer
    expect([status, body.type.split('/').pop()]).toEqual(expected)
  })
})
