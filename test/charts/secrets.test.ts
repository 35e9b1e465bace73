import { expect, test } from 'vitest'
import { refusal, rendered } from './helm.ts'
import { allowedCalls, environmentOf, ofKind, secretValues, workloads } from './objects.ts'

/** Secrets of somebody's own in every place that takes one. */
const ownSecrets = {
  'global.secrets.existing': {
    auth: 'own-auth',
    products: 'own-products',
    orders: 'own-orders',
    notifications: 'own-notifications',
    nats: 'own-nats',
  },
  'auth.secretEnvironment.OIDC_PROVIDERS': { secret: 'own-oidc', key: 'providers' },
  'auth.secretEnvironment.BOOTSTRAP_TOKEN': null,
  'global.imagePullSecrets': [{ name: 'own-registry' }],
}

test('with Secrets of one’s own for everything none is made, and rendering without a cluster needs no seed', async () => {
  const objects = await rendered({ seed: '', files: ['values-external.yaml'], set: ownSecrets })
  expect(ofKind(objects, 'Secret')).toEqual([])
  const read = workloads(objects).flatMap(({ containers }) =>
    containers
      .flatMap(({ env }) => env ?? [])
      .flatMap(({ valueFrom }) => {
        const { name, key } = valueFrom?.secretKeyRef ?? {}
        return name === undefined ? [] : [`${name} ${key}`]
      }),
  )
  const tokenKeys = ['internal-token-key', 'internal-token-key-accepted']
  const databases = ['auth', 'products', 'orders', 'notifications']
  const documented = [
    ...databases.flatMap((service) => ['nats-password', ...tokenKeys].map((key) => `own-${service} ${key}`)),
    ...['key-encryption-key', 'mail-secret-key'].flatMap((key) => [`own-auth ${key}`, `own-auth ${key}-accepted`]),
    'own-nats route-password',
    'own-oidc providers',
    ...databases.flatMap((service) => ['uri', 'direct-uri'].map((key) => `shop-${service}-postgres ${key}`)),
    ...['auth', 'products'].flatMap((service) =>
      ['access-key', 'secret-key'].map((key) => `shop-${service}-s3 ${key}`),
    ),
    'shop-smtp smtp-url',
  ]
  expect([...new Set(read)].toSorted()).toEqual(documented.toSorted())
  for (const { pod, name } of workloads(objects)) expect(pod.imagePullSecrets, name).toEqual([{ name: 'own-registry' }])
})

test('`helm test` reads the Secret of one’s own, comes by TLS where the edge ends it, and is not there without the edge', async () => {
  const [own, tls, other] = await Promise.all([
    rendered({ set: { 'global.secrets.existing': ownSecrets['global.secrets.existing'] } }),
    rendered({ set: { 'global.publicUrl': 'https://shop.example.com', 'edge.tls.secret': 'shop-tls' } }),
    rendered({ set: { 'global.edge': 'envoy', 'global.networkPolicy.gatewayFrom': [{ podSelector: {} }] } }),
  ])
  const [container] = workloads(own).find(({ name }) => name === 'shop-test')?.containers ?? []
  expect(container?.env).toContainEqual({
    name: 'INTERNAL_TOKEN_KEY',
    valueFrom: { secretKeyRef: { name: 'own-products', key: 'internal-token-key' } },
  })
  expect(environmentOf(tls, 'shop-test')['EDGE_URL']).toBe('https://shop-edge:443')
  expect(allowedCalls(tls)).toContain('test → edge:8443')
  expect(other.filter(({ metadata }) => metadata.name.startsWith('shop-test'))).toEqual([])
})

test('with a seed each credential has a generation of its own, and becomes another by it', async () => {
  const set = { 'postgres.backup.enabled': true }
  const before = secretValues(await rendered({ set }))
  const follow = new Set(['uri', 'direct-uri'])
  const keys = new Set(Object.values(before).flatMap((secret) => Object.keys(secret).filter((key) => !follow.has(key))))
  const generations = Object.fromEntries(Array.from(keys, (key) => [key, 2]))
  const after = secretValues(await rendered({ set: { ...set, 'global.secrets.generations': generations } }))
  for (const [name, secret] of Object.entries(before))
    for (const [key, value] of Object.entries(secret)) expect(after[name]?.[key], `${name} ${key}`).not.toBe(value)
})

test('rendering without a cluster is refused while a single Secret would be made, and says which', async () => {
  const { orders: _, ...existing } = ownSecrets['global.secrets.existing']
  const said = await refusal(
    { ...ownSecrets, 'global.secrets.existing': existing },
    { seed: '', files: ['values-external.yaml'] },
  )
  expect(said).toContain('or name Secrets of yours in global.secrets.existing.orders.')
})
