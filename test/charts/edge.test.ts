import { cpSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { serviceNames, type ServiceName } from '@saas/contracts'
import { edgeUpstreams, type EdgeEnvironment } from '@saas/contracts/edge'
import { cloneDirectory, freePort, startNginx, type NginxServer } from '@saas/devstack'
import { verifyInternalToken } from '@saas/http'
import { internalTokenKey, sharedServers } from '@saas/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startAuthService, type AuthService } from '../edge/auth-service.ts'
import { rendered } from './helm.ts'
import { named } from './objects.ts'

const PUBLIC_URL = 'https://shop.example.com'
const servers: Server[] = []
const upstreams = {} as Record<ServiceName, readonly string[]>
const stack = new AsyncDisposableStack()
let files: Readonly<Record<string, string>>
let chart: NginxServer
let development: NginxServer
let opsPort: number
let auth: AuthService

/** Says what reached it. */
async function startService(): Promise<string> {
  const server = createServer((request, response) => {
    const { cookie, authorization, 'x-internal-token': token } = request.headers
    response.end(JSON.stringify({ method: request.method, url: request.url, cookie, authorization, token }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  servers.push(server)
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function start(write: (directory: string, port: number) => void): Promise<NginxServer> {
  const directory = mkdtempSync(join(sharedServers().directory, 'chart-edge-'))
  const port = await freePort()
  mkdirSync(join(directory, 'files'))
  write(join(directory, 'files'), port)
  return stack.use(
    await startNginx({
      directory,
      configurationFile: join(directory, 'files/nginx.conf'),
      url: `http://127.0.0.1:${port}/not-in-the-contract`,
    }),
  )
}

function environment(port: number): EdgeEnvironment {
  return {
    listen: [`127.0.0.1:${port}`],
    publicUrl: PUBLIC_URL,
    trustedHops: 2,
    accessLog: 'run/access.log',
    upstreams,
  }
}

beforeAll(async () => {
  const objects = await rendered({ set: { 'global.publicUrl': PUBLIC_URL, 'global.trustedHops': 2 } })
  files = named(objects, 'ConfigMap', 'shop-edge')['data'] as Record<string, string>
  auth = stack.use(await startAuthService(PUBLIC_URL))
  for (const service of serviceNames) upstreams[service] = [service === 'auth' ? auth.address : await startService()]
  opsPort = await freePort()
  chart = await start((directory, port) => {
    for (const [name, content] of Object.entries(files)) {
      // Only addresses differ from what runs in a pod, and a directive that is younger than the nginx of many machines.
      const here = content
        .replaceAll(/shop-([a-z]+):3000/g, (_, service: ServiceName) => String(upstreams[service][0]))
        .replace('listen 8080', `listen 127.0.0.1:${port}`)
        .replace('listen 9000', `listen 127.0.0.1:${opsPort}`)
        .replace('/dev/stdout', 'run/access.log')
        .replace(/^keepalive_min_timeout .*;$/m, '')
      writeFileSync(join(directory, name), here)
    }
  })
  development = await start((directory, port) => {
    cpSync(join(cloneDirectory, 'charts/edge/files'), directory, { recursive: true })
    writeFileSync(join(directory, 'upstreams.conf'), edgeUpstreams(environment(port)))
  })
})

afterAll(async () => {
  await stack.disposeAsync()
  for (const server of servers) server.close()
})

test('what differs between environments is written as everywhere else', () => {
  const inCluster = edgeUpstreams({
    ...environment(0),
    listen: ['8080'],
    accessLog: '/dev/stdout',
    upstreams: Object.fromEntries(serviceNames.map((service) => [service, [`shop-${service}:3000`]])) as Record<
      ServiceName,
      string[]
    >,
  })
  const written = files['upstreams.conf'] ?? ''
  expect(written.slice(0, inCluster.length)).toBe(inCluster)
  expect(written.slice(inCluster.length)).toContain('listen 9000;')
})

test('a pod that stops lets the connections of its clients bring another request, for longer than it is still found', () => {
  expect(files['upstreams.conf']).toMatch(/^keepalive_min_timeout 10s;$/m)
})

const forged = { 'x-internal-token': 'e30.e30.e30', 'x-user-id': '1' }
type Caller = 'nobody' | 'somebody' | 'forger' | keyof AuthService['tokens']

function headersOf(caller: Caller): Readonly<Record<string, string>> {
  if (caller === 'nobody') return {}
  if (caller === 'forger') return forged
  const token = caller === 'somebody' ? 'invented' : auth.tokens[caller]
  return { authorization: `Bearer ${token}`, cookie: 'refresh=secret' }
}

test.each<[string, string, Caller, number]>([
  ['GET', '/', 'nobody', 200],
  ['GET', '/product', 'customer', 200],
  ['POST', '/product', 'nobody', 401],
  ['POST', '/product', 'customer', 403],
  ['POST', '/product', 'manager', 200],
  ['GET', '/order', 'nobody', 401],
  ['GET', '/order', 'somebody', 401],
  ['GET', '/order', 'forger', 401],
  ['GET', '/order', 'customer', 200],
  ['POST', '/order', 'customer', 200],
  ['GET', '/profile', 'customer', 200],
  ['GET', '/profile', 'nobody', 401],
  ['GET', '/admin/notifications/mail', 'nobody', 401],
  ['GET', '/admin/notifications/mail', 'manager', 403],
  ['GET', '/admin/notifications/mail', 'admin', 200],
  ['GET', '/orders', 'customer', 404],
  ['POST', '/authz', 'customer', 404],
  ['GET', '/metrics', 'customer', 404],
  ['GET', '/readyz', 'customer', 404],
  ['GET', '/healthz', 'customer', 404],
  ['GET', '/order/a%2fb', 'customer', 400],
  ['GET', '/order//a', 'customer', 400],
])('the real auth decides %s %s by %s as in development: %i', async (method, path, caller, status) => {
  const headers = {
    ...headersOf(caller),
    ...(path === '/order' && method === 'POST' ? { 'idempotency-key': 'a' } : {}),
  }
  const [here, there] = await Promise.all(
    [chart, development].map(async ({ url }) => {
      const answer = await fetch(new URL(url).origin + path, { method, headers, redirect: 'manual' })
      const answered = Object.fromEntries(answer.headers)
      delete answered['date']
      delete answered['x-request-id']
      // Every internal token is another one.
      const body = (await answer.text()).replace(/urn:uuid:[\w-]+/, '').replace(/"token":"[^"]+"/, '"token":""')
      return { status: answer.status, headers: answered, body }
    }),
  )
  expect(here).toEqual(there)
  expect(here?.status).toBe(status)
})

test('a service gets an internal token that it believes, and no credentials', async () => {
  const answer = await fetch(`${new URL(chart.url).origin}/order`, { headers: headersOf('customer') })
  const { token, ...others } = (await answer.json()) as { token: string }
  expect(others).toEqual({ method: 'GET', url: '/order' })
  const verdict = verifyInternalToken(token, [internalTokenKey('orders')], 'orders', new Date())
  expect(verdict).toMatchObject({ claims: { audience: 'orders', roles: ['customer'] } })
})

test('the kubelet asks on a port of its own', async () => {
  const ask = async (path: string) => (await fetch(`http://127.0.0.1:${opsPort}${path}`)).status
  expect([await ask('/healthz'), await ask('/product')]).toEqual([200, 404])
})
