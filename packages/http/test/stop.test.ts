import { once } from 'node:events'
import { Agent, request, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, test, vi } from 'vitest'
import { listen, type RunningApp } from '../src/index.ts'
import { sampleApp } from './sample.ts'

const anyPort = { listenHost: '127.0.0.1', listenPort: 0, opsPort: 0 }

test('a request that runs when the service stops is answered, and its connection is not kept', async () => {
  const { app, served, release } = sampleApp()
  const running = await listen(app, anyPort)
  const answer = fetch(`${running.url}/wait`, { method: 'POST' })
  await vi.waitFor(() => expect(served).toEqual(['wait']))
  const closed = running.close()
  await vi.waitFor(async () => expect((await fetch(`${running.opsUrl}/readyz`)).status).toBe(503))
  await expect(fetch(`${running.url}/look`)).rejects.toThrow('fetch failed')
  release()
  const response = await answer
  expect(response.status).toBe(200)
  expect(response.headers.get('connection')).toBe('close')
  await closed
})

test('a request on a kept connection is answered while the service stops', async () => {
  const { app } = sampleApp()
  const running = await listen(app, anyPort)
  const socket = await openConnection(running)
  await ask(socket)
  const closed = running.close()
  await vi.waitFor(() => expect(app.stopping.signal.aborted).toBe(true))
  const answer = await ask(socket)
  expect(answer).toContain('200 OK')
  expect(answer).toMatch(/connection: close/i)
  await closed
})

test('a stop under load loses no request that was sent', async () => {
  const { app } = sampleApp()
  const running = await listen(app, anyPort)
  const agent = new Agent({ keepAlive: true, maxSockets: 16 })
  const outcomes = { served: 0, refused: 0, lost: 0 }
  const client = async () => {
    for (;;) {
      try {
        const response = await get(running, agent)
        outcomes.served += response.statusCode === 200 ? 1 : 0
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') outcomes.refused += 1
        else outcomes.lost += 1
        return
      }
    }
  }
  const clients = Array.from({ length: 16 }, client)
  await vi.waitFor(() => expect(outcomes.served).toBeGreaterThan(100), { timeout: 20_000 })
  await running.close()
  await Promise.all(clients)
  agent.destroy()
  expect(outcomes).toMatchObject({ refused: 16, lost: 0 })
})

test('connections that the kernel accepted while the service was busy are answered, all of them', async () => {
  const running = await listen(sampleApp().app, anyPort)
  const { port } = new URL(running.url)
  const clients = Array.from({ length: 50 }, () => connect(Number(port), '127.0.0.1'))
  const answers = clients.map(async (client) => {
    client.write('GET /look HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n')
    return (await text(client)).split('\r\n', 1)[0]
  })
  // All connect in one turn, and the service takes them one a turn.
  await once(clients[0] as Socket, 'connect')
  await running.close()
  expect(new Set(await Promise.all(answers))).toEqual(new Set(['HTTP/1.1 200 OK']))
})

test('an event stream ends when the service stops', async () => {
  const running = await listen(sampleApp().app, anyPort)
  const response = await fetch(`${running.url}/watch`)
  expect(response.headers.get('content-type')).toContain('text/event-stream')
  const body = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  expect((await body?.read())?.value).toBe('event: order\ndata: {"status":"pending"}\n\n')
  const closed = running.close()
  expect(await body?.read()).toEqual({ done: true, value: undefined })
  await closed
})

test('a stop without connections is immediate', async () => {
  const running = await listen(sampleApp().app, anyPort)
  const before = performance.now()
  await running.close()
  expect(performance.now() - before).toBeLessThan(200)
})

async function openConnection(running: RunningApp): Promise<Socket> {
  const socket = connect(Number(new URL(running.url).port), '127.0.0.1')
  await once(socket, 'connect')
  return socket
}

async function ask(socket: Socket): Promise<string> {
  socket.write('GET /look HTTP/1.1\r\nhost: a\r\n\r\n')
  const [data] = (await once(socket, 'data')) as [Buffer]
  return data.toString()
}

async function get(running: RunningApp, agent: Agent): Promise<IncomingMessage> {
  const sent = request(`${running.url}/look`, { agent })
  sent.end()
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  response.resume()
  await once(response, 'end')
  return response
}
