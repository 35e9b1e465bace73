import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { gzipSync } from 'node:zlib'
import { parseStrictJson } from '../src/strict-json.ts'
import { sampleApp } from './sample.ts'

interface Problem {
  type: string
  detail?: string
  errors?: { pointer: string; detail: string; code?: string; limit?: number }[]
}

async function post(payload: string, headers: Record<string, string> = {}) {
  const { app, served } = sampleApp()
  const response = await app.fastify.inject({
    method: 'POST',
    url: '/thing',
    headers: { 'content-type': 'application/json', ...headers },
    payload,
  })
  return {
    response,
    served,
    problem: response.json<Problem>(),
    pointers: response.json<Problem>().errors?.map((e) => e.pointer),
  }
}

function positionOf(text: string): number {
  try {
    parseStrictJson(Buffer.from(text))
  } catch (error) {
    return Number(/from character (\d+) on/.exec(String(error))?.[1])
  }
  return Number.NaN
}

test('unknown fields are refused by pointer, never stripped', async () => {
  const { response, served, problem } = await post('{"count":1,"price":2,"lines":[{"id":"a","a/b~c":1}]}')
  expect(response.statusCode).toBe(400)
  expect(problem).toMatchObject({
    type: '/problems/invalid-request',
    errors: [
      { pointer: '/price', detail: 'is not a known field', code: 'unknown-field' },
      { pointer: '/lines/0/a~1b~0c', detail: 'is not a known field' },
    ],
  })
  expect(served).toEqual([])
})

test('a body is taken as it is: text is no number', async () => {
  expect((await post('{"count":"1"}')).pointers).toEqual(['/count'])
})

test('a number that is too large to be one is refused', async () => {
  expect((await post('{"count":1e400}')).problem.errors).toEqual([
    { pointer: '/count', detail: 'must be a whole number', code: 'not-a-number' },
  ])
})

test('a value that is ruled out is refused in words', async () => {
  expect((await post('{"count":-0}')).problem.errors).toEqual([{ pointer: '/count', detail: 'must not be this value' }])
})

test('numbers and booleans in a query are read from text', async () => {
  const { app } = sampleApp()
  const response = await app.fastify.inject('/look?limit=5&all=true')
  expect(response.json()).toEqual({ limit: 5, all: true })
})

test.each([
  ['/look?limit=five', '/query/limit'],
  ['/look?limit=101', '/query/limit'],
  ['/look?limit=5&limit=6', '/query/limit'],
  ['/look?limit=1e400', '/query/limit'],
  ['/look?limit=0x10', '/query/limit'],
  ['/look?limit=1e1', '/query/limit'],
  ['/look?limit=5.0', '/query/limit'],
  ['/look?limit=%205', '/query/limit'],
  ['/look?limit=5%20', '/query/limit'],
  ['/look?limit=%2B5', '/query/limit'],
  ['/look?limit=-5', '/query/limit'],
  ['/look?limit=', '/query/limit'],
  ['/look?limit=0b11', '/query/limit'],
  ['/look?limit=%D9%A5', '/query/limit'],
  ['/look?at=2016-12-31T23:59:60Z', '/query/at'],
  ['/look?at=0000-01-01T00:00:00Z', '/query/at'],
  ['/look?at=2026-02-29T12:00:00Z', '/query/at'],
  ['/look?at=2026-02-28T24:00:00Z', '/query/at'],
  ['/look?at=2026-02-28T12:00:00%2B24:00', '/query/at'],
  ['/look?at=2026-02-28T12:00:00-16:00', '/query/at'],
  [`/look?at=2026-02-28T12:00:00.${'1'.repeat(10)}Z`, '/query/at'],
  ['/look?unknown=1', '/query/unknown'],
  ['/look?all=%00', '/query/all'],
])('%s is refused at %s', async (url, pointer) => {
  const { app } = sampleApp()
  const response = await app.fastify.inject(url)
  expect(response.statusCode).toBe(400)
  expect(response.json<Problem>().errors?.map((error) => error.pointer)).toEqual([pointer])
})

test.each([
  ['at=yesterday', { detail: 'must be a time with its zone, such as 2026-11-23T10:15:00Z', code: 'wrong-form' }],
  ['limit=0x10', { detail: 'must be a number of decimal digits only', code: 'not-a-number' }],
  ['limit=101', { detail: 'must be at most 100', code: 'too-large', limit: 100 }],
])('what is wrong with %s is said in words, and by a code', async (query, why) => {
  const { app } = sampleApp()
  const response = await app.fastify.inject(`/look?${query}`)
  expect(response.json<Problem>().errors?.map(({ detail, code, limit }) => ({ detail, code, limit }))).toEqual([why])
})

test('of a union the alternative that was meant is explained', async () => {
  expect((await post('{"who":{"email":"a@b"}}')).problem.errors).toEqual([
    { pointer: '/who/code', detail: 'is required', code: 'required' },
  ])
})

test('of a union of types all are named', async () => {
  expect((await post('{"who":1,"note":2}')).problem.errors).toEqual([
    { pointer: '/note', detail: 'must be string or null' },
    { pointer: '/who', detail: 'must be object' },
  ])
})

test('a choice says what can be chosen', async () => {
  expect((await post('{"lines":[{"id":"a","size":"xl"}]}')).problem.errors).toEqual([
    { pointer: '/lines/0/size', detail: 'must be one of s, l', code: 'not-a-choice' },
  ])
})

