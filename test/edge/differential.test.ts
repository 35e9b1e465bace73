import type { ServiceName } from '@saas/contracts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startAuthService, type AuthService } from './auth-service.ts'
import { credentialsOf } from './credentials.ts'
import { compare } from './differential.ts'
import { Echo } from './echo.ts'
import { edgePort, startEdge, type Hole } from './edge.ts'
import { variants, type Presented } from './variants.ts'

const SEED = Number(process.env['EDGE_SEED'] ?? 20_261_122)
const VARIANTS = Number(process.env['EDGE_VARIANTS'] ?? 6_000)
const CONTROL_VARIANTS = 1_200
/** Some holes are found by one variant in a thousand, so chance may need more than once. */
const CONTROL_RUNS_MAX = 6
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
  credentials = await credentialsOf(auth)
})
afterAll(async () => {
  await resources.disposeAsync()
})

async function run(seed: number, count: number, holes: readonly Hole[] = []) {
  for (const echo of Object.values(echoes).flat()) echo.seen.length = 0
  const upstreams = Object.fromEntries(Object.entries(echoes).map(([name, [echo]]) => [name, [String(echo?.address)]]))
  await using edge = await startEdge(
    await edgePort(),
    { upstreams: upstreams as Record<ServiceName, string[]>, publicUrl: auth.publicUrl },
    holes,
  )
  return await compare(edge.port, echoes, variants(seed, count, credentials))
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

test('auth is asked with the few headers that it needs, whatever the client sends', async () => {
  const [asked] = echoes.auth
  if (asked === undefined) throw new Error('Nobody stands in the place of auth')
  const upstreams = Object.fromEntries(Object.entries(echoes).map(([name, [echo]]) => [name, [String(echo?.address)]]))
  await using edge = await startEdge(await edgePort(), { upstreams: upstreams as Record<ServiceName, string[]> })
  asked.questions.length = 0
  const headers = {
    Cookie: 'refresh=secret',
    'X-Original-Method': 'GET',
    'X-Original-URI': '/product',
    X_Original_URI: '/product',
    'X-Forwarded-Method': 'GET',
    'X-Forwarded-Uri': '/product',
    'X-Internal-Token': 'a.b.c',
    'X-User-Id': '01977c1e-6a00-7000-8000-000000000001',
    'X-Request-Id': 'mine',
    'X-HTTP-Method-Override': 'GET',
    'X-Anything-Else': 'at all',
  }
  expect((await edge.send('/order?x=1', { method: 'POST', headers, token: auth.tokens.customer })).status).toBe(200)
  const [question, ...others] = asked.questions
  expect(others).toEqual([])
  expect([question?.method, question?.url]).toEqual(['POST', '/authz'])
  expect(question?.headers).toEqual({
    host: [expect.any(String)],
    authorization: [`Bearer ${auth.tokens.customer}`],
    'x-original-method': ['POST'],
    'x-original-uri': ['/order?x=1'],
    'x-forwarded-for': [expect.stringMatching(/^127\.0\.0\.1$/)],
    'x-request-id': [expect.stringMatching(/^[0-9a-f-]{36}$/)],
  })
})

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
  const found: string[] = []
  for (let runs = 1; found.length === 0 && runs <= CONTROL_RUNS_MAX; runs += 1) {
    const { disagreements } = await run(SEED + runs, CONTROL_VARIANTS, holes)
    found.push(...disagreements.filter((sentence) => sentence.includes(expected)))
  }
  expect(found.length).toBeGreaterThan(0)
})
