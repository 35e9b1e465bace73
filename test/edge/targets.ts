import { allRoutes, type Method, type Route } from '@saas/contracts'
import type { Random } from './random.ts'

const id = '01977c1e-6a00-7000-8000-000000000001'

/** Paths beyond the contract, and of what must not be seen from outside. */
const elsewhere = [
  '/_authz',
  '/_problem/x',
  '/authz',
  '/authz/order',
  '/authn',
  '/metrics',
  '/healthz',
  '/readyz',
  '/@vite/client',
  '/order/',
  '/orders',
  '/cart/merge/x',
  '/product/export/x',
  '/nothing',
  '/.well-known/',
  '/assets/',
  '/admin',
  '/admin/orders',
]

const paramValues = [
  id,
  id,
  id,
  'a',
  'import',
  'export',
  'facets',
  'merge',
  'events',
  'cancel',
  '~',
  '@x',
  'a,b=c',
  '-',
]

/** Each makes another path of one, by a trick that made some proxy and some service disagree. */
const tricks: Readonly<Record<string, (path: string, random: Random) => string>> = {
  'dot segment': (path, random) => insertSegment(path, '.', random),
  'dot-dot segment': (path, random) => insertSegment(path, '..', random),
  'up and down': (path, random) => insertSegment(path, 'x/..', random),
  'from a public route': (path) => `/product/..${path}`,
  'three dots': (path, random) => insertSegment(path, '...', random),
  'encoded dot': (path, random) => insertSegment(path, '%2e', random),
  'encoded dot-dot': (path, random) => insertSegment(path, random.one(['%2e%2e', '.%2E', '%2e.']), random),
  'encoded up and down': (path, random) => insertSegment(path, 'x/%2e%2e', random),
  'twice encoded dot-dot': (path, random) => insertSegment(path, '%252e%252e', random),
  'overlong dot': (path, random) => insertSegment(path, random.one(['%c0%ae%c0%ae', '%e0%80%ae', '%c0%2e']), random),
  'wide dot': (path, random) => insertSegment(path, random.one(['%u002e%u002e', '%ef%bc%8e%ef%bc%8e']), random),
  'double slash': (path, random) => replaceSlash(path, '//', random),
  'triple slash': (path, random) => replaceSlash(path, '///', random),
  'encoded slash': (path, random) => replaceSlash(path, random.one(['%2f', '%2F', '/%2f', '%252f', '%c0%af']), random),
  'encoded backslash': (path, random) => replaceSlash(path, random.one(['%5c', '%5C', '/%5c..%5c']), random),
  backslash: (path, random) => replaceSlash(path, random.one(['\\', '/\\', '\\/']), random),
  'trailing slash': (path) => `${path}/`,
  'trailing slashes': (path) => `${path}//`,
  'trailing dot': (path) => `${path}/.`,
  'trailing dots': (path) => `${path}/..`,
  'path parameter': (path, random) => insertText(path, random.one([';', ';x=1', '..;/', ';/..']), random),
  'encoded semicolon': (path, random) => insertText(path, '%3b', random),
  'encoded NUL': (path, random) => insertText(path, random.one(['%00', '%00.css']), random),
  NUL: (path, random) => insertText(path, '\0', random),
  'control character': (path, random) => insertText(path, random.one(['\x01', '\x7f', '\x0b', '\x1f']), random),
  'encoded control character': (path, random) =>
    insertText(path, random.one(['%0a', '%0d%0a', '%09', '%20', '%7f']), random),
  'high byte': (path, random) => insertText(path, random.one(['\xe9', '\xff', '\xc3\xa9', '\xc0\xae']), random),
  space: (path, random) => insertText(path, ' ', random),
  tab: (path, random) => insertText(path, '\t', random),
  'bare CR': (path, random) => insertText(path, '\r', random),
  fragment: (path, random) => insertText(path, random.one(['#', '#/..']), random),
  'question mark': (path, random) => insertText(path, random.one(['%3f', '%23']), random),
  'broken encoding': (path, random) => insertText(path, random.one(['%', '%z', '%2', '%%']), random),
  'other case': (path, random) => replaceLetter(path, (letter) => letter.toUpperCase(), random),
  'upper case': (path) => path.toUpperCase(),
  'encoded letter': (path, random) => replaceLetter(path, (letter) => `%${letter.charCodeAt(0).toString(16)}`, random),
  'long s for an s': (path) => path.replace('s', '%c5%bf'),
  'odd character': (path, random) =>
    insertText(path, random.one(['|', '^', '"', '<', '>', '{', '}', '`', "'", '!', '$', '&', '(', ')', '*']), random),
  'harmless character': (path, random) =>
    insertText(path, random.one(['~', '@', ':', '=', '+', ',', '-', '_']), random),
  suffix: (path, random) => path + random.one(['.json', '.css', 's', '/x', '/events', '/replay', '.']),
  prefix: (path, random) => random.one(['/api', '/x', '/v1', '/_authz', '/authz', '/product']) + path,
  'without the slash': (path) => path.slice(1),
  long: (path) => `${path}/${'a'.repeat(600)}`,
}

