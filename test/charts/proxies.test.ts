import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { allRoutes, serviceNames } from '@saas/contracts'
import { cloneDirectory } from '@saas/devstack'
import { beforeAll, describe, expect, test } from 'vitest'
import { crdErrors } from './crd-types.ts'
import { loadDefinitions } from './definitions.ts'
import { parsed, rendered, type Rendered } from './helm.ts'
import { allowedCalls, environmentOf, named, ofKind, selects, workloads } from './objects.ts'

const RELEASE = 'saas'
const text = (name: string) => readFileSync(join(cloneDirectory, 'charts/edge/examples', name), 'utf8')
const examples = {
  'envoy-gateway.yaml': parsed(text('envoy-gateway.yaml')),
  'gateway-api.yaml': parsed(text('gateway-api.yaml')),
  'traefik.yaml': parsed(text('traefik.yaml')),
}

beforeAll(async () => {
  await loadDefinitions()
})

/** Where an example sends a path. */
type Routing = (path: string) => string | undefined

interface GatewayRule {
  readonly matches: readonly { readonly path: { readonly type: string; readonly value: string } }[]
  readonly filters?: readonly {
    readonly type: string
    readonly requestHeaderModifier?: { readonly remove: string[] }
  }[]
  readonly backendRefs: readonly { readonly name: string }[]
}

interface TraefikRoute {
  readonly match: string
  readonly middlewares: readonly { readonly name: string }[]
  readonly services: readonly { readonly name: string }[]
}

const gatewayRules = (objects: readonly Rendered[]) =>
  (named(objects, 'HTTPRoute', 'shop')['spec'] as { rules: GatewayRule[] }).rules
const traefikRoutes = (named(examples['traefik.yaml'], 'IngressRoute', 'shop')['spec'] as { routes: TraefikRoute[] })
  .routes

/** As the Gateway API says: the longest prefix wins, of whole segments. */
function byGateway(rules: readonly GatewayRule[]): Routing {
  return (path) =>
    rules
      .flatMap(({ matches, backendRefs }) => matches.map((match) => ({ ...match.path, to: backendRefs[0]?.name })))
      .filter(({ type, value }) =>
        type === 'Exact' ? path === value : path === value || path.startsWith(value.replace(/\/?$/, '/')),
      )
      .toSorted((a, b) => b.value.length - a.value.length)[0]?.to
}

