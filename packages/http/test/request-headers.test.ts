import { describe, expect, test } from 'vitest'
import { etag, isNotModified, parseIdempotencyKey, parseIfMatch, parsePrefer, requireIfMatch } from '../src/index.ts'
import { traceParentOf } from '../src/request-headers.ts'

describe('If-Match', () => {
  test('names versions', () => {
    expect(parseIfMatch(etag('3.7'))).toEqual(['3.7'])
    expect(parseIfMatch('"1", W/"2"')).toEqual(['1', '2'])
    expect(parseIfMatch('*')).toBe('*')
    expect(parseIfMatch(undefined)).toBeUndefined()
  })
  test('is demanded with 428 where it is missing', () => {
    expect(() => requireIfMatch(undefined)).toThrow(
      expect.objectContaining({ problem: expect.objectContaining({ status: 428 }) }),
    )
  })
  test.each(['3', '"3', '"a" "b"', '', '"1",', Array(60).fill('"1"').join(',')])(
    'is refused when malformed: %s',
    (header) => {
      expect(() => parseIfMatch(header)).toThrow(
        expect.objectContaining({ errors: [expect.objectContaining({ pointer: '/headers/if-match' })] }),
      )
    },
  )
})

test('If-None-Match compares weakly', () => {
  expect(isNotModified('W/"1.2", "3"', etag('1.2'))).toBe(true)
  expect(isNotModified('*', etag('1.2'))).toBe(true)
  expect(isNotModified('"1"', etag('1.2'))).toBe(false)
  expect(isNotModified(undefined, etag('1.2'))).toBe(false)
})

test('an idempotency key is 1 to 255 visible ASCII characters', () => {
  expect(parseIdempotencyKey(undefined)).toBeUndefined()
  expect(parseIdempotencyKey('k-1')).toBe('k-1')
  for (const key of ['', 'a b', 'ä', 'x'.repeat(256)]) expect(() => parseIdempotencyKey(key)).toThrow('not valid')
})

test.each([
  ['wait=5', { wait: 5 }],
  ['respond-async, WAIT = 10; x=1', { wait: 10 }],
  ['wait=0', { wait: 0 }],
  ['wait=1, wait=9', { wait: 1 }],
  ['wait=soon', {}],
  ['wait=-1', {}],
  ['return=minimal', {}],
  [undefined, {}],
])('Prefer: %s', (header, expected) => {
  expect(parsePrefer(header)).toEqual(expected)
})

test('a trace goes on when it is well-formed, else a new one begins', () => {
  const given = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  const requestId = '01977c1e-6a00-7000-8000-00000000abcd'
  expect(traceParentOf(given, requestId)).toBe(given)
  for (const malformed of [undefined, 'x', given.replace('4bf92f3577b34da6a3ce929d0e0e4736', '0'.repeat(32))]) {
    expect(traceParentOf(malformed, requestId)).toBe('00-01977c1e6a007000800000000000abcd-800000000000abcd-00')
  }
})
