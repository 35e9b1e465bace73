import { randomUUID } from 'node:crypto'
import type { ServiceName } from '@saas/contracts'
import { signInternalToken } from '@saas/http'
import { accessToken, base64url, claimsOf, currentSigningKey, internalTokenKey, strangersKey } from '@saas/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startAuthService, type AuthService } from './auth-service.ts'
import { compare } from './differential.ts'
import { Echo } from './echo.ts'
import { edgePort, startEdge, type Hole } from './edge.ts'
import { variants, type Presented } from './variants.ts'

const SEED = Number(process.env['EDGE_SEED'] ?? 20_261_122)
const VARIANTS = Number(process.env['EDGE_VARIANTS'] ?? 6_000)
/** Enough for every hole below to be found many times. */
const CONTROL_VARIANTS = 1_200
const SHOWN_MAX = 20

const resources = new AsyncDisposableStack()
let port: number
let auth: AuthService
let echoes: Readonly<Record<ServiceName, readonly Echo[]>>
let credentials: readonly Presented[]
beforeAll(async () => {
  port = await edgePort()
  auth = resources.use(await startAuthService(`http://localhost:${port}`))
  const started = async (asked?: string): Promise<readonly Echo[]> => [resources.use(await Echo.start(asked))]
  echoes = {
    auth: await started(auth.address),
    products: await started(),
    orders: await started(),
    notifications: await started(),
    frontend: await started(),
  }
  credentials = await presented(auth)
})
afterAll(async () => {
  await resources.disposeAsync()
})

/** The first five are what most requests carry. */
async function presented({ tokens, publicUrl, database, keyEncryptionKey }: AuthService): Promise<Presented[]> {
  const key = await currentSigningKey(database, keyEncryptionKey)
  const now = Math.floor(Date.now() / 1_000)
  const bearer = (token: string): string => `Authorization: Bearer ${token}`
  const sub = (token: string): string => String(claimsOf(token)['sub'])
  const worthless = (name: string, ...lines: string[]): Presented => ({ name, lines })
  const forged = (name: string, changed: Parameters<typeof accessToken>[2], by = key): Presented =>
    worthless(
      name,
      bearer(accessToken(by, publicUrl, { ...changed, claims: { roles: ['admin'], ...changed?.claims } })),
    )
  const internal = (service: 'orders' | 'products', routeId: string): string =>
    signInternalToken(
      { audience: service, routeId, userId: sub(tokens.admin), roles: ['admin'], sessionId: randomUUID() },
      internalTokenKey(service),
      new Date(),
    )
  const none = `${base64url(JSON.stringify({ alg: 'none', typ: 'at+jwt', kid: key.id }))}.${tokens.admin.split('.')[1]}.`
  return [
    worthless('nobody'),
    { name: 'a customer', role: 'customer', userId: sub(tokens.customer), lines: [bearer(tokens.customer)] },
    { name: 'another customer', role: 'customer', userId: sub(tokens.stranger), lines: [bearer(tokens.stranger)] },
    { name: 'a manager', role: 'manager', userId: sub(tokens.manager), lines: [bearer(tokens.manager)] },
    { name: 'an admin', role: 'admin', userId: sub(tokens.admin), lines: [bearer(tokens.admin)] },
    {
      name: 'an admin in lower case',
      role: 'admin',
      userId: sub(tokens.admin),
      lines: [`authorization: bearer ${tokens.admin}`],
    },
    {
      name: 'an admin with spaces around',
      role: 'admin',
      userId: sub(tokens.admin),
      lines: [`Authorization:   Bearer ${tokens.admin}  `],
    },
    worthless('nonsense', bearer('nonsense')),
    worthless('an empty token', 'Authorization: Bearer'),
    worthless('another scheme', `Authorization: Basic ${tokens.admin}`),
    worthless('two tokens in one line', `Authorization: Bearer ${tokens.customer}, Bearer ${tokens.admin}`),
    { ...worthless('two lines', bearer(tokens.customer), bearer(tokens.admin)), form: 'doubtful' },
    { ...worthless('the same line twice', bearer(tokens.admin), bearer(tokens.admin)), form: 'doubtful' },
    worthless('an underscore', `Authorization_: Bearer ${tokens.admin}`, `X_Authorization: Bearer ${tokens.admin}`),
    worthless('a cookie', `Cookie: authorization=${tokens.admin}; access_token=${tokens.admin}`),
    worthless('another header', `X-Access-Token: ${tokens.admin}`, `Proxy-Authorization: Bearer ${tokens.admin}`),
    worthless('a refused scheme twice', `Authorization: Bearer Bearer ${tokens.admin}`),
    worthless('no signature', bearer(none)),
    worthless('a changed signature', bearer(`${tokens.admin.slice(0, -6)}AAAAAA`)),
    forged('an expired token', { claims: { iat: now - 600, exp: now - 300 } }),
    forged('a token not yet valid', { claims: { nbf: now + 200 } }),
    forged('a token from the future', { claims: { iat: now + 200, exp: now + 400 } }),
    forged('a foreign key', {}, { ...key, privateKey: strangersKey() }),
    forged('a foreign issuer', { claims: { iss: 'https://other.example' } }),
    forged('a foreign audience', { claims: { aud: 'https://other.example' } }),
    forged('a token for a service', { claims: { aud: 'orders' } }),
    forged('another type', { header: { typ: 'JWT' } }),
    worthless('an internal token as an access token', bearer(internal('orders', 'orders.listOrders'))),
    worthless('an internal token', `X-Internal-Token: ${internal('orders', 'orders.listOrders')}`),
    worthless(
      'an internal token twice',
      ...['a', internal('products', 'products.getProduct')].map((token) => `X-Internal-Token: ${token}`),
    ),
    worthless('an internal token with an underscore', `X_Internal_Token: ${internal('orders', 'orders.getLag')}`),
  ]
}

