import { framings } from './framings.ts'
import { Random } from './random.ts'
import type { Credential } from './table.ts'
import { randomTarget } from './targets.ts'

/**
 * How a message is formed: one that every part must read alike; one that a careful proxy may refuse for its form; one that it must
 * refuse, because two parts could read it differently.
 */
export type Form = 'sound' | 'doubtful' | 'broken'

/** One request, byte by byte, and all that the table needs to judge it. */
export interface Variant {
  readonly number: number
  readonly what: string
  readonly method: string
  readonly target: string
  readonly credential: Credential
  readonly form: Form
  /** The lines after the first. */
  readonly headers: readonly string[]
  /** Latin-1: a character is a byte. */
  readonly text: string
}

/** A credential with the lines that present it. */
export interface Presented extends Credential {
  readonly lines: readonly string[]
  readonly form?: Form
}

const otherMethods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const
const oddMethods = [
  'OPTIONS',
  'TRACE',
  'CONNECT',
  'PROPFIND',
  'MKCOL',
  'LOCK',
  'PURGE',
  'GETX',
  'ORDER',
  'M-SEARCH',
  'FOO_BAR',
]
const brokenMethods = ['get', 'Post', 'pUT', 'G\0ET', 'GE\tT', 'GET:', '(GET)']

/** What a service somewhere believes when a proxy lets it pass. */
const spoofs = [
  'X-Internal-Token: a.b.c',
  'X_Internal_Token: a.b.c',
  'X-Internal_Token: a.b.c',
  'x-internal-token: d.e.f',
  'X-User-Id: 01977c1e-6a00-7000-8000-000000000001',
  'X_User_Id: 1',
  'X-Identity-User: 1',
  'X-Identity-Roles: admin',
  'X-Roles: admin',
  'X-Original-Method: GET',
  'X-Original-URI: /product',
  'X-Original-Url: /product',
  'X_Original_URI: /product',
  'X-Rewrite-Url: /product',
  'X-Forwarded-Uri: /product',
  'X-Forwarded-Method: GET',
  'X-Forwarded-Prefix: /admin',
  'X-Forwarded-Host: auth',
  'X-Forwarded-For: 127.0.0.1',
  'X-Real-IP: 127.0.0.1',
  'Forwarded: for=127.0.0.1;host=auth',
  'X-HTTP-Method-Override: GET',
  'X-HTTP-Method: DELETE',
  'X-Method-Override: POST',
  'X_HTTP_Method_Override: GET',
  'X-Accel-Redirect: /admin/orders/lag',
  'X-Accel-Internal: /_authz',
  'X-Request-Id: 01977c1e-6a00-7000-8000-000000000001',
  'X-Envoy-Original-Path: /product',
  'X-Auth-Request-Redirect: /product',
  'Connection: X-Internal-Token, Authorization',
  'Keep-Alive: X-Internal-Token',
  'TE: trailers',
  'Upgrade: h2c',
  'HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA',
  'Expect: 100-continue',
  'Max-Forwards: 0',
  'Range: bytes=0-1',
  'Cookie: access_token=admin; __Host-refresh=x',
  'Proxy-Authorization: Bearer x',
  'Idempotency-Key: k-1',
  'Accept: */*',
  'Accept: text/html,*/*;q=0.8',
  'Prefer: wait=0',
  'Origin: https://evil.example',
  'Via: 1.1 a',
  'Trailer: X-Internal-Token',
  'Surrogate-Capability: a',
] as const

const hosts: readonly (readonly [readonly string[], Form])[] = [
  [['Host: shop.example'], 'sound'],
  [['Host: 127.0.0.1:8080'], 'sound'],
  [['host: auth'], 'sound'],
  [['Host: localhost'], 'sound'],
  [[], 'broken'],
  [['Host: a', 'Host: b'], 'broken'],
  [['Host: a/b'], 'broken'],
  [['Host:'], 'doubtful'],
  [['Host: a@b'], 'doubtful'],
]

const versions: readonly (readonly [string, Form])[] = [
  ['HTTP/1.0', 'sound'],
  ['HTTP/1.2', 'doubtful'],
  ['HTTP/2.0', 'broken'],
  ['HTTP/0.8', 'broken'],
  ['http/1.1', 'broken'],
  ['HTTP/1.1 x', 'broken'],
]

/** Makes the same variants for the same seed. */
export function* variants(seed: number, count: number, credentials: readonly Presented[]): Generator<Variant> {
  const random = new Random(seed)
  for (let number = 0; number < count; number += 1) yield variant(number, random, credentials)
}

function variant(number: number, random: Random, credentials: readonly Presented[]): Variant {
  const target = randomTarget(number, random)
  const what = [...target.what]
  const forms: Form[] = []
  const vary = <T>(probability: number, usual: T, items: readonly (readonly [T, Form])[], name: string): T => {
    if (!random.chance(probability)) return usual
    const [item, form] = random.one(items)
    what.push(`${name} ${String(item)}`)
    forms.push(form)
    return item
  }
  const method = randomMethod(target.method, random, forms)
  const version = vary(0.05, 'HTTP/1.1', versions, 'version')
  const host = vary(0.06, ['Host: shop.example'], hosts, 'host')
  const credential = random.chance(0.5) ? random.one(credentials.slice(0, 5)) : random.one(credentials)
  if (credential.form !== undefined) forms.push(credential.form)
  const spoofed = Array.from({ length: random.chance(0.4) ? 0 : 1 + random.below(4) }, () => random.one(spoofs))
  const framing = random.chance(0.8) ? undefined : random.one(framings)
  if (framing !== undefined) {
    what.push(framing.name)
    forms.push(version === 'HTTP/1.0' && framing.needs11 === true ? 'broken' : framing.form)
  }
  // Twice is as good as once to a service that believes it, but Expect twice is no request.
  const said = spoofed.filter((line, index) => !line.startsWith('Expect') || spoofed.indexOf(line) === index)
  const lines = shuffled([...credential.lines, ...said, ...(framing?.lines ?? [])], random)
  const end = `GET /nothing?end=${number} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n`
  const head = [`${method} ${target.text} ${version}`, ...host, `User-Agent: v-${number}`, ...lines]
  const text = `${head.join('\r\n')}\r\n\r\n${framing?.body.replaceAll('{n}', String(number)) ?? ''}${end}`
  return {
    number,
    what: `${method} ${JSON.stringify(target.text)} as ${credential.name}: ${what.join(', ')}${spoofed.length === 0 ? '' : `; ${spoofed.join('; ')}`}`,
    method,
    target: target.text,
    credential,
    headers: head.slice(1),
    form: forms.includes('broken') ? 'broken' : forms.includes('doubtful') ? 'doubtful' : 'sound',
    text,
  }
}

function randomMethod(usual: string, random: Random, forms: Form[]): string {
  const draw = random.next()
  if (draw < 0.8) return usual
  if (draw < 0.92) return random.one(otherMethods)
  if (draw < 0.97) {
    forms.push('doubtful')
    return random.one(oddMethods)
  }
  forms.push('broken')
  return random.one(brokenMethods)
}

function shuffled<T>(items: readonly T[], random: Random): readonly T[] {
  return items
    .map((item) => [random.next(), item] as const)
    .toSorted(([a], [b]) => a - b)
    .map(([, item]) => item)
}
