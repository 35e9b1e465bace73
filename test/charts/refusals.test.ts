import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { serviceNames } from '@saas/contracts'
import { cloneDirectory } from '@saas/devstack'
import { CONNECTIONS_MAX } from '@saas/state'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { refusal, rendered, type Rendered } from './helm.ts'
import { named, ofKind } from './objects.ts'

test.each([
  ['an unknown key', { 'orders.replica': 3 }, ['orders', "additional properties 'replica' not allowed"]],
  [
    'an unknown key of the whole',
    { 'global.publicURL': 'https://shop.example.com' },
    ["additional properties 'publicURL' not allowed"],
  ],
  ['a wrong type', { 'edge.replicas': 'two' }, ['/replicas', 'want integer']],
  [
    'an address with a slash at its end',
    { 'global.publicUrl': 'https://shop.example.com/' },
    ['/global/publicUrl', 'does not match pattern'],
  ],
  ['an image that nobody can name again', { 'orders.image.tag': 'latest' }, ['/image/tag']],
  [
    'an external database for some',
    { 'global.postgres': { mode: 'external', existingSecrets: { auth: 'a' } } },
    ['notifications has no database: set global.postgres.existingSecrets.notifications to the name of a Secret'],
  ],
  [
    'an object store without credentials',
    { 'global.objectStore.endpoint': 'https://s3.example.com' },
    ['set global.objectStore.existingSecrets.auth to the name of a Secret'],
  ],
  [
    'an administrator of a database elsewhere',
    {
      'global.secrets.existing.postgres': 'own-postgres',
      'global.postgres': {
        mode: 'external',
        existingSecrets: { auth: 'a', products: 'b', orders: 'c', notifications: 'd' },
      },
    },
    ['global.secrets.existing.postgres is set', 'remove it'],
  ],
  [
    'an administrator of an object store elsewhere',
    {
      'global.secrets.existing.objectstore': 'own-store',
      'global.objectStore': { endpoint: 'https://s3.example.com', existingSecrets: { auth: 'a', products: 'b' } },
    },
    ['global.secrets.existing.objectstore is set', 'remove it'],
  ],
  ['no way for mail', { 'global.mail.mailbox': false }, ['No mail can leave: set global.mail.existingSecret']],
  ['mail servers that nothing reaches', { 'global.mail.existingSecret': 'smtp' }, ['set global.mail.mailbox to false']],
  [
    'two ways in',
    { 'edge.ingress.enabled': true, 'edge.httpRoute': { enabled: true, parentRefs: [{ name: 'gateway' }] } },
    ['choose one'],
  ],
  [
    'a load balancer past the ingress',
    { 'edge.ingress.enabled': true, 'global.trustedHops': 1, 'edge.service.type': 'LoadBalancer' },
    ['Set edge.service.type to ClusterIP'],
  ],
  [
    'an ingress that the edge would lead in a circle',
    {
      'edge.ingress.enabled': true,
      'global.trustedHops': 1,
      'global.publicUrl': 'https://shop.example.com',
      'edge.tls.secret': 'shop-tls',
    },
    ['remove edge.tls.secret'],
  ],
  ['more messages than the disk holds', { 'nats.storage.size': '2Gi' }, ['nats.storage.bytesMax is 4294967296']],
  [
    'more replicas than Postgres has connections for',
    { 'orders.autoscaling': { enabled: true, maxReplicas: 9 } },
    // Two of each of the others; while an upgrade replaces them one more of each; and twenty for whoever else comes.
    [`may open ${CONNECTIONS_MAX * (10 + 3 * 3) + 20} connections`, 'postgres.connectionsMax is 300: raise it'],
  ],
  ['a proxy in front that nobody counted', { 'edge.ingress.enabled': true }, ['set global.trustedHops']],
  ['a route without a Gateway', { 'edge.httpRoute.enabled': true }, ['set edge.httpRoute.parentRefs']],
  [
    'a floor above the ceiling',
    { 'orders.autoscaling': { enabled: true, minReplicas: 9, maxReplicas: 3 } },
    ['orders.autoscaling.minReplicas is more than maxReplicas'],
  ],
  ['TLS behind an address without', { 'edge.tls.secret': 'shop-tls' }, ['set global.publicUrl to its https address']],
  [
    'a certificate that nothing reads',
    { 'edge.ingress.tlsSecret': 'shop-tls', 'global.publicUrl': 'https://shop.example.com' },
    ['or set edge.tls.secret'],
  ],
  ['another proxy that may reach nothing', { 'global.edge': 'envoy' }, ['set global.networkPolicy.gatewayFrom']],
  [
    'another proxy with an ingress of the edge',
    { 'global.edge': 'traefik', 'edge.autoscaling.enabled': true },
    ['this release has no edge of its own'],
  ],
  [
    'another way in past the edge',
    { 'global.networkPolicy.gatewayFrom': [{ podSelector: {} }] },
    ['but global.edge is nginx, the only way in'],
  ],
  ['mail servers on no port', { 'global.networkPolicy.smtpPorts': [] }, ['/networkPolicy/smtpPorts', 'minItems']],
  ['providers on no port', { 'global.networkPolicy.providerPorts': [] }, ['/networkPolicy/providerPorts', 'minItems']],
  ['names that nobody resolves', { 'global.networkPolicy.dns': [] }, ['global.networkPolicy.dns is empty']],
  ['names that are nowhere resolved', { 'global.networkPolicy.dns': null }, ['global.networkPolicy.dns is empty']],
  [
    'a peer that is misspelt',
    { 'global.networkPolicy.metricsFrom': [{ podSelectors: {} }] },
    ['/networkPolicy/metricsFrom/0', "additional properties 'podSelectors' not allowed"],
  ],
  [
    'a setting that stands twice',
    { 'orders.environment.TZ': 'UTC', 'orders.secretEnvironment.TZ': 'zone' },
    ['TZ stands both in orders.environment and in orders.secretEnvironment'],
  ],
  [
    'a Secret where a key of the service’s own is meant',
    { 'auth.secretEnvironment.OIDC_PROVIDERS': 'shop-oidc' },
    ['is the key shop-oidc of the Secret shop-auth', 'name a Secret of yours and its key'],
  ],
  [
    'monitoring of what nothing can reach',
    { 'global.monitoring.enabled': 'always' },
    ['set global.networkPolicy.metricsFrom to its pods'],
  ],
  [
    'an answer that may take longer than the next question',
    { 'global.monitoring.interval': '5s' },
    ['scrapeTimeout (10s)'],
  ],
  [
    'a container that asks for more than it may take',
    { 'orders.resources.requests.memory': '1Gi' },
    ['orders.resources.requests.memory (1Gi) is more than orders.resources.limits.memory (256Mi)'],
  ],
  [
    'one Secret for two services',
    { 'global.postgres.existingSecrets': { auth: 'mine', orders: 'mine' } },
    ['global.postgres.existingSecrets.auth and global.postgres.existingSecrets.orders both name the Secret mine'],
  ],
  ['a size that is none', { 'nats.storage.size': 'ten' }, ['/storage/size']],
  [
    'a name that is none, of a database',
    { 'global.postgres.existingSecrets.auth': 'Not a name' },
    ['/global/postgres/existingSecrets/auth'],
  ],
  ['a name that is none', { 'global.secrets.existing.auth': 'Not a name' }, ['/global/secrets/existing/auth']],
])('%s is refused with a sentence', async (_what, set, sentences) => {
  const said = await refusal(set)
  for (const sentence of sentences) expect(said).toContain(sentence)
})

