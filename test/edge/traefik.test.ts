import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { serviceNames, type ServiceName } from '@saas/contracts'
import { Child, cloneDirectory, findProgram, freePort, run, traefikBinary } from '@saas/devstack'
import { newDirectory } from '@saas/testing'
import { expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { startAuthService } from './auth-service.ts'
import { credentialsOf } from './credentials.ts'
import { compare } from './differential.ts'
import { Echo } from './echo.ts'
import { startKubernetes, type KubernetesObject } from './kubernetes.ts'
import { variants, type Variant } from './variants.ts'

const SEED = Number(process.env['EDGE_SEED'] ?? 20_261_124)
const VARIANTS = Number(process.env['EDGE_VARIANTS'] ?? 150)
const NAMESPACE = 'shops'

type Echoes = Readonly<Record<ServiceName, readonly [Echo]>>

test('behind Traefik, which reads the worked example, exactly those are let through that the contract lets through', async ({
  skip,
}) => {
  const traefik = await traefikBinary()
  if (traefik === undefined) skip('there is no Traefik on PATH, and neither pip nor apt to bring it')
  if (findProgram('openssl') === undefined) skip('no openssl to make a certificate with')
  await using resources = new AsyncDisposableStack()
  const auth = resources.use(await startAuthService('http://localhost:8080', 'traefik'))
  const echo = async (asked?: string): Promise<readonly [Echo]> => [resources.use(await Echo.start(asked))]
  const echoes: Echoes = {
    auth: await echo(auth.address),
    products: await echo(),
    orders: await echo(),
    notifications: await echo(),
    frontend: await echo(),
  }
  const port = await startTraefik(resources, String(traefik), echoes)
  const begun = performance.now()
  const sent = Array.from(variants(SEED, VARIANTS, await credentialsOf(auth))).flatMap(asTraefikReads)
  const comparison = await compare(port, echoes, sent, { statuses: false, messages: false })
  const { through, refused, disagreements } = comparison
  // oxlint-disable-next-line no-console -- the figure that the test is for
  console.log(
    `traefik: ${through} let through, ${refused} refused, ${disagreements.length} disagreements, ${Math.round(performance.now() - begun)} ms`,
  )
  expect(disagreements.slice(0, 20)).toEqual([])
  expect(Math.min(through, refused)).toBeGreaterThan(VARIANTS / 25)
}, 60_000)

/**
 * The variant as Traefik takes it, before it asks anybody and for good: letters that need no encoding are decoded (RFC 3986, 6.2.2.2). What an
 * absolute target without a plain host means, or a client that names its own credential as one for the next hop only, is nobody's business here.
 */
function asTraefikReads(variant: Variant): readonly Variant[] {
  const { target, headers } = variant
  if (!/^(?:\/|https?:\/\/shop\.example[:/])/i.test(target)) return []
  if (headers.some((line) => /^connection:.*authorization/i.test(line))) return []
  const [path = '', ...query] = target.split('?')
  const decoded = path.replaceAll(/%[0-9a-f]{2}/gi, (encoded) => {
    const letter = String.fromCharCode(Number.parseInt(encoded.slice(1), 16))
    return /[A-Za-z0-9._~-]/.test(letter) ? letter : encoded
  })
  return [{ ...variant, target: [decoded, ...query].join('?') }]
}

/** Traefik with its provider for Kubernetes, and plain TCP in front of its TLS. Only the address of auth is another one than in a cluster. */
async function startTraefik(resources: AsyncDisposableStack, program: string, echoes: Echoes): Promise<number> {
  const directory = newDirectory('traefik')
  const example = readFileSync(join(cloneDirectory, 'charts/edge/examples/traefik.yaml'), 'utf8')
  const applied = parseAllDocuments(
    example.replaceAll('http://saas-auth:3000', `http://${echoes.auth[0].address}`),
  ).map((document) => document.toJS() as KubernetesObject)
  const objects = [
    ...applied,
    ...(await certificate(directory)),
    ...serviceNames.flatMap((name) => service(name, echoes)),
  ]
  const kubernetes = resources.use(await startKubernetes(objects, NAMESPACE))
  const [port, pingPort] = [await freePort(), await freePort()]
  resources.use(
    await Child.start({
      name: 'traefik',
      command: program,
      arguments: [
        `--entrypoints.websecure.address=127.0.0.1:${port}`,
        `--entrypoints.ping.address=127.0.0.1:${pingPort}`,
        '--ping.entrypoint=ping',
        `--providers.kubernetescrd.endpoint=${kubernetes.url}`,
        '--providers.kubernetescrd.token=nobody-asks',
        '--global.checknewversion=false',
        '--global.sendanonymoususage=false',
        // As the example says.
        '--entrypoints.websecure.http.sanitizepath=false',
        '--log.level=INFO',
      ],
      directory,
      environment: { HOME: directory },
      logFile: join(directory, 'traefik.log'),
      isReady: async () => (await fetch(`http://127.0.0.1:${pingPort}/ping`)).ok && (await isRouting(port)),
    }),
  )
  return await plainPort(resources, port)
}

function service(name: ServiceName, echoes: Echoes): KubernetesObject[] {
  const [host = '', port = ''] = echoes[name][0].address.split(':')
  const full = `saas-${name}`
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: full },
      spec: { type: 'ClusterIP', ports: [{ name: 'http', port: 3000 }] },
    } as KubernetesObject,
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: full, labels: { 'kubernetes.io/service-name': full } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [host], conditions: { ready: true } }],
      ports: [{ name: 'http', port: Number(port), protocol: 'TCP' }],
    } as KubernetesObject,
  ]
}

async function certificate(directory: string): Promise<KubernetesObject[]> {
  const [key, chain] = [join(directory, 'tls.key'), join(directory, 'tls.crt')]
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', chain]
  await run('openssl', ['req', '-x509', '-days', '2', '-subj', '/CN=shop.example', ...curve])
  const data = {
    'tls.key': await readFile(key, 'base64'),
    'tls.crt': await readFile(chain, 'base64'),
  }
  return [
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'shop-tls' },
      type: 'kubernetes.io/tls',
      data,
    } as KubernetesObject,
  ]
}

/** Until it has read its routes, it answers 404 without asking anybody. */
async function isRouting(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
    socket.write('GET /cart HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n')
  })
  socket.once('data', (answer: Buffer) => resolve(answer.toString().startsWith('HTTP/1.1 401 ')))
  socket.once('error', () => resolve(false))
  return await promise.finally(() => socket.destroy())
}

/** A port that passes bytes on as they are, by TLS. */
async function plainPort(resources: AsyncDisposableStack, tlsPort: number): Promise<number> {
  const server = createServer((incoming) => {
    const outgoing = connect({ port: tlsPort, host: '127.0.0.1', rejectUnauthorized: false })
    for (const socket of [incoming, outgoing])
      socket.on('error', () => [incoming, outgoing].map((each) => each.destroy()))
    incoming.pipe(outgoing).pipe(incoming)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  resources.defer(() => {
    server.close()
  })
  return (server.address() as AddressInfo).port
}
