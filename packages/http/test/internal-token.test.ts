import * as fc from 'fast-check'
import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { signInternalToken, verifyInternalToken } from '../src/index.ts'
import { key, now, sampleApp, tokenFor, userId } from './sample.ts'

const otherKey = new Uint8Array(32).fill(8)
const later = (seconds: number) => new Date(now.getTime() + seconds * 1000)

/** A token with a right signature over whatever header and payload. */
function forge(header: object, payload: object, secret: Uint8Array = key): string {
  const signed = [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

/** With our header and a right signature, over whatever text. */
function forgeText(text: string): string {
  const signed = `${good.split('.')[0]}.${Buffer.from(text).toString('base64url')}`
  return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`
}

function parts(token: string): { header: Record<string, unknown>; payload: Record<string, unknown> } {
  const [header, payload] = token
    .split('.')
    .slice(0, 2)
    .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>)
  return { header: header ?? {}, payload: payload ?? {} }
}

const good = tokenFor('orders.read')
const { header, payload } = parts(good)

test('a token says who calls which route of which service, for at most 60 seconds', () => {
  expect(header).toEqual({ alg: 'HS256', typ: 'internal+jwt', kid: expect.stringMatching(/^[\w-]{11}$/) })
  expect(payload).toMatchObject({ iss: 'auth', aud: 'orders', sub: userId, sid: userId, rid: 'orders.read' })
  expect(Number(payload['exp']) - Number(payload['iat'])).toBe(60)
})

describe('a request with a token that is not for it is refused, and no handler runs', () => {
  test.each<[string, string]>([
    ['for another service', tokenFor('orders.read', { audience: 'products' })],
    ['for another route', tokenFor('orders.look')],
    ['expired beyond the clock error', tokenFor('orders.read', { at: later(-151) })],
    ['from the future beyond the clock error', tokenFor('orders.read', { at: later(91) })],
    ['signed with a key of another service', tokenFor('orders.read', { key: otherKey })],
    ['with this kid but another key', forge(header, payload, otherKey)],
    ['with alg none', `${Buffer.from('{"alg":"none"}').toString('base64url')}.${good.split('.')[1]}.`],
    ['with alg none and this kid', forge({ ...header, alg: 'none' }, payload)],
    ['with alg HS512', forge({ ...header, alg: 'HS512' }, payload)],
    ['of another type', forge({ ...header, typ: 'at+jwt' }, payload)],
    ['with a key of its own', forge({ ...header, jwk: { kty: 'oct', k: 'AA' } }, payload)],
    ['with a key to fetch', forge({ ...header, jku: 'https://evil.example' }, payload)],
    ['with crit', forge({ ...header, crit: ['b64'] }, payload)],
    ['from another issuer', forge(header, { ...payload, iss: 'orders' })],
    ['for two services', forge(header, { ...payload, aud: ['orders', 'products'] })],
    ['without an expiry', forge(header, { ...payload, exp: undefined })],
    ['that lives for a day', forge(header, { ...payload, exp: Number(payload['exp']) + 86_400 })],
    ['with a changed last character', `${good.slice(0, -1)}${good.endsWith('A') ? 'B' : 'A'}`],
    ...['none', 'None', 'NONE', '', 'HS384', 'EdDSA', 'hs256', null].map((alg): [string, string] => [
      `with alg ${String(alg)}, rightly signed`,
      forge({ ...header, alg }, payload),
    ]),
    ...['JWT', '', null, undefined, 'INTERNAL+JWT'].map((typ): [string, string] => [
      `with typ ${String(typ)}`,
      forge({ ...header, typ }, payload),
    ]),
    ...[undefined, '', 'another', 1, '__proto__'].map((kid): [string, string] => [
      `with kid ${String(kid)}`,
      forge({ ...header, kid }, payload),
    ]),
    ...['x5u', 'x5c', 'x5t', 'b64', 'zip', 'cty', 'enc'].map((name): [string, string] => [
      `with ${name}`,
      forge({ ...header, [name]: 'x' }, payload),
    ]),
    ...['iss', 'aud', 'sub', 'sid', 'rid', 'roles', 'iat', 'exp'].flatMap((name): [string, string][] => [
      [`without ${name}`, forge(header, { ...payload, [name]: undefined })],
      [`with ${name} of null`, forge(header, { ...payload, [name]: null })],
      [`with ${name} an object`, forge(header, { ...payload, [name]: {} })],
    ]),
    [
      'with its header in another order',
      forge({ typ: header['typ'], alg: header['alg'], kid: header['kid'] }, payload),
    ],
    ['with a time in words', forge(header, { ...payload, exp: String(payload['exp']) })],
    ['with a broken time', forge(header, { ...payload, exp: Number(payload['exp']) - 0.5 })],
    ['with an empty subject', forge(header, { ...payload, sub: '' })],
    ['with roles in words', forge(header, { ...payload, roles: 'admin' })],
    ['with a role that is no text', forge(header, { ...payload, roles: ['admin', 1] })],
    ['that names its route twice', forgeText(JSON.stringify(payload).replace('}', ',"rid":"orders.look"}'))],
    ['that is no object', forgeText('null')],
    ['that is a list', forgeText(JSON.stringify([payload]))],
    ['that is no JSON', forgeText('{')],
    ['signed with nothing', forge(header, payload, new Uint8Array())],
    ['signed with the text of the key', forge(header, payload, Buffer.from(Buffer.from(key).toString('base64url')))],
    ['without a signature', good.slice(0, good.lastIndexOf('.') + 1)],
    ['with a shorter signature', good.slice(0, -2)],
    ['with a longer signature', `${good}AA`],
    ['with padding', `${good}=`],
    ['with a fourth part', `${good}.AA`],
    ['in two parts', good.split('.').slice(0, 2).join('.')],
    ['that is too long', forge(header, { ...payload, sid: 'x'.repeat(2_048) })],
    ['twice in one header', `${good}, ${good}`],
    ['that is empty', ''],
  ])('a token %s', async (_what, token) => {
    const { app, served } = sampleApp()
    const response = await app.fastify.inject({ url: '/thing/1', headers: { 'x-internal-token': token } })
    expect(response.statusCode).toBe(403)
    expect(response.json()).toMatchObject({ type: '/problems/forbidden' })
    expect(response.body).not.toMatch(/signature|audience|expired/)
    expect(served).toEqual([])
  })
})

test('a token is good on every clock that is wrong by up to 90 seconds', () => {
  for (const seconds of [-90, 0, 60, 150]) {
    expect(verifyInternalToken(good, [key], 'orders', later(seconds))).toHaveProperty('claims')
  }
})

test('during rotation a token signed with either key is good', () => {
  for (const signer of [key, otherKey]) {
    expect(
      verifyInternalToken(tokenFor('orders.read', { key: signer }), [otherKey, key], 'orders', now),
    ).toHaveProperty('claims')
  }
})

test('what is signed is what is read, and no changed character is accepted', () => {
  const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
  fc.assert(
    fc.property(text, fc.array(text, { maxLength: 3 }), fc.nat(), text, (name, roles, at, character) => {
      const claims = { audience: 'orders', userId: name, roles, sessionId: name, routeId: name }
      const token = signInternalToken(claims, key, now)
      expect(verifyInternalToken(token, [key], 'orders', now)).toEqual({ claims })
      const place = at % token.length
      const changed = token.slice(0, place) + (token[place] === '~' ? '_' : '~') + character + token.slice(place + 1)
      expect(verifyInternalToken(changed, [key], 'orders', now)).toHaveProperty('refused')
    }),
  )
})
