import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { KEEP_ALIVE_MS } from '../src/limits.ts'
import { PreparedAnswer } from '../src/prepared-answer.ts'

const headers = ['x-told', 'a-value', 'www-authenticate', 'Bearer']
const answer = new PreparedAnswer(401, headers)

let server: Server
beforeAll(async () => {
  server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
    if (request.url === '/prepared') {
      answer.send(response)
      return
    }
    // As Node sends it when it is asked to, or a little later.
    response.sendDate = false
    const send = (): void => void response.writeHead(401, [...headers, 'content-length', '0']).end()
    if (request.url === '/later') setImmediate(send)
    else send()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

/** All that the server sends for these bytes, until it or we have said all. */
async function sent(bytes: string): Promise<string> {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.end(bytes)
  return await text(socket)
}

const HOST = 'Host: shop.example\r\n'
const last = `GET / HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`

test.each([
  ['on a connection that is kept', (path: string) => `POST ${path} HTTP/1.1\r\n${HOST}\r\n${last}`],
  ['on one that is to be closed', (path: string) => `POST ${path} HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`],
  ['to HEAD', (path: string) => `HEAD ${path} HTTP/1.1\r\n${HOST}\r\n${last}`],
  ['in HTTP/1.0', (path: string) => `GET ${path} HTTP/1.0\r\n\r\n`],
  ['in HTTP/1.0 that keeps', (path: string) => `GET ${path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n${last}`],
  [
    'to whoever waits for leave to go on',
    (path: string) => `GET ${path} HTTP/1.1\r\n${HOST}Expect: 100-continue\r\n\r\n${last}`,
  ],
  [
    'with a body that nobody reads',
    (path: string) => `POST ${path} HTTP/1.1\r\n${HOST}Content-Length: 3\r\n\r\nabc${last}`,
  ],
])('a prepared answer is byte for byte what Node would have sent %s', async (_how, bytes) => {
  const prepared = await sent(bytes('/prepared'))
  expect(prepared).toContain('x-told: a-value\r\n')
  expect(prepared).toBe(await sent(bytes('/')))
})

test('prepared answers stand in the order of their requests, behind those that take longer', async () => {
  const order = ['/prepared', '/later', '/prepared', '/prepared', '/', '/prepared']
  const ask = (path: string): string => `GET ${path} HTTP/1.1\r\n${HOST}\r\n`
  const answers = await sent(`${order.map(ask).join('')}${last}`)
  const asNodeWould = await sent(`${order.map(() => ask('/')).join('')}${last}`)
  expect(answers).toBe(asNodeWould)
})

test('a header that could end its line is refused when the answer is made', () => {
  expect(() => new PreparedAnswer(200, ['x-told', 'a\r\nset-cookie: b'])).toThrow(TypeError)
  expect(() => new PreparedAnswer(200, ['x told', 'a'])).toThrow(TypeError)
  expect(answer.valueOf('x-told')).toBe('a-value')
})
