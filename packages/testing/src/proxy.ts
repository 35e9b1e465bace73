import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** A wire that can be cut, between a client and one server. */
export interface TestProxy extends AsyncDisposable {
  /** The server's URL, through the proxy. */
  readonly url: string
  /** Connections made so far. */
  readonly connections: number
  /** Passes the next thing a client sends on to the server, and cuts the connection when the answer comes. Says how often it did. */
  loseAnswers(count: number): { readonly lost: number }
  /** Nothing passes any more, in neither direction; connections stay open. */
  pause(): void
  /** Everything that was held passes. */
  resume(): void
  /** Cuts every connection now. */
  cut(): void
}

/** Puts a proxy in front of the server of a URL. */
export async function testProxy(serverUrl: string): Promise<TestProxy> {
  const target = new URL(serverUrl)
  const pairs = new Set<{ client: Socket; server: Socket }>()
  let connections = 0
  let isPaused = false
  let loss = { lost: 0, left: 0 }
  const listener = createServer((client) => {
    connections += 1
    const server = connect(Number(target.port), target.hostname)
    const pair = { client, server }
    pairs.add(pair)
    if (isPaused) setPaused(pair, true)
    let isAsking = false
    const end = (): void => {
      client.destroy()
      server.destroy()
      pairs.delete(pair)
    }
    client.on('data', (chunk) => {
      isAsking = loss.left > 0
      server.write(chunk)
    })
    server.on('data', (chunk) => {
      if (isAsking && loss.left > 0) {
        loss.left -= 1
        loss.lost += 1
        end()
      } else client.write(chunk)
    })
    for (const socket of [client, server]) socket.on('error', end).on('close', end)
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const cut = (): void => {
    for (const { client, server } of pairs) {
      client.destroy()
      server.destroy()
    }
    pairs.clear()
  }
  const url = new URL(serverUrl)
  url.port = String((listener.address() as AddressInfo).port)
  return {
    url: url.href,
    get connections() {
      return connections
    },
    loseAnswers: (count) => {
      loss = { lost: 0, left: count }
      return loss
    },
    pause: () => {
      isPaused = true
      for (const pair of pairs) setPaused(pair, true)
    },
    resume: () => {
      isPaused = false
      for (const pair of pairs) setPaused(pair, false)
    },
    cut,
    [Symbol.asyncDispose]: async () => {
      cut()
      listener.close()
      await once(listener, 'close')
    },
  }
}

function setPaused({ client, server }: { client: Socket; server: Socket }, isPaused: boolean): void {
  for (const socket of [client, server]) {
    if (isPaused) socket.pause()
    else socket.resume()
  }
}
