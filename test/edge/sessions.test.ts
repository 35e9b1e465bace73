import { PASSWORD, registered, startedAuth, userOf } from '@saas/auth/test/fixtures.ts'
import type { Session } from '@saas/contracts'
import { FakeClock } from '@saas/testing'
import { expect, test } from 'vitest'
import { edgePort, startEdge, type Edge } from './edge.ts'

const EMAIL = 'nomad@example.com'
const nowhere = ['127.0.0.1:9']
const PHONE = 'Mozilla/5.0 (Android 16; Mobile; rv:150.0) Gecko/150.0 Firefox/150.0'

interface Tokens {
  readonly accessToken: string
  readonly refreshToken: string
}

/** Through a load balancer in front of nginx, which is this test: it appends the peer that it saw. */
async function send(edge: Edge, path: string, from: string, options: Parameters<Edge['send']>[1]) {
  const headers = { 'x-forwarded-for': from, 'content-type': 'application/json', ...options?.headers }
  const { status, body } = await edge.send(path, { ...options, headers })
  return { status, body: body === '' ? undefined : (JSON.parse(body) as unknown) }
}

test('behind a proxy and the edge, sessions name the client’s address, its device and when it was last there', async () => {
  const clock = new FakeClock(new Date())
  const port = await edgePort()
  await using auth = await startedAuth({ trustedHops: 1, publicUrl: `http://localhost:${port}` }, { clock })
  const upstreams = {
    auth: [new URL(auth.url).host],
    orders: nowhere,
    products: nowhere,
    notifications: nowhere,
    frontend: nowhere,
  }
  await using edge = await startEdge(port, { upstreams, trustedHops: 1 })
  await registered(auth, EMAIL)
  const logIn = async (from: string, userAgent: string): Promise<Tokens> => {
    const headers = { 'user-agent': userAgent }
    const body = JSON.stringify({ email: EMAIL, password: PASSWORD })
    const answer = await send(edge, '/auth/login', from, { method: 'POST', headers, body })
    expect(answer.status).toBe(200)
    return answer.body as Tokens
  }
  const openedAt = clock.now().toISOString()
  // What stands left of the peer that the load balancer saw was written by the client.
  const phone = await logIn('6.6.6.6, 203.0.113.7', PHONE)
  clock.advance(60_000)
  const program = await logIn('2001:db8::17', 'curl/9.0')
  const { sessionId } = userOf(phone)

  clock.advance(60_000)
  const body = JSON.stringify({ refreshToken: phone.refreshToken })
  const refreshed = await send(edge, '/auth/refresh', '198.51.100.9', { method: 'POST', body })
  const token = (refreshed.body as Tokens).accessToken
  const { items } = (await send(edge, '/auth/sessions', '198.51.100.9', { token })).body as { items: Session[] }
  expect(items).toMatchObject([
    { device: 'curl', address: '2001:db8::17', current: false },
    {
      id: sessionId,
      device: 'Firefox on Android',
      address: '198.51.100.9',
      createdAt: openedAt,
      lastSeenAt: clock.now().toISOString(),
      current: true,
    },
  ])
  const path = `/auth/sessions/${items[0]?.id}`
  expect((await send(edge, path, '198.51.100.9', { method: 'DELETE', token })).status).toBe(204)
  expect((await send(edge, '/profile', '2001:db8::17', { token: program.accessToken })).status).toBe(401)
  expect((await send(edge, '/profile', '198.51.100.9', { token })).status).toBe(200)
})