async function run(seed: number, count: number, holes: readonly Hole[] = []) {
  for (const echo of Object.values(echoes).flat()) echo.seen.length = 0
  const upstreams = Object.fromEntries(Object.entries(echoes).map(([name, [echo]]) => [name, [String(echo?.address)]]))
  await using edge = await startEdge(
    await edgePort(),
    { upstreams: upstreams as Record<ServiceName, string[]>, publicUrl: auth.publicUrl },
    holes,
  )
  return await compare(edge, echoes, variants(seed, count, credentials))
}

test(`of ${VARIANTS} requests exactly those are let through that the contract lets through`, async () => {
  const { sent, through, refused, disagreements } = await run(SEED, VARIANTS)
  // oxlint-disable-next-line no-console -- the figure that the test is for
  console.log(
    `seed ${SEED}: ${sent} requests, ${through} let through, ${refused} refused, ${disagreements.length} disagreements`,
  )
  expect(disagreements.slice(0, SHOWN_MAX)).toEqual([])
  expect(sent).toBe(VARIANTS)
  // Neither outcome is so rare that agreeing about it would say nothing.
  expect(Math.min(through, refused)).toBeGreaterThan(VARIANTS / 20)
}, 120_000)

test.each([
  [
    'auth is not asked',
    'let through',
    [{ file: 'forward.conf', text: 'auth_request /_authz;', instead: 'auth_request off;' }],
  ],
  [
    'paths need not be canonical',
    'let through',
    [{ file: 'nginx.conf', text: "default no;\n    '~^yes:'", instead: "default yes;\n    '~^yes:'" }],
  ],
  ['paths are compared without regard to case', 'let through', [{ file: 'routes.conf', text: "'~^", instead: "'~*^" }]],
  [
    'what is not in the contract is passed on',
    'let through',
    [
      { file: 'nginx.conf', text: "'no:' no;", instead: '' },
      { file: 'routes.conf', text: 'default protected;', instead: "default protected; '' anyone;" },
    ],
  ],
  [
    'all headers of a request are passed on',
    'arrived with',
    [{ file: 'forward.conf', text: 'proxy_pass_request_headers off;', instead: '' }],
  ],
  [
    'the client brings the internal token',
    'arrived with a token',
    [
      {
        file: 'forward.conf',
        text: 'X-Internal-Token $internal_token',
        instead: 'X-Internal-Token $http_x_internal_token',
      },
    ],
  ],
])('the comparison sees it when %s', async (_what, expected, holes: readonly Hole[]) => {
  const { disagreements } = await run(SEED + 1, CONTROL_VARIANTS, holes)
  expect(disagreements.filter((sentence) => sentence.includes(expected)).length).toBeGreaterThan(0)
})
