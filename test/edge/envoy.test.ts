import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { byService, type ServiceName } from '@saas/contracts'
import { Child, cloneDirectory, envoyBinary, freePort } from '@saas/devstack'
import { newDirectory } from '@saas/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { startAuthService, type AuthService } from './auth-service.ts'
import { credentialsOf } from './credentials.ts'
import { compare } from './differential.ts'
import { Echo } from './echo.ts'
import { envoyConfiguration, type Applied, type Places } from './envoy-configuration.ts'
import { variants, type Variant } from './variants.ts'

const SEED = Number(process.env['EDGE_SEED'] ?? 20_261_125)
const VARIANTS = Number(process.env['EDGE_VARIANTS'] ?? 150)

const resources = new AsyncDisposableStack()
let envoy: string | undefined
let auth: AuthService
beforeAll(async () => {
  envoy = await envoyBinary()
  if (envoy !== undefined) auth = resources.use(await startAuthService('http://localhost:8080', 'envoy'))
})
afterAll(async () => {
  await resources.disposeAsync()
})

test.for(['envoy-gateway', 'gateway-api'])(
  'behind the real Envoy, told what the worked example %s says, exactly those are let through that the contract lets through',
  { timeout: 60_000 },
  async (example, { skip }) => {
    if (envoy === undefined) skip('there is no Envoy on PATH, and neither pip nor apt to bring it')
    await using stack = new AsyncDisposableStack()
    const echo = async (): Promise<readonly [Echo]> => [stack.use(await Echo.start())]
    const echoes: Readonly<Record<ServiceName, readonly [Echo]>> = {
      auth: await echo(),
      products: await echo(),
      orders: await echo(),
      notifications: await echo(),
      frontend: await echo(),
    }
    const port = await freePort()
    const services = Object.fromEntries(Object.entries(echoes).map(([name, [{ address }]]) => [name, address]))
    const configuration = configurationOf(example, {
      port,
      auth: auth.address,
      services: services as Record<ServiceName, string>,
    })
    stack.use(await startEnvoy(String(envoy), configuration, port, 401))
    const sent = Array.from(variants(SEED, VARIANTS, await credentialsOf(auth))).flatMap((variant) =>
      asEnvoyReads(variant, example),
    )
    const comparison = await compare(port, echoes, sent, { statuses: false, messages: false })
    const { through, refused, disagreements } = comparison
    // oxlint-disable-next-line no-console -- the figure that the test is for
    console.log(`${example}: ${through} let through, ${refused} refused, ${disagreements.length} disagreements`)
    expect(disagreements.slice(0, 20)).toEqual([])
    expect(Math.min(through, refused)).toBeGreaterThan(VARIANTS / 25)
  },
)

test.for([
  // The filter of the Gateway API has no way to say another status than Envoy's own.
  ['gateway-api', 403],
  ['envoy-gateway', 503],
] as const)(
  'behind the real Envoy, told what %s says, nothing gets through while auth is down: %i',
  async ([example, status], { skip }) => {
    if (envoy === undefined) skip('there is no Envoy on PATH, and neither pip nor apt to bring it')
    await using stack = new AsyncDisposableStack()
    const echo = stack.use(await Echo.start())
    const [port, nobody] = await Promise.all([freePort(), freePort()])
    const services = byService(() => echo.address)
    const configuration = configurationOf(example, { port, auth: `127.0.0.1:${nobody}`, services })
    stack.use(await startEnvoy(String(envoy), configuration, port, status))
    for (const path of ['/', '/cart', '/product', '/profile', '/admin/orders/lag'])
      expect((await fetch(`http://127.0.0.1:${port}${path}`)).status, path).toBe(status)
    expect(echo.seen).toEqual([])
  },
)

function configurationOf(example: string, places: Places): object {
  const text = readFileSync(join(cloneDirectory, `charts/edge/examples/${example}.yaml`), 'utf8')
  return envoyConfiguration(
    parseAllDocuments(text).map((document) => document.toJS() as Applied),
    places,
  )
}

/** Ready when it answers what is asked without a credential as is due. */
async function startEnvoy(program: string, configuration: object, port: number, due: number): Promise<Child> {
  const directory = newDirectory('envoy')
  const file = join(directory, 'envoy.json')
  writeFileSync(file, JSON.stringify(configuration))
  return await Child.start({
    name: 'envoy',
    command: program,
    arguments: ['--config-path', file, '--disable-hot-restart', '--concurrency', '1', '--log-level', 'warning'],
    directory,
    logFile: join(directory, 'envoy.log'),
    isReady: async () => (await fetch(`http://127.0.0.1:${port}/cart`)).status === due,
  })
}

/**
 * The variant as Envoy takes it, before it asks anybody and for good: dot segments are resolved, letters that need no encoding are decoded, a
 * backslash is a slash, and slashes are merged unless it is told otherwise. What an absolute target with another scheme or host means, or a client that
 * names its own credential as one for the next hop only, is nobody's business here.
 */
function asEnvoyReads(variant: Variant, example: string): readonly Variant[] {
  const { target, headers } = variant
  const [, origin = '', path = '', query = ''] =
    /^(http:\/\/shop\.example(?::\d+)?)?(\/[^?]*)(.*)$/is.exec(target) ?? []
  // A dot segment with a parameter is resolved too, but not by every version.
  if (path === '' || decoded(path).includes('.;') || headers.some((line) => /^connection:.*authorization/i.test(line)))
    return []
  // That filter has no way to drop it; whoever gets a forged one refuses it.
  const keepsForged = example === 'gateway-api'
  if (keepsForged && headers.some((line) => /^x-internal-token *:/i.test(line))) return []
  const resolved: string[] = []
  const segments = decoded(path).replaceAll('\\', '/').split('/').slice(1)
  for (const [index, segment] of segments.entries()) {
    if (segment === '..') resolved.pop()
    if (segment !== '.' && segment !== '..') resolved.push(segment)
    else if (index === segments.length - 1) resolved.push('')
  }
  const whole = `/${resolved.join('/')}`
  return [{ ...variant, target: origin + (keepsForged ? whole.replaceAll(/\/+/g, '/') : whole) + query }]
}

function decoded(path: string): string {
  return path.replaceAll(/%[0-9a-f]{2}/gi, (encoded) => {
    const letter = String.fromCharCode(Number.parseInt(encoded.slice(1), 16))
    return /[A-Za-z0-9._~-]/.test(letter) ? letter : encoded
  })
}