describe('what Postgres cannot store or an object must not have is refused with its place', () => {
  test.each([
    ['U+0000', '{"name":"a\\u0000"}', '/name'],
    ['a lone surrogate', '{"name":["x","\\ud800"]}', '/name/1'],
    ['U+0000 in a field name', '{"name":{"a\\u0000":1}}', '/name'],
    ['__proto__', '{"name":{"__proto__":{"admin":true}}}', '/name/__proto__'],
    ['an escaped __proto__', '{"name":{"\\u005f_proto__":1}}', '/name/__proto__'],
    ['too deep nesting', `{"name":${'['.repeat(40)}${']'.repeat(40)}}`, `/name${'/0'.repeat(31)}`],
  ])('%s', async (_what, body, pointer) => {
    const { response, pointers, served } = await post(body)
    expect(response.statusCode).toBe(400)
    expect(pointers).toEqual([pointer])
    expect(served).toEqual([])
  })
})

describe('a body that is not JSON is refused with the position', () => {
  test.each([
    ['{"count":1,}', 11],
    ['{"count" 1}', 9],
    ['{"count":1', 10],
    ['{"a":01}', 6],
    ['[1 2]', 3],
    ['nul', 0],
    ['{"a":"\t"}', 5],
    ['{} x', 3],
  ])('%s at %i', async (body, position) => {
    const { response, problem } = await post(body)
    expect(response.statusCode).toBe(400)
    expect(problem).toMatchObject({
      type: '/problems/malformed-body',
      detail: `The body is not valid JSON from character ${position} on.`,
    })
  })

  test('wherever a text is cut, the position that is said is within it', () => {
    fc.assert(
      fc.property(fc.object({ maxDepth: 3 }), fc.nat(), (value, at) => {
        const text = JSON.stringify(value)
        const cut = text.slice(0, at % text.length)
        expect(() => parseStrictJson(Buffer.from(cut))).toThrow(/from character \d+ on/)
        expect(positionOf(cut)).toBeLessThanOrEqual(cut.length)
      }),
    )
  })

  test('every JSON value that can be stored is read as it was written', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const text = JSON.stringify(value)
        fc.pre(!text.includes('\\u0000') && !text.includes('__proto__'))
        expect(parseStrictJson(Buffer.from(text))).toEqual(JSON.parse(text))
      }),
    )
  })
})

test('a body that is not UTF-8 is refused', () => {
  expect(() => parseStrictJson(Uint8Array.of(0x22, 0xff, 0x22))).toThrow('not UTF-8')
})

test('only JSON is read where JSON is expected', async () => {
  const { response, problem } = await post('count=1', { 'content-type': 'application/x-www-form-urlencoded' })
  expect(response.statusCode).toBe(415)
  expect(problem.type).toBe('/problems/unsupported-media-type')
})

describe('a compressed body is refused, and the answer says how to send it', () => {
  const send = async (url: string, type: string, coding: string, payload: Buffer) => {
    const headers = { 'content-type': type, 'content-encoding': coding }
    const method = url === '/upload' ? 'PUT' : 'POST'
    return await sampleApp().app.fastify.inject({ method, url, headers, payload })
  }

  test.each([
    ['/thing', 'application/json', 'gzip'],
    ['/thing', 'application/json', 'GZIP, identity'],
    ['/thing', 'text/plain', 'br'],
    ['/upload', 'image/png', 'gzip'],
  ])('at %s as %s with %s', async (url, type, coding) => {
    const response = await send(url, type, coding, gzipSync('{"count":5}'))
    expect(response.statusCode).toBe(415)
    expect(response.headers['accept-encoding']).toBe('identity')
    expect(response.json()).toMatchObject({
      type: '/problems/unsupported-media-type',
      detail: 'The body is compressed. Send it as it is, without Content-Encoding.',
    })
  })

  test('but not one of which it is said that it is as it is', async () => {
    expect((await send('/thing', 'application/json', 'identity', Buffer.from('{"count":5}'))).statusCode).toBe(201)
    expect((await send('/upload', 'image/png', 'Identity', Buffer.alloc(10))).json()).toEqual({ bytes: 10 })
  })
})

test('a body beyond the limit is refused with 413', async () => {
  const { response, problem } = await post(`{"name":"${'x'.repeat(140_000)}"}`)
  expect(response.statusCode).toBe(413)
  expect(problem.type).toBe('/problems/body-too-large')
})

test('a missing body is refused at its root', async () => {
  const { app } = sampleApp()
  const response = await app.fastify.inject({ method: 'POST', url: '/thing' })
  expect(response.json()).toMatchObject({ type: '/problems/invalid-request', errors: [{ pointer: '' }] })
})

test('a body for a route that takes none is refused', async () => {
  const { app, served } = sampleApp()
  const response = await app.fastify.inject({ method: 'POST', url: '/wait', payload: { a: 1 } })
  expect(response.statusCode).toBe(400)
  expect(served).toEqual([])
})

test('an answer has only the fields of the contract, and all its headers and cookies', async () => {
  const { response } = await post('{"count":5}')
  expect(response.statusCode).toBe(201)
  expect(response.json()).toEqual({ id: '5' })
  expect(response.headers).toMatchObject({ location: '/thing/1', 'set-cookie': ['a=1', 'b=2'] })
})

describe('an upload', () => {
  const upload = (payload: Buffer, type = 'image/png') =>
    sampleApp().app.fastify.inject({ method: 'PUT', url: '/upload', headers: { 'content-type': type }, payload })

  test('is streamed to the handler', async () => {
    expect((await upload(Buffer.alloc(1000))).json()).toEqual({ bytes: 1000 })
  })
  test('beyond its limit is refused', async () => {
    expect((await upload(Buffer.alloc(1001))).statusCode).toBe(413)
  })
  test('of another media type is refused', async () => {
    expect((await upload(Buffer.alloc(10), 'text/html')).statusCode).toBe(415)
    expect((await upload(Buffer.from('{}'), 'application/json')).statusCode).toBe(415)
  })
})
