import type { Language } from '@saas/contracts'
import { isIP } from 'node:net'
import type { Request } from './request.ts'
import { wantedLanguage } from './wanted-language.ts'

const DEVICE_CHARACTERS_MAX = 100

/** Where a request comes from, as far as it can be known. */
export interface Client {
  /** For people to read. */
  readonly address: string
  /** What is counted: an IPv6 subscriber has a whole /64. */
  readonly network: string
  readonly device: string
  /** Of ours, the one that an account made by this request gets when nothing else says which. */
  readonly language: Language
}

/**
 * The client behind the edge and `trustedHops` proxies in front of it. Each proxy appends the peer it saw to X-Forwarded-For, so
 * the client is that many places before the end; what stands further left was written by the client itself.
 */
export function clientOf(request: Request, trustedHops: number): Client {
  const address = addressOf(request, trustedHops)
  return {
    address,
    network: networkOf(address),
    device: deviceOf(request.headers['user-agent']),
    language: wantedLanguage(request.headers['accept-language']),
  }
}

function addressOf(request: Request, trustedHops: number): string {
  const forwarded = [request.headers['x-forwarded-for'] ?? []]
    .flat()
    .join(',')
    .split(',')
    .map((item) => item.trim())
  const candidate = withoutPort(forwarded[Math.max(0, forwarded.length - 1 - trustedHops)] ?? '')
  return plainAddress(isIP(candidate) === 0 ? (request.socket.remoteAddress ?? 'unknown') : candidate)
}

/** Some gateways write the port of the peer as well. Left there, it would be no address, and all their clients would be one. */
function withoutPort(peer: string): string {
  return /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(peer)?.[1] ?? /^\[([^\]]+)\](?::\d+)?$/.exec(peer)?.[1] ?? peer
}

/** An IPv4 address that reached an IPv6 socket is still one, in either way in which it is written. */
function plainAddress(address: string): string {
  const [, high, low] = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/i.exec(address) ?? []
  if (high === undefined || low === undefined) return address.replace(/^::ffff:(?=\d+\.)/i, '')
  return Buffer.from(high.padStart(4, '0') + low.padStart(4, '0'), 'hex').join('.')
}

function networkOf(address: string): string {
  if (isIP(address) !== 6) return address
  const [head = '', tail] = address.split('%', 1)[0]?.split('::') ?? []
  const left = head.split(':').filter(Boolean)
  const right = tail?.split(':').filter(Boolean) ?? []
  const zeros = tail === undefined ? [] : Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0')
  const groups = [...left, ...zeros, ...right].slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16))
  return `${groups.join(':')}::/64`
}

const browsers: readonly (readonly [RegExp, string])[] = [
  [/Edg(?:e|A|iOS)?\//, 'Edge'],
  [/OPR\/|Opera/, 'Opera'],
  [/SamsungBrowser\//, 'Samsung Internet'],
  [/Firefox\/|FxiOS\//, 'Firefox'],
  [/Chrome\/|CriOS\/|Chromium\//, 'Chrome'],
  [/Safari\//, 'Safari'],
]
const systems: readonly (readonly [RegExp, string])[] = [
  [/iPhone|iPod/, 'iPhone'],
  [/iPad/, 'iPad'],
  [/Android/, 'Android'],
  [/Windows/, 'Windows'],
  [/Mac OS X|Macintosh/, 'macOS'],
  [/CrOS/, 'ChromeOS'],
  [/Linux|X11/, 'Linux'],
]

/** A few words by which people recognise a device: `Firefox on Linux`, or what a program calls itself. */
function deviceOf(userAgent: string | undefined): string {
  const given = userAgent?.slice(0, 512) ?? ''
  const browser = browsers.find(([pattern]) => pattern.test(given))?.[1]
  const system = systems.find(([pattern]) => pattern.test(given))?.[1]
  if (browser !== undefined) return system === undefined ? browser : `${browser} on ${system}`
  const program = /^[A-Za-z0-9 ._-]+/.exec(given)?.[0].trim().slice(0, DEVICE_CHARACTERS_MAX) ?? ''
  return program === '' ? 'Unknown device' : program
}
