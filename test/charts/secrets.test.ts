import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { helmMajors } from '@saas/devstack'
import { sharedServers } from '@saas/testing'
import { expect, test } from 'vitest'
import { startClusterStub } from './cluster-stub.ts'
import { refusal, rendered } from './helm.ts'
import { ofKind, secretValues, workloads } from './objects.ts'

test.each(helmMajors)(
  'Helm %i makes secrets once and finds them again, at an upgrade or a new install',
  async (helm) => {
    const directory = mkdtempSync(join(sharedServers().directory, 'cluster-'))
    await using cluster = await startClusterStub(directory)
    const render = async () => ofKind(await rendered({ helm, seed: '', kubeconfig: cluster.kubeconfig }), 'Secret')
    cluster.objects.set('shops/configmaps/kube-root-ca.crt', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'kube-root-ca.crt', namespace: 'shops' },
    })

    const [first, second] = [await render(), await render()]
    const made = secretValues(first)
    expect(made['shop-orders']?.['nats-password']).toMatch(/^p[A-Za-z0-9]{31}$/)
    expect(Buffer.from(made['shop-auth']?.['key-encryption-key'] ?? '', 'base64url')).toHaveLength(32)
    expect(secretValues(second)).not.toEqual(made)

    cluster.keep('shop', first)
    expect(secretValues(await render())).toEqual(made)

    // One that is lost, or new in a version, is made; the others stay.
    cluster.objects.delete('shops/secrets/shop-objectstore')
    const { 'shop-objectstore': remade, ...others } = secretValues(await render())
    const { 'shop-objectstore': before, ...kept } = made
    expect(others).toEqual(kept)
    expect(remade).not.toEqual(before)
  },
)

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
    ...['key-encryption-key', 'mail-secret-key'].map((key) => `own-auth ${key}`),
    'own-nats route-password',
    'own-oidc providers',
    ...databases.flatMap((service) => ['uri', 'direct-uri'].map((key) => `shop-${service}-postgres ${key}`)),
    'shop-s3 access-key',
    'shop-s3 secret-key',
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
