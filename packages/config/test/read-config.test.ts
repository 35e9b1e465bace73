import { describe, expect, test } from 'vitest'
import {
  auth,
  base64urlKey,
  common,
  ConfigError,
  database,
  integer,
  internalToken,
  readConfig,
  smtp,
  systemClock,
  text,
} from '../src/index.ts'

const key = (byte: number) => Buffer.alloc(32, byte).toString('base64url')

function problemsOf(work: () => unknown): ConfigError {
  try {
    work()
  } catch (error) {
    if (error instanceof ConfigError) return error
  }
  throw new Error('the configuration was accepted')
}

describe('reading the environment', () => {
  test('every wrong variable is reported at once by name', () => {
    const error = problemsOf(() =>
      readConfig({ ...common, ...database }, { LISTEN_PORT: '70000', PUBLIC_URL: 'ftp://shop', LOG_LEVEL: 'loud' }),
    )
    expect(error.problems.map((problem) => problem.name)).toEqual([
      'LISTEN_PORT',
      'PUBLIC_URL',
      'LOG_LEVEL',
      'DATABASE_URL',
      'MIGRATE_DATABASE_URL',
    ])
    for (const problem of error.problems) expect(error.message).toContain(problem.name)
  })

  test('the value of a wrong variable is never printed', () => {
    const secret = 'hunter2-hunter2'
    const error = problemsOf(() =>
      readConfig(
        { ...database, ...internalToken, ...auth, ...smtp },
        {
          DATABASE_URL: `mysql://orders:${secret}@localhost/orders`,
          INTERNAL_TOKEN_KEY: secret,
          INTERNAL_TOKEN_KEYS: `orders=${secret}`,
          KEY_ENCRYPTION_KEY: secret,
          SMTP_URL: `http://user:${secret}@mail`,
          OIDC_PROVIDERS: `[{"clientSecret":"${secret}"}]`,
          TRUSTED_HOPS: '0',
        },
      ),
    )
    expect(error.problems).toHaveLength(7)
    expect(JSON.stringify(error.problems) + error.message + String(error.stack)).not.toContain(secret)
  })

  test('values are parsed, defaults fill what is unset or empty, and the result is frozen', () => {
    const config = readConfig(common, { LISTEN_PORT: '0', PUBLIC_URL: 'https://shop.example', LOG_LEVEL: '' })
    expect(config).toEqual({
      listenPort: 0,
      opsPort: 9000,
      listenHost: '127.0.0.1',
      publicUrl: 'https://shop.example',
      logLevel: 'info',
      connTimeoutSeconds: 10,
      otlpEndpoint: undefined,
      traceShare: 1,
    })
    expect(Object.isFrozen(config)).toBe(true)
  })

  test('a share is a number from 0 to 1, and nowhere to send spans is no mistake', () => {
    const wanted = { PUBLIC_URL: 'https://shop.example', OTEL_EXPORTER_OTLP_ENDPOINT: '' }
    expect(readConfig(common, { ...wanted, OTEL_TRACES_SAMPLER_ARG: '0.05' }).traceShare).toBe(0.05)
    for (const given of ['5', '-1', 'half', '1e-3', '1.5']) {
      expect(() => readConfig(common, { ...wanted, OTEL_TRACES_SAMPLER_ARG: given }), given).toThrow(/from 0 to 1/)
    }
    expect(() => readConfig(common, { ...wanted, OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' })).toThrow(
      /OTEL_EXPORTER_OTLP_ENDPOINT/,
    )
  })

  test('an internal token key may stand twice, the first one first', () => {
    const { internalTokenKeys } = readConfig(internalToken, { INTERNAL_TOKEN_KEY: `${key(1)},${key(2)}` })
    expect(internalTokenKeys.map((bytes) => bytes[0])).toEqual([1, 2])
    expect(() => readConfig(internalToken, { INTERNAL_TOKEN_KEY: `${key(1)},${key(2)},${key(3)}` })).toThrow(
      'two during rotation',
    )
  })

  test("each service's keys are found under its name, in order", () => {
    const config = readConfig(
      { keys: auth.internalTokenKeysByService },
      { INTERNAL_TOKEN_KEYS: `orders=${key(1)},products=${key(2)},orders=${key(3)}` },
    )
    expect([...config.keys].map(([name, keys]) => [name, keys.map((bytes) => bytes[0])])).toEqual([
      ['orders', [1, 3]],
      ['products', [2]],
    ])
  })

  test.each([
    ['a number with a unit', integer('N', 0, 9, { description: 'n', example: '1' }), '5s'],
    ['a number in hexadecimal', integer('N', 0, 99, { description: 'n', example: '1' }), '0x1f'],
    ['a number out of range', integer('N', 0, 9, { description: 'n', example: '1' }), '10'],
    ['a key of another length', base64urlKey('K', 32, { description: 'k', example: '' }), 'AAAA'],
    ['a key in another alphabet', base64urlKey('K', 3, { description: 'k', example: '' }), '++//'],
    ['a token that could be guessed', auth.bootstrapToken, 'x'.repeat(15)],
    ['a text beyond the limit', text('T', { description: 't', example: '' }), 'x'.repeat(4097)],
  ])('%s is refused', (_what, variable, value) => {
    expect(() => readConfig({ value: variable }, { [variable.name]: value })).toThrow(ConfigError)
  })
})

test('a sleep ends at once when its signal is aborted', async () => {
  const controller = new AbortController()
  const sleep = systemClock.sleep(60_000, controller.signal)
  controller.abort()
  await expect(sleep).rejects.toThrow('aborted')
})