/** Each makes another form of the whole target. */
const forms: Readonly<Record<string, (target: string) => string>> = {
  'absolute http': (target) => `http://shop.example${target}`,
  'absolute https': (target) => `https://shop.example:8443${target}`,
  'absolute, upper case': (target) => `HTTP://SHOP.EXAMPLE${target}`,
  'absolute, another scheme': (target) => `ftp://shop.example${target}`,
  'absolute, with a user': (target) => `http://user@shop.example${target}`,
  'absolute, without a host': (target) => `http://${target}`,
  'scheme-relative': (target) => `//shop.example${target}`,
  authority: () => 'shop.example:80',
  asterisk: () => '*',
  'query with a path': (target) => `${target}&x=/../../admin/orders/lag`,
  'query with a fragment': (target) => `${target}#/order`,
  'query with encodings': (target) => `${target}&x=%2e%2e%2f%00%5c`,
  'second question mark': (target) => `${target}?x=1`,
  'method in the query': (target) => `${target}&_method=DELETE&method=POST`,
}

/** A target with its method, and what was done to it. */
export interface Target {
  readonly method: Method
  readonly text: string
  readonly what: readonly string[]
}

/** The target of variant `number`; the query names it, so that an answer is never another one's from the cache. */
export function randomTarget(number: number, random: Random): Target {
  const route: Route | undefined = random.chance(0.92) ? random.one(allRoutes) : undefined
  const what: string[] = [route?.id ?? 'elsewhere']
  let path = route === undefined ? random.one(elsewhere) : filled(route.path, random)
  const draw = random.next()
  for (let count = 0; count < (draw < 0.35 ? 0 : draw < 0.9 ? 1 : 2); count += 1) {
    const name = random.one(Object.keys(tricks))
    path = tricks[name]?.(path, random) ?? path
    what.push(name)
  }
  let text = `${path}?n=${number}`
  if (random.chance(0.12)) {
    const name = random.one(Object.keys(forms))
    text = forms[name]?.(text) ?? text
    what.push(name)
  }
  return { method: route?.method ?? random.one(['GET', 'POST']), text, what }
}

function filled(path: string, random: Random): string {
  return path.replaceAll(/\{\w+\}/g, () => random.one(paramValues))
}

function slashes(path: string): readonly number[] {
  return Array.from(path.matchAll(/\//g), ({ index }) => index)
}

function insertSegment(path: string, segment: string, random: Random): string {
  const at = random.one([0, ...slashes(path)])
  return `${path.slice(0, at)}/${segment}${path.slice(at)}`
}

function replaceSlash(path: string, text: string, random: Random): string {
  const at = random.one([0, ...slashes(path)])
  return path.slice(0, at) + text + path.slice(at + 1)
}

function insertText(path: string, text: string, random: Random): string {
  const at = 1 + random.below(path.length)
  return path.slice(0, at) + text + path.slice(at)
}

function replaceLetter(path: string, replace: (letter: string) => string, random: Random): string {
  const letters = Array.from(path.matchAll(/[a-z]/g), ({ index }) => index)
  if (letters.length === 0) return path
  const at = random.one(letters)
  return path.slice(0, at) + replace(path.charAt(at)) + path.slice(at + 1)
}