test('passwords are not made where they could not be found again', async () => {
  expect(await refusal({}, { seed: '' })).toContain('set global.secrets.seed to at least 32 random characters')
})

test('a short seed is refused', async () => {
  expect(await refusal({}, { seed: 'short' })).toContain('/global/secrets/seed')
})

// An empty list of peers or ports means all of them to Kubernetes, and an empty list of subjects any of them to NATS. Lists are taken
// away where values are reused that knew nothing of them.
test.each([
  ['empty', []],
  ['taken away', null],
])('no list of values opens more when it is %s', async (_how, nothing) => {
  const set = {
    'auth.secretEnvironment.OIDC_PROVIDERS': { secret: 'shop-oidc', key: 'providers' },
    'global.mail': { mailbox: false, existingSecret: 'shop-smtp' },
  }
  const refused = nothing === null ? neverTakenAway : neverEmpty
  const lists = listsOfValues().filter((path) => !refused.test(path))
  expect(lists.length).toBeGreaterThan(10)
  const [whole, without] = await Promise.all([
    rendered({ set }),
    rendered({ set: { ...set, ...Object.fromEntries(lists.map((path) => [path, nothing])) } }),
  ])
  expect(rulesOf(whole).size).toBeGreaterThan(30)
  expect([...rulesOf(without)].filter((rule) => !rulesOf(whole).has(rule))).toEqual([])
  const { data } = named(without, 'ConfigMap', 'shop-nats') as unknown as { data: Record<string, string> }
  expect(data['nats.conf']).toContain('allow: [')
  expect(data['nats.conf']).not.toMatch(/allow: (\[\]|null)/)
})

/** What is refused above. */
const neverEmpty = /networkPolicy\.(dns|smtpPorts|providerPorts)$/
/** The same, and what a service declares itself. */
const neverTakenAway = /networkPolicy\.dns$|\.needs\./

