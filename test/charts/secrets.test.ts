import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { sharedServers } from '@saas/testing'
import { expect, test } from 'vitest'
import { startApiServer } from './api-server.ts'
import { operatorApis, refusal, rendered, runHelm, settings, umbrella, type Rendered } from './helm.ts'
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

const databases = ['auth', 'products', 'orders', 'notifications']

/** Those of the servers that a release runs itself. */
function ownServerSecrets(administrator: string): Readonly<Record<string, unknown>> {
  return {
    'global.secrets.existing': {
      ...ownSecrets['global.secrets.existing'],
      postgres: administrator,
      objectstore: 'own-store',
    },
    'global.postgres.existingSecrets': Object.fromEntries(
      databases.map((service) => [service, `own-${service}-database`]),
    ),
    'global.objectStore.existingSecrets': { auth: 'own-auth-s3', products: 'own-products-s3' },
  }
}

/** What services and NATS read of Secrets of one's own, however the rest is run. */
const ofServices = [
  ...databases.flatMap((service) =>
    ['nats-password', 'internal-token-key', 'internal-token-key-accepted'].map((key) => `own-${service} ${key}`),
  ),
  ...['key-encryption-key', 'mail-secret-key'].flatMap((key) => [`own-auth ${key}`, `own-auth ${key}-accepted`]),
  'own-nats route-password',
  'own-oidc providers',
]

/** Name and key of all that some container has from a Secret. */
function secretsRead(objects: readonly Rendered[]): readonly string[] {
  const read = workloads(objects).flatMap(({ containers }) =>
    containers
      .flatMap(({ env }) => env ?? [])
      .flatMap(({ valueFrom }) => {
        const { name, key } = valueFrom?.secretKeyRef ?? {}
        return name === undefined ? [] : [`${name} ${key}`]
      }),
  )
  return [...new Set(read)].toSorted()
}

test('with Secrets of one’s own for everything none is made, and rendering without a cluster needs no seed', async () => {
  const objects = await rendered({ seed: '', files: ['values-external.yaml'], set: ownSecrets })
  expect(ofKind(objects, 'Secret')).toEqual([])
  const documented = [
    ...ofServices,
    ...databases.flatMap((service) => ['uri', 'direct-uri'].map((key) => `shop-${service}-postgres ${key}`)),
    ...['auth', 'products'].flatMap((service) =>
      ['access-key', 'secret-key'].map((key) => `shop-${service}-s3 ${key}`),
    ),
    'shop-smtp smtp-url',
  ]
  expect(secretsRead(objects)).toEqual(documented.toSorted())
  for (const { pod, name } of workloads(objects)) expect(pod.imagePullSecrets, name).toEqual([{ name: 'own-registry' }])
})

test.each(['standalone', 'cnpg', 'pgo'] as const)(
  'the servers of a release itself take Secrets of one’s own for every credential too: %s',
  async (mode) => {
    const administrator = mode === 'pgo' ? 'shop-postgres-pguser-postgres' : 'own-postgres'
    const backup = {
      enabled: true,
      existingSecret: 'own-backup',
      ...(mode === 'pgo' ? { endpoint: 'https://s3.example.com' } : {}),
    }
    const objects = await rendered({
      seed: '',
      apiVersions: Object.values(operatorApis),
      set: {
        ...ownSecrets,
        ...ownServerSecrets(administrator),
        'global.postgres.mode': mode,
        'postgres.backup': backup,
      },
    })
    expect(ofKind(objects, 'Secret')).toEqual([])
    const documented = [
      ...ofServices,
      ...databases.flatMap((service) =>
        ['password', 'migrator-password'].map((key) => `own-${service}-database ${key}`),
      ),
      ...['own-auth-s3', 'own-products-s3', 'own-store', ...(mode === 'pgo' ? [] : ['own-backup'])].flatMap((name) => [
        `${name} access-key`,
        `${name} secret-key`,
      ]),
      `${administrator} password`,
      ...(mode === 'standalone' ? [`${administrator} backup-password`] : []),
    ]
    expect(secretsRead(objects)).toEqual(documented.toSorted())
    // Nothing that an operator is told of has a password that the Job would undo.
    const [cluster] = [...ofKind(objects, 'Cluster'), ...ofKind(objects, 'PostgresCluster')]
    expect(cluster?.['spec']).toEqual(
      {
        standalone: undefined,
        cnpg: expect.objectContaining({
          superuserSecret: { name: administrator },
          bootstrap: { initdb: expect.not.objectContaining({ secret: expect.anything() as unknown }) as unknown },
          managed: {
            roles: databases
              .flatMap((service) => [service, `${service}_migrator`])
              .toSorted()
              .map((name) => ({ name, ensure: 'present', login: true })),
          },
        }) as unknown,
        pgo: expect.objectContaining({ users: [{ name: 'postgres' }] }) as unknown,
      }[mode],
    )
  },
)

test('each of them alone may be one’s own, and the rest is made', async () => {
  const set = { 'global.postgres.existingSecrets': { orders: 'own-orders-database' } }
  const [before, after] = await Promise.all([rendered(), rendered({ set })])
  const { 'shop-orders-database': gone, ...rest } = secretValues(before)
  expect(gone).toBeDefined()
  expect(secretValues(after)).toEqual(rest)
})

test('a Secret of one’s own that is there and lacks what is read is refused, and no value is shown', async () => {
  await using cluster = await startApiServer(mkdtempSync(join(sharedServers().directory, 'own-secrets-')))
  const put = (name: string, data: Record<string, string>): void => {
    const encoded = Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')])
    const path = name === 'kube-root-ca.crt' ? 'configmaps' : 'secrets'
    cluster.objects.set(`/api/v1/namespaces/shops/${path}/${name}`, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name, namespace: 'shops' },
      data: Object.fromEntries(encoded) as Record<string, string>,
    })
  }
  const said = async (set: Readonly<Record<string, unknown>>): Promise<string> =>
    await runHelm(4, [
      'install',
      'shop',
      umbrella,
      '--dry-run=server',
      '--disable-openapi-validation',
      '--namespace=shops',
      `--kubeconfig=${cluster.kubeconfig}`,
      ...settings(set),
    ]).then(
      () => 'not refused',
      (error: Error & { stderr?: string }) => error.stderr ?? error.message,
    )
  put('kube-root-ca.crt', {})
  const set = { 'global.postgres.existingSecrets.orders': 'own-orders-database' }
  // What makes it may run later.
  expect(await said(set)).toBe('not refused')
  put('own-orders-database', { uri: 'postgres://…', 'direct-uri': 'postgres://…' })
  expect(await said(set)).toContain(
    'global.postgres.existingSecrets.orders names the Secret own-orders-database, which has no key',
  )
  put('own-orders-database', { password: 'p@ss/word', 'migrator-password': 'fine' })
  const refused = await said(set)
  expect(refused).toContain('whose password is not of the form')
  expect(refused).not.toContain('p@ss')
  put('own-orders-database', { password: 'pass-word_1', 'migrator-password': 'fine' })
  expect(await said(set)).toBe('not refused')
  const provider = { 'auth.secretEnvironment.OIDC_PROVIDERS': { secret: 'own-oidc', key: 'providers' } }
  put('own-oidc', { 'providers.json': '[]' })
  expect(await said(provider)).toContain('OIDC_PROVIDERS names the Secret own-oidc, which has no key providers')
  // Somebody put it beside what was made.
  put('shop-auth', { providers: '[]' })
  expect(await said({ 'auth.secretEnvironment.OIDC_PROVIDERS': 'providers' })).not.toContain('no such key')
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
