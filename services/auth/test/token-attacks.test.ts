import { createHmac, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import {
  accessToken,
  accessTokenTexts,
  base64url,
  currentSigningKey,
  eventually,
  internalTokenKey,
  signedBy,
  strangersKey,
  type SigningKey,
  type TestService,
  type Written,
} from '@saas/testing'
import { signInternalToken } from '@saas/http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decision, keyEncryptionKey, newUser, startedAuth } from './fixtures.ts'

const ISSUER = 'http://localhost:8080'
const FLOOD = 400

let auth: TestService
let key: SigningKey
beforeAll(async () => {
  auth = await startedAuth()
  key = await currentSigningKey(auth.database, keyEncryptionKey, auth.clock.now())
})
afterAll(async () => {
  await auth[Symbol.asyncDispose]()
})

const statusOf = async (token: string): Promise<number> => (await decision(auth, 'GET', '/profile', token)).status
/** Wrong in nothing but what is changed: our own key signs it. */
const ours = (changed: { readonly header?: object; readonly claims?: object } = {}): string =>
  accessToken(key, ISSUER, { now: auth.clock.now(), ...changed })
const texts = (header: object = {}): Written => accessTokenTexts(key.id, ISSUER, { header, now: auth.clock.now() })
const seconds = (): number => Math.floor(auth.clock.now().getTime() / 1_000)

test('what the attacks below are made of is a good token, as long as nothing is changed', async () => {
  expect(await statusOf(ours())).toBe(200)
  expect(await statusOf(signedBy(key.privateKey, texts()))).toBe(200)
})

test('an access token with the signature of one that is known, and with other claims, is refused', async () => {
  const known = ours()
  expect(await statusOf(known)).toBe(200)
  const [header, , signature] = known.split('.')
  const [, payload] = ours({ claims: { roles: ['admin'] } }).split('.')
  expect(await statusOf(`${header}.${payload}.${signature}`)).toBe(401)
  expect(await statusOf(known)).toBe(200)
})

/** By name, made when the keys are there. */
type Attacks = Readonly<Record<string, () => string>>

function refusesEach(attacks: Attacks): void {
  test.each(Object.entries(attacks))('%s', async (_name, attack) => {
    expect(await statusOf(attack())).toBe(401)
  })
}

function unsigned({ header, payload }: Written): string {
  return `${base64url(header)}.${base64url(payload)}`
}

function hmacSigned(algorithm: 'sha256' | 'sha384' | 'sha512', secret: Buffer | string, written: Written): string {
  return `${unsigned(written)}.${createHmac(algorithm, secret).update(unsigned(written)).digest('base64url')}`
}

describe('an access token by another algorithm is refused', () => {
  const jwk = (): Record<string, unknown> => ({ ...key.publicKey.export({ format: 'jwk' }) })
  const secrets: Record<string, () => Buffer | string> = {
    'the public key’s bytes': () => Buffer.from(String(jwk()['x']), 'base64url'),
    'the public key’s text': () => String(jwk()['x']),
    'the public key in DER': () => key.publicKey.export({ format: 'der', type: 'spki' }),
    'the public key in PEM': () => key.publicKey.export({ format: 'pem', type: 'spki' }),
    'the public JWK': () => JSON.stringify(jwk()),
    nothing: () => '',
  }
  refusesEach({
    ...Object.fromEntries(
      ['none', 'None', 'NONE', 'nOnE', '', 'null'].flatMap((alg) => [
        [`alg ${alg} without a signature`, () => `${unsigned(texts({ alg }))}.`],
        [`alg ${alg} with a right signature`, () => signedBy(key.privateKey, texts({ alg }))],
        [`alg ${alg} in two parts`, () => unsigned(texts({ alg }))],
      ]),
    ),
    ...Object.fromEntries(
      Object.entries(secrets).flatMap(([name, secret]) =>
        (['sha256', 'sha384', 'sha512'] as const).map((hash) => [
          `${hash} HMAC keyed with ${name}`,
          () => hmacSigned(hash, secret(), texts({ alg: hash.replace('sha', 'HS') })),
        ]),
      ),
    ),
    'HMAC that says EdDSA': () => hmacSigned('sha256', secrets['the public key’s bytes']?.() ?? '', texts()),
    ...Object.fromEntries(
      ['ES256', 'RS256', 'PS256', 'Ed448', 'eddsa', 'EdDSA ', 'HS256,EdDSA'].map((alg) => [
        `alg ${alg} with a right signature`,
        () => signedBy(key.privateKey, texts({ alg })),
      ]),
    ),
    'alg as a list': () => signedBy(key.privateKey, texts({ alg: ['EdDSA'] })),
    'no alg': () => signedBy(key.privateKey, texts({ alg: undefined })),
    'RSA by a stranger': () => {
      const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
      const written = texts({ alg: 'RS256' })
      return `${unsigned(written)}.${sign('sha256', Buffer.from(unsigned(written)), privateKey).toString('base64url')}`
    },
  })
})

describe('an access token that brings or names a key of its own is refused', () => {
  const stranger: KeyObject = strangersKey()
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' }
  const members: Record<string, unknown> = {
    jku: 'http://127.0.0.1:9/jwks.json',
    jwk,
    x5u: 'http://127.0.0.1:9/x5u.pem',
    x5c: ['AA=='],
    x5t: 'AA',
    'x5t#S256': 'AA',
  }
  refusesEach({
    'the right kid, signed by a stranger': () => signedBy(stranger, texts()),
    ...Object.fromEntries(
      Object.entries(members).flatMap(([name, value]) => [
        [`${name}, signed by a stranger`, () => signedBy(stranger, texts({ [name]: value }))],
        [`${name}, signed by us`, () => signedBy(key.privateKey, texts({ [name]: value }))],
        [`${name} instead of kid`, () => signedBy(stranger, texts({ [name]: value, kid: undefined }))],
      ]),
    ),
    'a stranger’s own jwk': () => signedBy(stranger, texts({ jwk: stranger.export({ format: 'jwk' }) })),
    ...Object.fromEntries(
      [
        undefined,
        '',
        'another',
        '../../../dev/null',
        "' or 1=1 --",
        '__proto__',
        'constructor',
        'x'.repeat(2_000),
        7,
        null,
        ['a'],
        {},
      ].map((kid) => [`kid ${JSON.stringify(kid)?.slice(0, 30)}`, () => signedBy(key.privateKey, texts({ kid }))]),
    ),
    'the kid in other case': () => signedBy(key.privateKey, texts({ kid: key.id.toUpperCase() })),
    'the kid in a list': () => signedBy(key.privateKey, texts({ kid: [key.id] })),
  })
})

describe('an access token with a header of another form is refused', () => {
  const header = (): string => texts().header
  const signedWith = (text: string): string => signedBy(key.privateKey, { ...texts(), header: text })
  refusesEach({
    ...Object.fromEntries(
      ['JWT', 'jwt', 'internal+jwt', 'at-jwt', 'mfa+jwt', '', null, 1, undefined].map((typ) => [
        `typ ${String(typ)}`,
        () => signedWith(texts({ typ }).header),
      ]),
    ),
    'crit of what it has': () => signedWith(texts({ crit: ['typ'] }).header),
    'crit of nothing': () => signedWith(texts({ crit: [] }).header),
    'crit of something unknown': () => signedWith(texts({ crit: ['x'], x: 1 }).header),
    'b64 false with crit': () => signedWith(texts({ crit: ['b64'], b64: false }).header),
    'b64 false, its payload not encoded': () => {
      const written = texts({ b64: false, crit: ['b64'] })
      const signed = `${base64url(written.header)}.${written.payload}`
      return `${signed}.${sign(null, Buffer.from(signed), key.privateKey).toString('base64url')}`
    },
    'b64 true': () => signedWith(texts({ b64: true }).header),
    zip: () => signedWith(texts({ zip: 'DEF' }).header),
    cty: () => signedWith(texts({ cty: 'JWT' }).header),
    enc: () => signedWith(texts({ enc: 'A256GCM' }).header),
    'alg twice, the bad one first': () => signedWith(header().replace('{', '{"alg":"none",')),
    'alg twice, the bad one last': () => signedWith(header().replace('}', ',"alg":"none"}')),
    'alg twice, alike': () => signedWith(header().replace('{', '{"alg":"EdDSA",')),
    'kid twice': () => signedWith(header().replace('}', ',"kid":"another"}')),
    'typ twice': () => signedWith(header().replace('{', '{"typ":"JWT",')),
    'an escaped name': () => signedWith(header().replace('"alg"', String.raw`"\u0061lg"`)),
    'white space': () => signedWith(header().replace(',', ', ')),
    'another order': () => signedWith(JSON.stringify({ typ: 'at+jwt', alg: 'EdDSA', kid: key.id })),
    'a byte order mark': () => signedWith(`\uFEFF${header()}`),
    'no object': () => signedWith('"EdDSA"'),
    'no JSON': () => signedWith('{'),
    'a prototype': () => signedWith(header().replace('{', '{"__proto__":{"a":1},')),
  })
})

describe('an access token whose claims are not ours is refused, though we signed them', () => {
  const claiming = (claims: object) => (): string => ours({ claims })
  const written = (change: (payload: string) => string) => (): string =>
    signedBy(key.privateKey, { header: texts().header, payload: change(texts().payload) })
  refusesEach({
    'no issuer': claiming({ iss: undefined }),
    'another issuer': claiming({ iss: 'https://shop.example' }),
    'an issuer that begins like ours': claiming({ iss: `${ISSUER}/` }),
    'a list of issuers': claiming({ iss: [ISSUER] }),
    'no audience': claiming({ aud: undefined }),
    'another audience': claiming({ aud: 'https://shop.example' }),
    'a service as audience': claiming({ aud: 'orders' }),
    'no audiences': claiming({ aud: [] }),
    'several audiences, ours among them': claiming({ aud: [ISSUER, 'https://shop.example'] }),
    'no expiry': claiming({ exp: undefined }),
    'an expiry in words': () => ours({ claims: { exp: String(seconds() + 100) } }),
    'an expiry of null': claiming({ exp: null }),
    'an expiry that is negative': claiming({ exp: -1 }),
    'an expiry a second ago': () => ours({ claims: { iat: seconds() - 200, exp: seconds() - 1 } }),
    'an expiry now': () => ours({ claims: { iat: seconds() - 200, exp: seconds() } }),
    'a life of a second too long': () => ours({ claims: { exp: seconds() + 301 } }),
    'a life without end': written((payload) => payload.replace(/"exp":\d+/, '"exp":1e400')),
    'an expiry of milliseconds': () => ours({ claims: { exp: seconds() * 1_000 } }),
    'no time of issue': claiming({ iat: undefined }),
    'a time of issue in words': () => ours({ claims: { iat: String(seconds()) } }),
    'a time of issue to come': () => ours({ claims: { iat: seconds() + 61, exp: seconds() + 300 } }),
    'not valid yet': () => ours({ claims: { nbf: seconds() + 1 } }),
    'not valid before a word': claiming({ nbf: 'now' }),
    'no subject': claiming({ sub: undefined }),
    'an empty subject': claiming({ sub: '' }),
    'a number as subject': claiming({ sub: 1 }),
    'an object as subject': claiming({ sub: {} }),
    'no session': claiming({ sid: undefined }),
    'an empty session': claiming({ sid: '' }),
    'a list of sessions': claiming({ sid: ['a'] }),
    'no version': claiming({ sv: undefined }),
    'a version in words': claiming({ sv: '1' }),
    'a broken version': claiming({ sv: 1.5 }),
    'no roles': claiming({ roles: undefined }),
    'roles in words': claiming({ roles: 'admin' }),
    'roles that are lists': claiming({ roles: [['admin']] }),
    'roles by index': claiming({ roles: { 0: 'admin', length: 1 } }),
    'a role that is no text': claiming({ roles: ['customer', 1] }),
    'the subject twice': written((payload) => payload.replace('{', '{"sub":"somebody",')),
    'the roles twice, more last': written((payload) => payload.replace('}', ',"roles":["admin"]}')),
    'the expiry twice': written((payload) => payload.replace('{', '{"exp":1,')),
    'white space': written((payload) => payload.replace(',', ', ')),
    'no object': written(() => 'null'),
    'a list': written((payload) => `[${payload}]`),
    'no JSON': written((payload) => payload.slice(1)),
    'a token of a token': () => signedBy(key.privateKey, { header: texts().header, payload: ours() }),
  })
})

describe('an access token that is written in another way is refused', () => {
  const changed = (change: (token: string) => string) => (): string => change(ours())
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  /** The same bytes: the last character of 64 bytes has four bits that mean nothing. */
  const spareBit = (token: string): string =>
    token.slice(0, -1) + alphabet.charAt(alphabet.indexOf(token.slice(-1)) ^ 1)
  const parts = (token: string): string[] => token.split('.')
  refusesEach({
    'another last bit of the signature': changed(spareBit),
    'a shorter signature': changed((token) => token.slice(0, -4)),
    'a longer signature': changed((token) => `${token}AAAA`),
    'no signature': changed((token) => `${parts(token).slice(0, 2).join('.')}.`),
    'a signature of zeros': changed((token) => [...parts(token).slice(0, 2), 'A'.repeat(86)].join('.')),
    'the signature of another token': changed((token) =>
      parts(token)
        .with(2, parts(ours())[2] ?? '')
        .join('.'),
    ),
    padding: changed((token) => `${token}==`),
    'the alphabet of plain base64': () => {
      for (;;) {
        const token = ours()
        const plain = token.replaceAll('-', '+').replaceAll('_', '/')
        if (plain !== token) return plain
      }
    },
    'a line feed inside': changed((token) => `${token.slice(0, 40)}\n${token.slice(40)}`),
    'a dot more': changed((token) => `${token}.`),
    'a dot before': changed((token) => `.${token}`),
    'four parts': changed((token) => `${token}.AA`),
    'five parts, as if encrypted': changed((token) => `${token}.AA.AA`),
    'two dots': () => '..',
    JSON: changed((token) => {
      const [header, payload, signature] = parts(token)
      return JSON.stringify({ protected: header, payload, signature })
    }),
    'more than 4,096 characters': () => ours({ claims: { client_id: 'x'.repeat(3_100) } }),
    'very many characters': changed((token) => token + 'A'.repeat(12_000)),
    'an internal token': () =>
      signInternalToken(
        { audience: 'auth', userId: 'u', sessionId: 's', roles: ['admin'], routeId: 'auth.getProfile' },
        internalTokenKey('auth'),
        auth.clock.now(),
      ),
  })
})

test('a flood of unknown key ids lets nobody in, keeps nobody out and reads the keys once a second at most', async () => {
  const user = await newUser(auth)
  const commits = async (): Promise<number> => {
    const [row] = await auth.database.query<{ count: string }>(
      'select xact_commit as count from pg_stat_database where datname = current_database()',
    )
    return Number(row?.count)
  }
  const before = await commits()
  const statuses = await Promise.all(
    Array.from({ length: FLOOD }, async (_, count) => {
      const forged = await statusOf(signedBy(key.privateKey, texts({ kid: `unknown-${count}` })))
      // A machine that is too full to know who is revoked says so, and is asked again.
      const good = await eventually(async () => {
        const status = await statusOf(user.accessToken)
        return status === 503 ? false : status
      })
      return `${forged},${good}`
    }),
  )
  expect(new Set(statuses)).toEqual(new Set(['401,200']))
  expect((await commits()) - before).toBeLessThan(FLOOD / 4)
})