test('what is null is named, whether a block or a setting, or it is one that may be left out', async () => {
  const values = valuesOfCharts()
  const blocks = values.filter(
    ({ value, path }) => isMap(value) && Object.keys(value).length > 0 && !mapOfOnesOwn.test(path),
  )
  const settings = values.filter(({ value, path }) => !isMap(value) && !isEmpty(value) && !mapOfOnesOwn.test(path))
  const optional = values.filter(({ value, path }) => isEmpty(value) && !crucial.test(path))
  expect([blocks.length > 60, settings.length > 120, optional.length > 80]).toEqual([true, true, true])
  // Below a block that is gone nothing can be missed.
  const depths = Map.groupBy(blocks, ({ path }) => path.split('.').length)
  const said = await Promise.all(
    [...depths.values(), settings].map(async (gone) => {
      const refused = await refusal(Object.fromEntries(gone.map(({ path }) => [path, null])), { seed: '' })
      return gone.filter(({ path }) => !missing(refused).has(path)).map(({ path }) => path)
    }),
  )
  expect(said.flat()).toEqual([])
  const none = Object.fromEntries(optional.map(({ path }) => [path, null]))
  expect((await rendered({ set: none })).length).toBeGreaterThan(40)
})

/** Names in them are the user's. */
const mapOfOnesOwn = /\.(dashboardLabels|environment|secretEnvironment|needs)\b/
/** An empty one has a meaning that nothing has not, or is refused above. */
const crucial = /\.(seed|generations|existing|secretEnvironment|dns)$|\.needs\./

function isMap(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isEmpty(value: unknown): boolean {
  return value === '' || Array.isArray(value) || (isMap(value) && Object.keys(value).length === 0)
}

/** The paths that Helm says are missing: below the name of each chart a line for each place. */
function missing(refused: string): ReadonlySet<string> {
  let chart = ''
  return new Set(
    refused.split('\n').flatMap((line) => {
      const [, name] = /^(\S+):$/.exec(line) ?? []
      if (name !== undefined) chart = name === 'saas' ? '' : `${name}.`
      const [, place = '', names = ''] = /^\s*- at '\/?(.*)': missing propert(?:y|ies) (.*)$/.exec(line) ?? []
      const parent = place === '' ? chart : `${chart}${place.replaceAll('/', '.')}.`
      return Array.from(names.matchAll(/'([^']+)'/g), ([, property]) => parent + property)
    }),
  )
}

/** The path of every list in the values of the charts, from the umbrella's. */
function listsOfValues(): readonly string[] {
  return valuesOfCharts().flatMap(({ path, value }) => (Array.isArray(value) ? [path] : []))
}

/** Every value of the charts and its path from the umbrella's, but the parts themselves. */
function valuesOfCharts(): readonly { readonly path: string; readonly value: unknown }[] {
  const within = (value: unknown, path: readonly string[]): { path: string; value: unknown }[] => [
    { path: path.join('.'), value },
    ...(isMap(value) ? Object.entries(value).flatMap(([name, child]) => within(child, [...path, name])) : []),
  ]
  const valuesOf = (chart: string): object =>
    parse(readFileSync(join(cloneDirectory, 'charts', chart, 'values.yaml'), 'utf8')) as object
  const { exports } = valuesOf('lib') as { exports: { defaults: object } }
  const parts = ['edge', 'nats', 'postgres', 'objectstore', ...serviceNames]
  // What a service says of its own replaces what all of them begin with.
  const all = new Map(
    [
      ...serviceNames.flatMap((service) => within(exports.defaults, [service])),
      ...parts.flatMap((part) => within(valuesOf(part), [part])),
      ...within(valuesOf('umbrella'), []),
    ].map(({ path, value }) => [path, value]),
  )
  return [...all].flatMap(([path, value]) =>
    path === '' || path === 'global' || parts.includes(path) ? [] : [{ path, value }],
  )
}

/** Each rule of each policy, with whom it is for. */
function rulesOf(all: readonly Rendered[]): ReadonlySet<string> {
  return new Set(
    ofKind(all, 'NetworkPolicy').flatMap(({ metadata, spec }) => {
      const { ingress = [], egress = [] } = spec as Readonly<
        Record<'ingress' | 'egress', readonly object[] | undefined>
      >
      return Object.entries({ ingress, egress }).flatMap(([direction, rules]) =>
        rules.map((rule) => JSON.stringify([metadata.name, direction, rule])),
      )
    }),
  )
}

test('no schema lets an unknown key of ours pass', () => {
  const schemas = globSync('charts/*/*.schema.json', { cwd: cloneDirectory })
  expect(schemas.length).toBeGreaterThan(10)
  for (const path of schemas) {
    const schema = JSON.parse(readFileSync(join(cloneDirectory, path), 'utf8')) as object
    expect(schema, path).toMatchObject({ additionalProperties: false })
  }
})
