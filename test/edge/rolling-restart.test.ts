import { readFileSync } from 'node:fs'
import { authRoutes } from '@saas/contracts'
import { freePort } from '@saas/devstack'
import { createApp, listen, registerRoutes, type RunningApp } from '@saas/http'
import { eventually, FakeClock, testLog } from '@saas/testing'
import { expect, onTestFinished, test } from 'vitest'
import { edgePort, startEdge } from './edge.ts'

const CLIENTS = 6
const nowhere = ['127.0.0.1:9']
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
  const upstreams = { auth, products: nowhere, orders: nowhere, notifications: nowhere, frontend: nowhere }
  await using edge = await startEdge(await edgePort(), { upstreams })
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
