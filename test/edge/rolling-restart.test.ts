import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { systemClock } from '@saas/config'
import { authRoutes } from '@saas/contracts'
import { Child, freePort } from '@saas/devstack'
import { startFrontend } from '@saas/frontend/src/main.ts'
import { createApp, listen, registerRoutes, type RunningApp } from '@saas/http'
import { eventually, FakeClock, sharedServers, testLog } from '@saas/testing'
import { expect, onTestFinished, test } from 'vitest'
import { edgePort, startEdge } from './edge.ts'

const CLIENTS = 6
const nowhere = ['127.0.0.1:9']
const elsewhere = { auth: nowhere, products: nowhere, orders: nowhere, notifications: nowhere, frontend: nowhere }
const requests = [
  { path: '/.well-known/jwks.json', method: 'GET' },
  {
    path: '/auth/register',
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: 'ada@example.com', password: 'a long pass phrase', name: 'Ada' }),
  },
]

/**
 * A replica as far as HTTP goes: the real app, with answers that need no database. Both routes are for anyone, so
 * that nothing but the replicas decides; the POST may not be repeated.
 */
async function startReplica(port: number): Promise<RunningApp> {
  const { jwks, register } = authRoutes
  const routes = { jwks, register }
  const { logger } = testLog('auth')
  const clock = new FakeClock(new Date())
  const app = createApp({ service: 'auth', routes, logger, clock, internalTokenKeys: [] })
  registerRoutes(app, routes, {
    jwks: () => ({ status: 200, body: { keys: [] } }),
    register: () => ({ status: 202, body: { status: 'accepted' } }),
  })
  return await listen(app, { listenHost: '127.0.0.1', listenPort: port, opsPort: 0 })
}

test('restarting one replica after the other fails no request, not even those that cannot be repeated', async () => {
  const ports = [await freePort(), await freePort()]
  const replicas = await Promise.all(ports.map(startReplica))
  const auth = ports.map((port) => `127.0.0.1:${port}`)
  await using edge = await startEdge(await edgePort(), { upstreams: { ...elsewhere, auth } })
  onTestFinished(async () => {
    await Promise.all(replicas.map((replica) => replica.close()))
  })

  let served = 0
  const failed: number[] = []
  const done = new AbortController()
  const client = async (_: unknown, index: number) => {
    const { path, ...options } = requests[index % requests.length] ?? { path: '/' }
    while (!done.signal.aborted) {
      const { status } = await edge.send(path, options)
      if (status < 300) served += 1
      else failed.push(status)
    }
  }
  const clients = Array.from({ length: CLIENTS }, client)
  for (const [index, port] of ports.entries()) {
    const before = served
    await eventually(() => served > before + 50)
    await replicas[index]?.close()
    const without = served
    await eventually(() => served > without + 50)
    replicas[index] = await startReplica(port)
  }
  done.abort()
  await Promise.all(clients)
  // That a stopped replica refuses, or its kernel resets what it had not accepted yet, is expected; another one served the request.
  const log = readFileSync(`${edge.directory}/nginx.log`, 'utf8').split('\n')
  const unexpected = log.filter((line) => line.includes('[error]') && !/Connection (refused|reset by peer)/.test(line))
  expect({ failed, unexpected }).toEqual({ failed: [], unexpected: [] })
}, 60_000)

// Other kernels answer whoever finds the queue full.
test.skipIf(process.platform !== 'linux')(
  'a replica that nobody can connect to for a second fails no request, not even one that cannot be repeated',
  async () => {
    const port = await freePort()
    const serve = `require('node:http').createServer((_, response) => response.end('{}')).listen({ host: '127.0.0.1', port: ${port}, backlog: 1 })`
    await using replica = await Child.start({
      name: 'replica',
      command: process.execPath,
      arguments: ['--eval', serve],
      logFile: join(sharedServers().directory, `replica-${port}.log`),
      isReady: async (signal) => (await fetch(`http://127.0.0.1:${port}/`, { signal })).ok,
    })
    await using edge = await startEdge(await edgePort(), { upstreams: { ...elsewhere, auth: [`127.0.0.1:${port}`] } })

    replica.pause()
    await eventually(() => readFileSync(`/proc/${replica.pid}/stat`, 'utf8').includes(') T '))
    // As many as the kernel keeps for it; of any other it drops the packets, as a network does with those to a pod that is gone.
    for (let count = 0; count < 2; count += 1) {
      const waiting = connect({ host: '127.0.0.1', port })
      onTestFinished(() => {
        waiting.destroy()
      })
      await once(waiting, 'connect')
    }
    const [, post] = requests
    const answer = edge.send('/auth/register', post)
    await eventually(() => readFileSync(`${edge.directory}/nginx.log`, 'utf8').includes('upstream timed out'))
    replica.resume()
    // The second try went into the void as well.
    expect(await answer).toMatchObject({ status: 200 })
  },
)

/** A front end of one release: `/assets/<release>.js` is in no other. */
async function startRelease(release: string): Promise<number> {
  const directory = mkdtempSync(join(sharedServers().directory, 'release-'))
  mkdirSync(join(directory, 'assets'))
  writeFileSync(join(directory, 'index.html'), `<!doctype html><script src="/assets/${release}.js"></script>`)
  writeFileSync(join(directory, `assets/${release}.js`), `export const release = '${release}'`)
  for (const name of ['favicon.svg', 'robots.txt']) writeFileSync(join(directory, name), '')
  const port = await freePort()
  const service = await startFrontend(
    {
      listenHost: '127.0.0.1',
      listenPort: port,
      opsPort: 0,
      publicUrl: 'https://shop.example',
      logLevel: 'info',
      connTimeoutSeconds: 5,
      otlpEndpoint: undefined,
      traceShare: 1,
    },
    { logger: testLog('frontend').logger, clock: systemClock },
    directory,
  )
  onTestFinished(async () => {
    await service[Symbol.asyncDispose]()
  })
  return port
}

/** One address for several replicas, as a Service has: each connection leads to the next of them. */
async function startServiceAddress(ports: readonly number[]): Promise<{ address: string; connections: () => number }> {
  const sockets: Socket[] = []
  let connections = 0
  const server = createServer((client) => {
    const replica = connect({ host: '127.0.0.1', port: ports[connections % ports.length] ?? 0 })
    connections += 1
    for (const socket of [client, replica]) socket.on('error', () => socket.destroy())
    client.pipe(replica).pipe(client)
    sockets.push(client, replica)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, connections: () => connections }
}

test('while two releases of the front end run, the scripts of both are found, and what neither has is asked for eight times', async () => {
  const service = await startServiceAddress([await startRelease('old'), await startRelease('new')])
  await using edge = await startEdge(await edgePort(), { upstreams: { ...elsewhere, frontend: [service.address] } })
  for (let count = 0; count < 10; count += 1) {
    for (const release of ['old', 'new']) {
      const { status, body } = await edge.send(`/assets/${release}.js`)
      expect({ status, body }).toEqual({ status: 200, body: `export const release = '${release}'` })
    }
  }
  const before = service.connections()
  expect(await edge.send('/assets/neither.js')).toMatchObject({
    status: 404,
    headers: { 'content-type': expect.stringContaining('application/problem+json') },
  })
  // Some by a connection that was open.
  expect(service.connections() - before).toBeLessThanOrEqual(8)
})
