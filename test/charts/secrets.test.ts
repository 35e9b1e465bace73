import { expect, test } from 'vitest'
import { refusal, rendered } from './helm.ts'
import { ofKind, workloads } from './objects.ts'

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

test('rendering without a cluster is refused while a single Secret would be made, and says which', async () => {
  const { orders: _, ...existing } = ownSecrets['global.secrets.existing']
  const said = await refusal(
    { ...ownSecrets, 'global.secrets.existing': existing },
    { seed: '', files: ['values-external.yaml'] },
  )
  expect(said).toContain('or name Secrets of yours in global.secrets.existing.orders.')
})
