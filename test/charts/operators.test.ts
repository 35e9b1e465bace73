import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { cloneDirectory } from '@saas/devstack'
import { beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { customResourceErrors, whyCrunchyIsUnknown } from './custom-resources.ts'
import { loadDefinitions } from './definitions.ts'
import { operatorApis, refusal, rendered, type Rendered } from './helm.ts'
import { typeErrors } from './kubernetes-types.ts'
import { named, ofKind, workloads } from './objects.ts'

const services = ['auth', 'products', 'orders', 'notifications'] as const
const modes = ['pgo', 'cnpg'] as const
type Mode = (typeof modes)[number]

const everything = {
  pgo: {
    'postgres.backup': { enabled: true, endpoint: 'https://s3.example.com', existingSecret: 'shop-pgbackrest' },
    'postgres.restore.backup': '2026-11-22 03:17:00+00',
  },
  cnpg: { 'postgres.backup.enabled': true, 'postgres.restore.backup': 'latest' },
} as const
const placed = {
  'postgres.storage.className': 'fast',
  'postgres.nodeSelector': { disk: 'fast' },
  'postgres.tolerations': [{ key: 'database', operator: 'Exists' }],
  'global.imagePullSecrets': [{ name: 'registry' }],
  'global.imageRegistry': 'mirror.example:5000',
  'postgres.cluster.pgo.image': 'registry.developers.crunchydata.com/crunchydata/crunchy-postgres:18',
}

const plain = {} as Record<Mode, readonly Rendered[]>
const full = {} as Record<Mode, readonly Rendered[]>

beforeAll(async () => {
  await loadDefinitions()
  for (const mode of modes) {
    const options = { apiVersions: [operatorApis[mode]] }
    ;[plain[mode], full[mode]] = await Promise.all([
      rendered({ ...options, set: { 'global.postgres.mode': mode } }),
      rendered({ ...options, helm: 3, set: { 'global.postgres.mode': mode, ...everything[mode], ...placed } }),
    ])
  }
})

function secretOf(objects: readonly Rendered[], name: string): Record<string, string> {
  return named(objects, 'Secret', name)['stringData'] as Record<string, string>
}

describe.each(modes)('%s', (mode) => {
  test('every object is as its project types it, no field more', async ({ skip }) => {
    const why = mode === 'pgo' ? await whyCrunchyIsUnknown() : undefined
    if (why !== undefined) skip(why)
    const kinds = { pgo: ['PostgresCluster'], cnpg: ['Cluster', 'Pooler', 'Database', 'ScheduledBackup'] }[mode]
    for (const objects of [plain[mode], full[mode]]) expect(objects.flatMap(typeErrors)).toEqual([])
    for (const kind of kinds) expect(ofKind(full[mode], kind).length, kind).toBeGreaterThan(0)
  })

  test('requests go to the pooler and migrations to the primary, checked by the certificate of the cluster', () => {
    const hosts = {
      pgo: { pooled: 'shop-postgres-pgbouncer', direct: 'shop-postgres-primary', ca: 'shop-postgres-cluster-cert' },
      cnpg: { pooled: 'shop-postgres-pooler', direct: 'shop-postgres-rw', ca: 'shop-postgres-ca' },
    }[mode]
    for (const service of services) {
      const secret = secretOf(plain[mode], `shop-${service}-database`)
      const [pooled, direct] = [new URL(secret['uri'] ?? ''), new URL(secret['direct-uri'] ?? '')]
      expect([pooled.hostname, pooled.username, pooled.pathname]).toEqual([hosts.pooled, service, `/${service}`])
      expect([direct.hostname, direct.pathname]).toEqual([hosts.direct, `/${service}`])
      expect(direct.username).toMatch(new RegExp(`^${service}[-_]migrator$`))
      for (const url of [pooled, direct]) {
        expect(url.searchParams.get('sslmode')).toBe('verify-full')
        expect(url.searchParams.get('sslrootcert')).toBe('/etc/postgres-ca/ca.crt')
      }
    }
    const users = workloads(plain[mode]).filter(({ containers }) =>
      containers.some(({ env = [] }) => env.some(({ name }) => /DATABASE_URL$|^PGHOST$/.test(name))),
    )
    expect(users).toHaveLength(2 * services.length + 1)
    for (const { name, pod, containers } of users) {
      const volume = (pod.volumes ?? []).find((found) => found.name === 'postgres-ca')
      // Only the certificate: the key of the authority lies beside it.
      expect(volume?.secret, name).toEqual({ secretName: hosts.ca, items: [{ key: 'ca.crt', path: 'ca.crt' }] })
      for (const { env = [], volumeMounts = [] } of containers) {
        if (!env.some((variable) => /DATABASE_URL$|^PGHOST$/.test(variable.name))) continue
        expect(volumeMounts, name).toContainEqual({
          name: 'postgres-ca',
          mountPath: '/etc/postgres-ca',
          readOnly: true,
        })
      }
    }
  })

  test('the passwords that the operator gives the roles are those in the URIs', () => {
    for (const service of services) {
      const secret = secretOf(plain[mode], `shop-${service}-database`)
      const migrator = { pgo: 'pguser-', cnpg: 'role-' }[mode]
      const given = secretOf(plain[mode], `shop-postgres-${migrator}${service}-migrator`)
      expect(new URL(secret['direct-uri'] ?? '').password).toBe(given['password'])
    }
  })

  test('the data outlives the release', () => {
    for (const kind of ['PostgresCluster', 'Cluster', 'Database'])
      for (const { metadata } of ofKind(plain[mode], kind))
        expect(metadata.annotations, kind).toEqual({ 'helm.sh/resource-policy': 'keep' })
  })

  test('is refused with the command that brings the operator, where the cluster does not know it', async () => {
    const said = await refusal({ 'global.postgres.mode': mode })
    expect(said).toContain('helm upgrade --install platform ./charts/platform')
    expect(said).toContain(operatorApis[mode])
  })
})

test('pgo makes a cluster of three servers behind a pooler, with one user and one database a service', () => {
  const { spec } = named(plain.pgo, 'PostgresCluster', 'shop-postgres') as unknown as { spec: Record<string, unknown> }
  expect(spec).toMatchObject({
    instances: [{ replicas: 3 }],
    patroni: { dynamicConfiguration: { postgresql: { parameters: { max_connections: 500 } } } },
    proxy: {
      pgBouncer: { replicas: 2, config: { global: { pool_mode: 'transaction', max_prepared_statements: '500' } } },
    },
  })
  const users = spec['users'] as { name: string; databases?: string[] }[]
  expect(users.flatMap(({ databases = [] }) => databases).toSorted()).toEqual(services.toSorted())
  // What stands in `verifier` is what the operator gives the role.
  for (const { name } of users) {
    const secret = named(plain.pgo, 'Secret', `shop-postgres-pguser-${name}`)
    const { password, verifier } = secret['stringData'] as Record<string, string>
    expect(verifier).toBe(password)
    expect(secret.metadata.labels).toMatchObject({
      'postgres-operator.crunchydata.com/cluster': 'shop-postgres',
      'postgres-operator.crunchydata.com/pguser': name,
    })
  }
})

test('cnpg answers a commit when a second server has it, and lets only such a one take over', () => {
  expect(named(plain.cnpg, 'Cluster', 'shop-postgres')['spec']).toMatchObject({
    instances: 3,
    postgresql: { synchronous: { method: 'any', number: 1, dataDurability: 'required', failoverQuorum: true } },
    certificates: { serverAltDNSNames: ['shop-postgres-pooler'] },
  })
  expect(named(plain.cnpg, 'Pooler', 'shop-postgres-pooler')['spec']).toMatchObject({
    instances: 2,
    type: 'rw',
    pgbouncer: { poolMode: 'transaction', parameters: { max_prepared_statements: '500' } },
  })
  for (const service of services)
    expect(named(plain.cnpg, 'Database', `shop-postgres-${service}`)['spec']).toMatchObject({
      name: service,
      owner: `${service}_migrator`,
      databaseReclaimPolicy: 'retain',
    })
})

test('a registry of one’s own holds the images of the operators’ servers too', () => {
  expect(named(full.cnpg, 'Cluster', 'shop-postgres')['spec']).toHaveProperty(
    'imageName',
    expect.stringMatching(/^mirror\.example:5000\/cloudnative-pg\/postgresql:18/),
  )
  expect(named(full.pgo, 'PostgresCluster', 'shop-postgres')['spec']).toHaveProperty(
    'image',
    'mirror.example:5000/crunchydata/crunchy-postgres:18',
  )
})

test('a backup of each operator goes where the values say', () => {
  expect(named(full.cnpg, 'Cluster', 'shop-postgres')['spec']).toMatchObject({
    bootstrap: { recovery: { source: 'backup' } },
    backup: {
      retentionPolicy: '7d',
      barmanObjectStore: {
        destinationPath: 's3://saas-backup/shops/shop-postgres',
        endpointURL: 'http://shop-objectstore:9000',
        s3Credentials: { accessKeyId: { name: 'shop-postgres-backup' } },
      },
    },
  })
  expect(named(full.cnpg, 'ScheduledBackup', 'shop-postgres-backup')['spec']).toMatchObject({
    schedule: '0 17 3 * * *',
  })
  expect(named(full.pgo, 'PostgresCluster', 'shop-postgres')['spec']).toMatchObject({
    backups: {
      pgbackrest: {
        global: { 'repo1-retention-full': '7', 'repo1-path': '/shops/shop-postgres' },
        repos: [{ schedules: { full: '17 3 * * *' }, s3: { bucket: 'saas-backup', endpoint: 's3.example.com' } }],
      },
    },
    dataSource: { pgbackrest: { options: ['--type=time', '--target="2026-11-22 03:17:00+00"'] } },
  })
})

test('the check of types can fail', async ({ skip }) => {
  const change = (object: Rendered, spec: object) => customResourceErrors({ ...object, spec }) ?? []
  const cluster = named(plain.cnpg, 'Cluster', 'shop-postgres')
  const good = cluster['spec'] as { postgresql: object }
  expect(change(cluster, { ...good, synchronous: {} })).toEqual([
    'Cluster shop-postgres.spec.synchronous does not exist',
  ])
  expect(change(cluster, { ...good, instances: '3' })).toEqual(['Cluster shop-postgres.spec.instances is no integer'])
  expect(change(cluster, { ...good, postgresql: { synchronous: { method: 'all', number: 1 } } })).toEqual([
    'Cluster shop-postgres.spec.postgresql.synchronous.method is none of any, first',
  ])
  expect(change(cluster, { ...good, resources: { requests: { memory: 'much' } } })[0]).toContain('does not match')
  const why = await whyCrunchyIsUnknown()
  if (why !== undefined) skip(why)
  const pgo = named(plain.pgo, 'PostgresCluster', 'shop-postgres')
  const { instances, ...rest } = pgo['spec'] as { instances: object[] }
  expect(change(pgo, rest)).toEqual(['PostgresCluster shop-postgres.spec.instances is missing'])
  const [instance] = instances
  expect(
    change(pgo, { ...rest, instances: [{ ...instance, replicas: '3', replica: 1 }], imagePullPolicy: 'Sometimes' }),
  ).toEqual([
    'PostgresCluster shop-postgres.spec.instances[0].replicas is no i32: "3"',
    'PostgresCluster shop-postgres.spec.instances[0].replica does not exist',
    'PostgresCluster shop-postgres.spec.imagePullPolicy is none of Always, Never, IfNotPresent',
  ])
})

test('the operators that the platform installs are those that the values were written for', () => {
  const chart = parse(readFileSync(join(cloneDirectory, 'charts/platform/Chart.yaml'), 'utf8')) as {
    dependencies: { name: string; version: string }[]
  }
  expect(chart.dependencies.map(({ name, version }) => `${name} ${version}`)).toEqual([
    'pgo 6.0.3',
    'cloudnative-pg 0.29.0',
  ])
})

test.each([
  [
    'backups of pgo without https',
    { 'global.postgres.mode': 'pgo', 'postgres.backup.enabled': true },
    'set postgres.backup.endpoint to an https URL',
  ],
  [
    'backups elsewhere without a key',
    { 'postgres.backup.enabled': true, 'postgres.backup.endpoint': 'https://s3.example.com' },
    'set postgres.backup.existingSecret',
  ],
  [
    'an administrator whom Crunchy’s operator would not find',
    { 'global.postgres.mode': 'pgo', 'global.secrets.existing.postgres': 'mine' },
    'in shop-postgres-pguser-postgres only: name yours so, with the keys password and verifier (the same) and the labels',
  ],
  ['a restore from nowhere', { 'postgres.restore.backup': 'latest' }, 'set postgres.backup.enabled to true'],
  [
    'an authority for a mode that has one',
    { 'global.postgres.caSecret': 'mine' },
    'remove it, or set the mode to external',
  ],
  [
    'more connections of the poolers than Postgres has',
    { 'global.postgres.mode': 'cnpg', 'postgres.cluster.poolSize': 100 },
    'may open 820 connections',
  ],
  ['two servers of three', { 'postgres.cluster.instances': 2 }, '/cluster/instances'],
  ['a schedule with seconds', { 'postgres.backup.schedule': '0 0 3 * * *' }, '/backup/schedule'],
])('%s is refused with a sentence', async (_what, set, sentence) => {
  expect(await refusal(set, { apiVersions: Object.values(operatorApis) })).toContain(sentence)
})
