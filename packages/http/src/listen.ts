import type { FastifyInstance } from 'fastify'
import { once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { Server as NetServer, type AddressInfo, type Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import type { App } from './app.ts'
import { IDLE_GRACE_MS, STOP_DEADLINE_MS, TAKING_MAX_MS } from './limits.ts'
import { createOperationsServer } from './operations-server.ts'

/** Where a service listens; port 0 takes a free one. */
export interface ListenOptions {
  readonly listenHost: string
  readonly listenPort: number
  readonly opsPort: number
}

/** A service that listens. Disposing stops it without losing a request. */
export interface RunningService extends AsyncDisposable {
  readonly app: FastifyInstance
  readonly url: string
  readonly opsUrl: string
}

/** One that can be stopped by name as well. */
export interface RunningApp extends RunningService {
  /** The same promise for every caller. */
  close(): Promise<void>
}

/**
 * Opens the service's port and its operations port.
 *
 * `close` loses no request that reached a connection we accepted: no new connections are accepted; readiness turns false and
 * event streams end; requests that run, and those that still arrive on kept connections, are answered with
 * `Connection: close`; connections that stay idle for IDLE_GRACE_MS are closed; what is left at STOP_DEADLINE_MS is cut.
 *
 * `resources` are what the service stands on. Once it listens they are its own: when it has stopped it lets go of them, the last one first.
 */
export async function listen(
  app: App,
  options: ListenOptions,
  resources: AsyncDisposableStack = new AsyncDisposableStack(),
): Promise<RunningApp> {
  const operations = createOperationsServer(app)
  operations.listen(options.opsPort, options.listenHost)
  await once(operations, 'listening')
  const connections = trackConnections(app.fastify.server)
  try {
    await app.fastify.listen({ host: options.listenHost, port: options.listenPort })
  } catch (error) {
    operations.close()
    throw error
  }
  const url = urlOf(app.fastify.server)
  const opsUrl = urlOf(operations)
  app.logger.info({ url, opsUrl }, 'service listens')
  const owned = resources.move()
  owned.defer(() => stop(app, operations, connections))
  let closed: Promise<void> | undefined
  const close = async (): Promise<void> => {
    closed ??= owned.disposeAsync()
    await closed
  }
  return { app: app.fastify, url, opsUrl, close, [Symbol.asyncDispose]: close }
}

async function stop(app: App, operations: Server, connections: Connections): Promise<void> {
  app.logger.info('service stops')
  await connections.taken()
  // http.Server's own close would also close idle connections, under a request that is on its way.
  NetServer.prototype.close.call(app.fastify.server)
  // Only now: an answer that says `Connection: close` makes its client connect again, in the moment in which the port closes.
  app.stopping.abort(new Error('The service stops'))
  const deadline = AbortSignal.timeout(STOP_DEADLINE_MS)
  await connections.closed(AbortSignal.any([deadline, AbortSignal.timeout(IDLE_GRACE_MS)]))
  connections.closeIdle()
  await connections.closed(deadline)
  const cut = connections.closeAll()
  if (cut > 0) app.logger.warn({ cut }, 'connections cut at the deadline')
  await app.fastify.close()
  operations.closeAllConnections()
  operations.close()
  app.logger.info('service stopped')
}

interface Connections {
  /** Resolves when none waits any more that the kernel accepted while we were busy: closing the port would reset it. */
  taken(): Promise<void>
  /** Resolves when there are none left, or the signal is aborted. */
  closed(until: AbortSignal): Promise<void>
  closeIdle(): void
  /** Cuts what is left and returns how many. */
  closeAll(): number
}

/** Knows which connections have a request on them. Node knows as well, but tells nobody when the last one ends. */
function trackConnections(server: Server): Connections {
  const running = new Map<Socket, number>()
  let isClosing = false
  let count = 0
  let wake = (): void => {}
  server.on('connection', (socket: Socket) => {
    count += 1
    running.set(socket, 0)
    socket.once('close', () => {
      running.delete(socket)
      if (running.size === 0) wake()
    })
  })
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    // Answered at once, before this was told of it: nothing runs any more.
    if (response.writableEnded) return
    const { socket } = request
    running.set(socket, (running.get(socket) ?? 0) + 1)
    response.once('close', () => {
      const left = (running.get(socket) ?? 1) - 1
      if (running.has(socket)) running.set(socket, left)
      if (isClosing && left === 0) socket.end()
    })
  })
  return {
    taken: async () => {
      const until = performance.now() + TAKING_MAX_MS
      // Node takes one a turn. What calls us may stand behind the part of its turn in which that happens.
      let quietTurns = 0
      while (quietTurns < 2 && performance.now() < until) {
        const before = count
        await setImmediate()
        quietTurns = count === before ? quietTurns + 1 : 0
      }
    },
    closed: async (until) => {
      if (running.size === 0 || until.aborted) return
      const { promise, resolve } = Promise.withResolvers<void>()
      wake = resolve
      until.addEventListener('abort', () => resolve(), { once: true })
      await promise
    },
    closeIdle: () => {
      isClosing = true
      server.closeIdleConnections()
    },
    closeAll: () => {
      const left = running.size
      server.closeAllConnections()
      return left
    },
  }
}

function urlOf(server: Server): string {
  const { address, port, family } = server.address() as AddressInfo
  const host = address === '0.0.0.0' || address === '::' ? '127.0.0.1' : address
  return family === 'IPv6' && host.includes(':') ? `http://[${host}]:${port}` : `http://${host}:${port}`
}
