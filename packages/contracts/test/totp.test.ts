import { expect, test } from 'vitest'
import { otpauthUri, totpCode, totpStepAt, writeBase32 } from '../src/auth/totp.ts'

// RFC 6238 appendix B with SHA-1; its codes have eight digits, of which the last six are ours.
const secret = writeBase32(new TextEncoder().encode('12345678901234567890'))

test.each([
  [59, '287082'],
  [1_111_111_109, '081804'],
  [1_111_111_111, '050471'],
  [1_234_567_890, '005924'],
  [2_000_000_000, '279037'],
  [20_000_000_000, '353130'],
])('the code at second %i is the one of RFC 6238', async (second, code) => {
  expect(await totpCode(secret, totpStepAt(new Date(second * 1_000)))).toBe(code)
})

test('secrets are written as RFC 4648 has them, without padding', () => {
  expect(['f', 'fo', 'foo', 'foob', 'fooba', 'foobar'].map((text) => writeBase32(Buffer.from(text)))).toEqual([
    'MY',
    'MZXQ',
    'MZXW6',
    'MZXW6YQ',
    'MZXW6YTB',
    'MZXW6YTBOI',
  ])
})

test('the URI names issuer and account whatever is in them', () => {
  const uri = new URL(otpauthUri(secret, 'Shop & Co', 'ada+x@example.com'))
  expect(uri.pathname).toBe('/Shop%20%26%20Co:ada%2Bx%40example.com')
  expect(Object.fromEntries(uri.searchParams)).toEqual({
    secret,
    issuer: 'Shop & Co',
    algorithm: 'SHA1',
    digits: '6',
    period: '30',
  })
})
