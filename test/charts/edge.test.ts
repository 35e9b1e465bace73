import { cpSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { serviceNames, type ServiceName } from '@saas/contracts'
import { edgeUpstreams, type EdgeEnvironment } from '@saas/contracts/edge'
import { cloneDirectory, freePort, startNginx, type NginxServer } from '@saas/devstack'
import { sharedServers } from '@saas/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { rendered } from './helm.ts'
import { named } from './objects.ts'

const TOKEN = 'an-internal-token'
const servers: Server[] = []
const upstreams = {} as Record<ServiceName, readonly string[]>
const stack = new AsyncDisposableStack()
let files: Readonly<Record<string, string>>
let chart: NginxServer
let development: NginxServer
let opsPort: number

/** Says what reached it; as auth, it knows one user. */
async function startService(name: ServiceName): Promise<string> {
  const server = createServer((request, response) => {
    if (request.url === '/authz') {
      const knows = request.headers.authorization === 'Bearer known'
      response.writeHead(knows ? 200 : 401, { 'content-length': 0, ...(knows ? { 'x-internal-token': TOKEN } : {}) })
      response.end()
      return
    }
    const { cookie, authorization, 'x-internal-token': token } = request.headers
    response.end(JSON.stringify({ name, method: request.method, url: request.url, cookie, authorization, token }))
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
    publicUrl: 'https://shop.example.com',
    trustedHops: 2,
    accessLog: 'run/access.log',
    upstreams,
  }
}

beforeAll(async () => {
  const objects = await rendered({ set: { 'global.publicUrl': 'https://shop.example.com', 'global.trustedHops': 2 } })
  files = named(objects, 'ConfigMap', 'shop-edge')['data'] as Record<string, string>
  for (const service of serviceNames) upstreams[service] = [await startService(service)]
  opsPort = await freePort()
  chart = await start((directory, port) => {
    for (const [name, content] of Object.entries(files)) {
      // Only addresses differ from what runs in a pod.
      const here = content
        .replaceAll(/shop-([a-z]+):3000/g, (_, service: ServiceName) => String(upstreams[service][0]))
        .replace('listen 8080', `listen 127.0.0.1:${port}`)
        .replace('listen 9000', `listen 127.0.0.1:${opsPort}`)
        .replace('/dev/stdout', 'run/access.log')
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

const user = { authorization: 'Bearer known', cookie: 'refresh=secret' }

test.each([
  ['GET', '/', {}, 200],
  ['GET', '/product', user, 200],
  ['POST', '/product', {}, 401],
  ['POST', '/product', user, 200],
  ['GET', '/order', {}, 401],
  ['GET', '/order', { authorization: 'Bearer nobody' }, 401],
  ['GET', '/order', { 'x-internal-token': TOKEN, 'x-user-id': '1' }, 401],
  ['GET', '/order', user, 200],
  ['POST', '/order', { ...user, 'idempotency-key': 'a' }, 200],
  ['POST', '/auth/login', user, 200],
  ['GET', '/admin/notifications/mail', {}, 401],
  ['GET', '/orders', user, 404],
  ['POST', '/authz', user, 404],
  ['GET', '/metrics', user, 404],
  ['GET', '/readyz', user, 404],
  ['GET', '/healthz', user, 404],
  ['GET', '/order/a%2fb', user, 400],
  ['GET', '/order//a', user, 400],
])('%s %s with %o is decided as in development: %i', async (method, path, headers, status) => {
  const [here, there] = await Promise.all(
    [chart, development].map(async ({ url }) => {
      const answer = await fetch(new URL(url).origin + path, { method, headers, redirect: 'manual' })
      const answered = Object.fromEntries(answer.headers)
      delete answered['date']
      delete answered['x-request-id']
      return { status: answer.status, headers: answered, body: (await answer.text()).replace(/urn:uuid:[\w-]+/, '') }
    }),
  )
  expect(here).toEqual(there)
  expect(here?.status).toBe(status)
})

test('a service gets the internal token and no credentials', async () => {
  const answer = await fetch(`${new URL(chart.url).origin}/order`, { headers: user })
  expect(await answer.json()).toEqual({ name: 'orders', method: 'GET', url: '/order', token: TOKEN })
})

test('the kubelet asks on a port of its own', async () => {
  const ask = async (path: string) => (await fetch(`http://127.0.0.1:${opsPort}${path}`)).status
  expect([await ask('/healthz'), await ask('/product')]).toEqual([200, 404])
})
