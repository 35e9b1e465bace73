import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { createLogger } from '../src/index.ts'
import { sampleApp, tokenFor, userId } from './sample.ts'

const requestId = '01977c1e-6a00-7000-8000-00000000abcd'
const traceParent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

test('each request is one line with a constant message and the route instead of the path', async () => {
  const { app, lines } = sampleApp()
  await app.fastify.inject({
    url: '/thing/secret-id',
    headers: { 'x-internal-token': tokenFor('orders.read'), 'x-request-id': requestId, traceparent: traceParent },
  })
  expect(lines).toEqual([
    {
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      service: 'orders',
      requestId,
      route: 'orders.read',
      method: 'GET',
      status: 200,
      durationMs: expect.any(Number),
      traceParent,
      userId,
      message: 'request served',
    },
  ])
})

test.each(['short', 'a b', '01977C1E-6A00-7000-8000-00000000ABCD', `${requestId}\u00e4`])(
  'a request id that is not well-formed is replaced: %s',
  async (given) => {
    const response = await sampleApp().app.fastify.inject({ url: '/look', headers: { 'x-request-id': given } })
    expect(response.headers['x-request-id']).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/)
  },
)

test('secrets are redacted by name at any level', () => {
  const lines: string[] = []
  const logger = createLogger('auth', 'info', { write: (line: string) => void lines.push(line) })
  const secret = 'hunter2'
  logger.info(
    {
      password: secret,
      body: { Token: secret, users: [{ refreshToken: secret }] },
      deep: { a: { b: { c: { token: secret } } } },
    },
    'x',
  )
  logger.info({ headers: { authorization: secret, 'x-internal-token': secret, 'set-cookie': [secret] } }, 'x')
  expect(lines.join('')).not.toContain(secret)
  expect(lines.join('')).toContain('[redacted]')
})

test.each(['exits', 'killed'])(
  'no line is lost or out of order when the process %s after its last or fatal one',
  async (end) => {
    const program = fileURLToPath(import.meta.resolve('./lines-main.ts'))
    const child = spawn(process.execPath, [program, end], { stdio: ['ignore', 'pipe', 'inherit'] })
    const lines = (await text(child.stdout))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(lines.slice(0, 5_000).map(({ n }) => n)).toEqual(Array.from({ length: 5_000 }, (_, n) => n))
    expect(lines.slice(5_000).map(({ message }) => message)).toEqual(
      end === 'killed' ? ['long', 'last', 'over'] : ['long', 'last'],
    )
    expect(lines[5_000]?.['text']).toHaveLength(100_000)
  },
)
