import { optionalMailKinds } from '@saas/contracts'
import * as fc from 'fast-check'
import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { signUnsubscribe, verifyUnsubscribe } from '../src/index.ts'

const key = new Uint8Array(32).fill(3)
const userId = '01977c1e-6a00-7000-8000-000000000001'
const token = signUnsubscribe({ userId, kind: 'announcement' }, key)

test('an unsubscribe token says who does not want which mails', () => {
  for (const kind of optionalMailKinds) {
    expect(verifyUnsubscribe(signUnsubscribe({ userId, kind }, key), key)).toEqual({ userId, kind })
  }
})

test('a token of another process with the same key is as good', () => {
  expect(verifyUnsubscribe(token, Uint8Array.from(key))).toEqual({ userId, kind: 'announcement' })
})

test('a token stands in a path and a fragment as it is', () => {
  expect(token).toMatch(/^[A-Za-z0-9._-]{1,115}$/)
  expect(encodeURIComponent(token)).toBe(token)
})

describe('what was not signed is refused', () => {
  const [id = '', kind = '', mac = ''] = token.split('.')
  test.each<[string, string]>([
    ['another user', `01977c1e-6a00-7000-8000-000000000002.${kind}.${mac}`],
    ['another kind', `${id}.digest.${mac}`],
    ['a mail that is not optional', signUnsubscribe({ userId, kind: 'password-reset' as 'digest' }, key)],
    [
      'a key that is not derived',
      `${id}.${kind}.${createHmac('sha256', key).update(`${id}.${kind}`).digest('base64url')}`,
    ],
    ['nothing', ''],
    ['a token within another', `x${token}`],
    ['a line more', `${token}\n`],
  ])('%s', (_, forged) => {
    expect(verifyUnsubscribe(forged, key)).toBeUndefined()
  })

  test('a token under another key', () => {
    expect(verifyUnsubscribe(token, new Uint8Array(32).fill(4))).toBeUndefined()
  })

  test('a token with any one character changed', () => {
    const others = ['A', 'Q', 'g', 'w', '0', '9', '_', '-', '.']
    fc.assert(
      fc.property(fc.nat(token.length - 1), fc.constantFrom(...others), (at, other) => {
        fc.pre(token[at] !== other)
        expect(verifyUnsubscribe(`${token.slice(0, at)}${other}${token.slice(at + 1)}`, key)).toBeUndefined()
      }),
    )
  })
})
