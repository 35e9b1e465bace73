import { join } from 'node:path'
import type { ServiceName } from '@saas/contracts'
import { caddyBinary, Child, cloneDirectory, freePort } from '@saas/devstack'
import { verifyInternalToken } from '@saas/http'
import { internalTokenKey, newDirectory } from '@saas/testing'
import { describe, expect, test } from 'vitest'
import { startAuthService } from './auth-service.ts'
import { credentialsOf } from './credentials.ts'
import { compare } from './differential.ts'
import { Echo } from './echo.ts'
import { sendRaw } from './raw-request.ts'
import { verdictOn } from './table.ts'
import { variants, type Variant } from './variants.ts'

const SEED = 20_261_123
const ASKED = 1_500
const SENT_TO_CADDY = 1_500
const AT_ONCE = 8
const PATIENCE_MS = 3_000

/** How a proxy asks about a request, as the worked example of it in charts/edge/examples has it asked. */
type Asking = (variant: Variant) => string

const asEnvoy: Asking = ({ method, target, headers }) =>
  [`${method} /authz${target} HTTP/1.1`, 'Host: shop.example', ...authorizationOf(headers), 'Content-Length: 0'].join(
    '\r\n',
  )

const asTraefik: Asking = ({ method, target, headers }) =>
  [
    'GET /authz HTTP/1.1',
    'Host: auth:3000',
    `X-Forwarded-Method: ${method}`,
    'X-Forwarded-Proto: http',
    'X-Forwarded-Host: shop.example',
    `X-Forwarded-Uri: ${target}`,
    'X-Forwarded-For: 203.0.113.7',
    ...authorizationOf(headers),
  ].join('\r\n')

/** What the other proxies would send, and what a client may have sent to look like them. */
const misleading = [
  'X-Original-Method: GET',
  'X-Original-URI: /product',
  'X-Forwarded-Method: GET',
  'X-Forwarded-Uri: /product',
  'X-HTTP-Method-Override: GET',
  'X-Envoy-Original-Path: /product',
]

describe.each([
  ['Envoy', 'envoy', asEnvoy, misleading],
  ['Traefik', 'traefik', asTraefik, misleading.filter((line) => !line.startsWith('X-Forwarded'))],
] as const)('asked as %s asks', (_name, edge, asking, misled) => {
  test('auth decides what the contract says, and believes no header but those of this proxy', async () => {
    await using auth = await startAuthService('http://localhost:8080', edge)
    const wrong: string[] = []
    let allowed = 0
    const askable = Array.from(variants(SEED, ASKED, await credentialsOf(auth))).filter(isAskable)
    const waiting = askable.values()
    const client = async (): Promise<void> => {
      for (const variant of waiting) {
        const text = `${asking(variant)}\r\n${misled.join('\r\n')}\r\nConnection: close\r\n\r\n`
        const answer = await sendRaw(Number(auth.address.split(':')[1]), text, PATIENCE_MS)
        if (answer.status === 200) allowed += 1
        const problem = problemOf(variant, answer.status, answer.text)
        if (problem !== undefined) wrong.push(`${problem}: ${variant.what}`)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, client))
    // oxlint-disable-next-line no-console -- the figure that the test is for
    console.log(`${edge}: ${askable.length} questions, ${allowed} allowed, ${wrong.length} disagreements`)
    expect(wrong.slice(0, 20)).toEqual([])
    expect(allowed).toBeGreaterThan(50)
  })
})

/** A proxy can only ask about what it could read. */
function isAskable({ form, target, method }: Variant): boolean {
  // oxlint-disable-next-line no-control-regex -- such a request has no target
  return form !== 'broken' && target.startsWith('/') && !/[\0- \x7f]/.test(target) && method !== 'CONNECT'
}

function authorizationOf(headers: readonly string[]): readonly string[] {
  return headers.filter((line) => /^authorization:/i.test(line))
}

function problemOf({ method, target, credential }: Variant, status: number, text: string): string | undefined {
  const verdict = verdictOn(method, target, credential)
  const token = /\r\nx-internal-token: (\S+)\r\n/i.exec(text)?.[1]
  if (verdict.kind === 'refused') {
    if (token !== undefined) return `refused with a token`
    const expected = verdict.status === 401 ? [401] : verdict.status === 403 ? [403] : [403, 404, 400]
    return expected.includes(status) ? undefined : `answered ${status}, not ${expected.join(' or ')}`
  }
  if (status !== 200) return `answered ${status} about ${verdict.route.id}`
  if (verdict.userId === undefined)
    return token === undefined ? undefined : 'gave a token for a route that is for anyone'
  const { service, id } = verdict.route
  const found = verifyInternalToken(token ?? '', [internalTokenKey(service)], service, new Date())
  if ('refused' in found) return `gave a token that is ${found.refused}`
  return found.claims.routeId === id && found.claims.userId === verdict.userId
    ? undefined
    : 'gave a token for something else'
}

const caddy = await caddyBinary()

describe.skipIf(caddy === undefined)('behind Caddy, as the worked example configures it', () => {
  test('exactly those are let through that the contract lets through', async () => {
    await using resources = new AsyncDisposableStack()
    const auth = resources.use(await startAuthService('http://localhost:8080', 'caddy'))
    const echo = async (asked?: string): Promise<readonly [Echo]> => [resources.use(await Echo.start(asked))]
    const echoes = {
      auth: await echo(auth.address),
      products: await echo(),
      orders: await echo(),
      notifications: await echo(),
      frontend: await echo(),
    }
    const port = await startCaddy(resources, echoes)
    // What an absolute target without a plain host means is nobody's business here: auth is asked about its path all the same.
    const sent = Array.from(variants(SEED, SENT_TO_CADDY, await credentialsOf(auth))).filter(({ target }) =>
      /^(?:\/|https?:\/\/shop\.example[:/])/i.test(target),
    )
    const comparison = await compare(port, echoes, sent, { statuses: false, messages: false })
    const { through, refused, disagreements } = comparison
    // oxlint-disable-next-line no-console -- the figure that the test is for
    console.log(`caddy: ${through} let through, ${refused} refused, ${disagreements.length} disagreements`)
    expect(disagreements.slice(0, 20)).toEqual([])
    expect(Math.min(through, refused)).toBeGreaterThan(SENT_TO_CADDY / 25)
  }, 60_000)
})

async function startCaddy(
  resources: AsyncDisposableStack,
  echoes: Readonly<Record<ServiceName, readonly [Echo]>>,
): Promise<number> {
  const port = await freePort()
  const directory = newDirectory('caddy')
  const file = join(cloneDirectory, 'charts/edge/examples/Caddyfile')
  resources.use(
    await Child.start({
      name: 'caddy',
      command: String(caddy),
      arguments: ['run', '--adapter', 'caddyfile', '--config', file],
      directory,
      logFile: join(directory, 'caddy.log'),
      environment: {
        HOME: directory,
        XDG_CONFIG_HOME: directory,
        XDG_DATA_HOME: directory,
        BIND: '127.0.0.1',
        LISTEN: `http://:${port}`,
        AUTH: echoes.auth[0].address,
        PRODUCTS: echoes.products[0].address,
        ORDERS: echoes.orders[0].address,
        NOTIFICATIONS: echoes.notifications[0].address,
        FRONTEND: echoes.frontend[0].address,
      },
      isReady: async () => {
        await fetch(`http://127.0.0.1:${port}/nothing`)
        return true
      },
    }),
  )
  return port
}
