import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { listen, PreparedAnswer, type Shortcut } from '../src/index.ts'
import { sampleApp, sampleRoutes } from './sample.ts'

const prepared = new PreparedAnswer(200, ['x-told', 'at once'])
const shortcut: Shortcut = {
  route: sampleRoutes.decide,
  answer: (request, response) => {
    if (request.url !== '/decide' || request.headers['content-length'] !== undefined) return undefined
    prepared.send(response)
    return 200
  },
}

/** All that is answered to these bytes. The last request among them closes the connection. */
async function answersTo(url: string, bytes: string): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  await once(socket, 'connect')
  socket.write(bytes)
  return await text(socket)
}

const HOST = 'Host: shop.example\r\n'
const last = `GET /look?limit=3 HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`

test.each([
  ['JSON that there is not', 'POST /thing', 'Content-Type: application/json\r\n'],
  ['nothing', 'POST /thing', ''],
  ['JSON of no length', 'POST /thing', 'Content-Type: application/json\r\nContent-Length: 0\r\n'],
  ['a picture that there is not', 'PUT /upload', 'Content-Type: image/png\r\n'],
  ['no picture', 'PUT /upload', ''],
  ['a text instead of a picture', 'PUT /upload', 'Content-Type: text/plain\r\n'],
])('a service with a shortcut answers a request with %s as one without', async (_what, line, headers) => {
  const bytes = `${line} HTTP/1.1\r\n${HOST}x-request-id: 01977c1e-6a00-7000-8000-000000000001\r\n${headers}\r\n${last}`
  const answers: string[] = []
  for (const options of [{}, { shortcut }]) {
    await using running = await listen(sampleApp(options).app, { listenHost: '127.0.0.1', listenPort: 0, opsPort: 0 })
    answers.push((await answersTo(running.url, bytes)).replaceAll(/(?:x-request-id|date): .*|/gi, ''))
  }
  expect(answers[1]).toBe(answers[0])
  expect(answers[1]).toContain('{"limit":3}')
  expect(answers[1]).not.toContain('500')
})

test('a shortcut answers before the service does, and a request with a body all the same', async () => {
  const ask = (headers: string): string => `POST /decide HTTP/1.1\r\n${HOST}${headers}\r\n`
  await using running = await listen(sampleApp({ shortcut }).app, {
    listenHost: '127.0.0.1',
    listenPort: 0,
    opsPort: 0,
  })
  const bytes = `${ask('')}${ask('Content-Length: 3\r\n')}abc${ask('')}${last}`
  const answers = (await answersTo(running.url, bytes)).split('HTTP/1.1 ').slice(1)
  expect(answers.map((answer) => answer.includes('x-told: at once'))).toEqual([true, false, true, false])
  expect(answers.at(-1)).toContain('{"limit":3}')
})