/** As Traefik says: the longest rule wins, unless a priority is given. */
const byTraefik: Routing = (path) =>
  traefikRoutes
    .filter(({ match }) =>
      match.split('||').some((part) => {
        const [, kind, value = ''] = /(Path|PathPrefix)\(`([^`]+)`\)/.exec(part) ?? []
        return kind === 'Path' ? path === value : path.startsWith(value)
      }),
    )
    .toSorted((a, b) => b.match.length - a.match.length)[0]?.services[0]?.name

describe.each([
  ['envoy-gateway.yaml', byGateway(gatewayRules(examples['envoy-gateway.yaml']))],
  ['gateway-api.yaml', byGateway(gatewayRules(examples['gateway-api.yaml']))],
  ['traefik.yaml', byTraefik],
] as const)('%s', (_name, routing) => {
  test('leads every route of the contract to its service', () => {
    const wrong = allRoutes.flatMap(({ path, service }) => {
      const to = routing(path.replaceAll(/\{[^}]+\}/g, 'x1'))
      // Only proxies ask these, at auth itself; from outside they lead to where nothing is.
      const right = ['/authn', '/authz'].includes(path) ? 'frontend' : service
      return to === `${RELEASE}-${right}` ? [] : [`${path}: ${to}`]
    })
    expect(wrong).toEqual([])
  })
})

test('every object is as its project types it', () => {
  const all = Object.values(examples).flat()
  expect(all.flatMap(crdErrors)).toEqual([])
  const policy = named(examples['envoy-gateway.yaml'], 'SecurityPolicy', 'ask-auth')
  const { extAuth } = policy['spec'] as { extAuth: object }
  expect(crdErrors({ ...policy, spec: { extAuth: { ...extAuth, failOpen: 'no', statusOnError: 503.5 } } })).toEqual([
    'SecurityPolicy ask-auth.spec.extAuth.failOpen is no boolean',
    'SecurityPolicy ask-auth.spec.extAuth.statusOnError is no integer',
  ])
  expect(crdErrors({ ...policy, spec: { extAuth: { ...extAuth, headersToExtauth: [] } } })).toEqual([
    'SecurityPolicy ask-auth.spec.extAuth.headersToExtauth does not exist',
  ])
})

test('no request reaches a service unasked, and only auth sees credentials', () => {
  for (const { services, middlewares } of traefikRoutes) {
    const names = middlewares.map(({ name }) => name)
    expect(names.slice(0, 2)).toEqual(['hygiene', 'ask-auth'])
    expect(names.includes('credentials-stay-here')).toBe(services[0]?.name !== `${RELEASE}-auth`)
    for (const name of names) named(examples['traefik.yaml'], 'Middleware', name)
  }
  const [policy] = ofKind(examples['envoy-gateway.yaml'], 'SecurityPolicy')
  expect(policy?.['spec']).toMatchObject({ targetRefs: [{ kind: 'HTTPRoute', name: 'shop' }] })
  for (const [name, asks] of [
    ['envoy-gateway.yaml', false],
    ['gateway-api.yaml', true],
  ] as const) {
    for (const { filters = [], backendRefs } of gatewayRules(examples[name])) {
      const types = filters.map(({ type }) => type)
      expect(types[0] === 'ExternalAuth').toBe(asks)
      const removed = filters.flatMap(({ requestHeaderModifier }) => requestHeaderModifier?.remove ?? [])
      expect(removed).toEqual(backendRefs[0]?.name === `${RELEASE}-auth` ? [] : ['Authorization', 'Cookie'])
    }
  }
})

test.each([
  ['envoy-gateway.yaml', 'envoy'],
  ['gateway-api.yaml', 'envoy'],
  ['traefik.yaml', 'traefik'],
] as const)('the values that %s names leave nginx out and let only that proxy in', async (name, edge) => {
  const [, gatewayFrom = ''] = /gatewayFrom=(\[.*\])'/.exec(text(name)) ?? []
  expect(text(name)).toContain(`--set global.edge=${edge} `)
  const objects = await rendered({
    release: RELEASE,
    set: { 'global.edge': edge, 'global.networkPolicy.gatewayFrom': JSON.parse(gatewayFrom) as unknown },
  })
  expect(workloads(objects).filter(({ labels }) => selects({ 'app.kubernetes.io/name': 'edge' }, labels))).toEqual([])
  expect(environmentOf(objects, 'saas-auth')['EDGE']).toBe(edge)
  // But for `helm test`, whose pod calls products itself.
  const callers = allowedCalls(objects).filter((call) => call.endsWith(':3000') && !call.startsWith('test →'))
  expect(callers).toEqual([])
  for (const service of serviceNames) {
    const { ingress } = named(objects, 'NetworkPolicy', `saas-${service}`)['spec'] as { ingress: object[] }
    expect(ingress).toEqual([{ from: JSON.parse(gatewayFrom) as unknown, ports: [{ port: 3000, protocol: 'TCP' }] }])
    expect(named(objects, 'Service', `saas-${service}`)['spec']).toMatchObject({ ports: [{ port: 3000 }] })
  }
})

test('the Secrets of other tools are as their projects type them, and give what the chart reads', async () => {
  const examplesOf = (name: string) =>
    parsed(readFileSync(join(cloneDirectory, 'charts/umbrella/examples', name), 'utf8'))
  const external = examplesOf('external-secrets.yaml')
  const sealed = examplesOf('sealed-secrets.yaml')
  expect([...external, ...sealed].flatMap(crdErrors)).toEqual([])
  const objects = await rendered({ seed: '', files: ['examples/values-existing-secrets.yaml'] })
  const read = new Set(
    workloads(objects)
      .flatMap(({ containers }) => containers.flatMap(({ env }) => env ?? []))
      .flatMap(({ valueFrom }) => valueFrom?.secretKeyRef ?? [])
      .map(({ name, key }) => `${name} ${key}`),
  )
  expect([...read].filter((name) => name.startsWith('shop-orders ')).toSorted()).toEqual(
    Object.keys((named(sealed, 'SealedSecret', 'shop-orders')['spec'] as { encryptedData: object }).encryptedData)
      .map((key) => `shop-orders ${key}`)
      .toSorted(),
  )
  const made = new Set(external.map(({ metadata }) => metadata.name))
  const names = new Set(Array.from(read, (one) => one.split(' ')[0] ?? ''))
  expect(names.size).toBeGreaterThan(10)
  for (const name of names) expect(made.has(name.replace(/-\w+(?=-(postgres|s3)$)/, '-auth')), name).toBe(true)
})

test('the route of a Gateway and the ingress lead to the edge, with what cert-manager asks for', async () => {
  const https = { 'global.publicUrl': 'https://shop.example.com', 'global.trustedHops': 1 }
  const [gateway, ingress] = await Promise.all([
    rendered({
      set: { ...https, 'edge.httpRoute': { enabled: true, parentRefs: [{ name: 'public', namespace: 'infra' }] } },
    }),
    rendered({
      set: {
        ...https,
        'edge.ingress': {
          enabled: true,
          className: 'public',
          annotations: { 'cert-manager.io/cluster-issuer': 'letsencrypt' },
          tlsSecret: 'shop-tls',
        },
      },
    }),
  ])
  const route = named(gateway, 'HTTPRoute', 'shop-edge')
  expect(crdErrors(route)).toEqual([])
  const { ports } = named(gateway, 'Service', 'shop-edge')['spec'] as { ports: { port: number }[] }
  expect(route['spec']).toEqual({
    parentRefs: [{ name: 'public', namespace: 'infra' }],
    hostnames: ['shop.example.com'],
    rules: [{ backendRefs: [{ name: 'shop-edge', port: ports[0]?.port }] }],
  })
  expect(named(ingress, 'Ingress', 'shop-edge')).toMatchObject({
    metadata: { annotations: { 'cert-manager.io/cluster-issuer': 'letsencrypt' } },
    spec: {
      ingressClassName: 'public',
      tls: [{ hosts: ['shop.example.com'], secretName: 'shop-tls' }],
      rules: [{ host: 'shop.example.com' }],
    },
  })
})
