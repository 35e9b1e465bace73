import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { helmMajors, type HelmMajor } from '@saas/devstack'
import { sharedServers } from '@saas/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startApiServer, type ApiServer } from './api-server.ts'
import { runHelm, settings, umbrella, type Rendered } from './helm.ts'

const NAMESPACE = 'shops'
const RECORD_BYTES_MAX = 400_000

/** One life of a release after the other, each test going on where the last one ended. */
describe.each(helmMajors)('with Helm %i', (major) => {
  let cluster: ApiServer
  const helm = async (...args: readonly string[]) => await run(major, cluster, args)
  const change = async (command: 'install' | 'upgrade', set: Readonly<Record<string, unknown>> = {}, name = 'shop') =>
    await helm(command, name, umbrella, '--disable-openapi-validation', ...settings(set))
  const secrets = () =>
    Object.fromEntries(cluster.ofKind('Secret').map((secret) => [secret.metadata.name, secret['data']]))
  const names = () => Array.from(cluster.objects.values(), ({ kind, metadata }) => `${kind} ${metadata.name}`)
  const imageOf = (name: string) =>
    JSON.stringify(cluster.ofKind('Deployment').find(({ metadata }) => metadata.name === name)).match(
      /"image":"([^"]+)"/,
    )?.[1]
  const jobs = (service: string) =>
    cluster
      .ofKind('Job')
      .flatMap(({ metadata: { name } }) => (name.startsWith(`shop-${service}-migrate`) ? [name] : []))
  let made: ReturnType<typeof secrets>
  let migration: readonly string[]

  beforeAll(async () => {
    cluster = await startApiServer(mkdtempSync(join(sharedServers().directory, 'cluster-')))
    put(cluster, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'kube-root-ca.crt', namespace: NAMESPACE } })
  })

  afterAll(async () => {
    await cluster[Symbol.asyncDispose]()
  })

  test('an install makes everything, and secrets of its own', async () => {
    const notes = await change('install')
    // Where the shop is, how its first administrator comes about, and the next command.
    for (const said of [
      'at http://localhost:8080',
      'port-forward service/shop-edge 8080:80',
      "get secret shop-auth --output jsonpath='{.data.bootstrap-token}'",
      'curl http://localhost:8080/auth/bootstrap ',
      `helm test shop --namespace ${NAMESPACE} --logs`,
    ])
      expect(notes).toContain(said)
    made = secrets()
    migration = jobs('orders')
    const password = Buffer.from((made['shop-orders'] as Record<string, string>)['nats-password'] ?? '', 'base64')
    expect(password.toString()).toMatch(/^p[A-Za-z0-9]{31}$/)
    expect(cluster.ofKind('Deployment').length).toBeGreaterThan(5)
    expect(migration).toHaveLength(1)
    // What Helm keeps of a release must fit into one Secret.
    const record = Array.from(cluster.objects.values()).find(({ type }) => type === 'helm.sh/release.v1')
    expect(JSON.stringify(record).length).toBeLessThan(RECORD_BYTES_MAX)
  })

  test('another release beside it touches nothing of it, and has other secrets', async () => {
    const before = names()
    await change('install', {}, 'shop2')
    const [first, second] = [secrets()['shop-orders'], secrets()['shop2-orders']]
    expect(first).toEqual(made['shop-orders'])
    expect(second).not.toEqual(first)
    await helm('uninstall', 'shop2')
    expect(before.filter((name) => !names().includes(name))).toEqual([])
    for (const path of Array.from(cluster.objects.keys())) if (path.includes('/shop2-')) cluster.objects.delete(path)
  })

  test('an upgrade changes what was asked, keeps every secret and migrates under a new name', async () => {
    await change('upgrade', { 'orders.image.tag': '0.1.1', 'frontend.replicas': 5 })
    expect(imageOf('shop-orders')).toMatch(/:0\.1\.1$/)
    expect(
      cluster.ofKind('Deployment').find(({ metadata }) => metadata.name === 'shop-frontend')?.['spec'],
    ).toHaveProperty('replicas', 5)
    expect(secrets()).toEqual(made)
    expect(jobs('orders')).toHaveLength(1)
    expect(jobs('orders')).not.toEqual(migration)
  })

  test.each<[string, Record<string, unknown>, string]>([
    [
      'would leave the databases behind',
      { 'postgres.image.tag': '19.0' },
      'databases of this release are in /var/lib/postgresql/18/docker',
    ],
    [
      'would begin with other databases',
      {
        'global.postgres': {
          mode: 'external',
          existingSecrets: ownSecrets('auth', 'products', 'orders', 'notifications'),
        },
      },
      'a change of the mode moves no data',
    ],
    [
      'would leave the pictures behind',
      { 'global.objectStore': { endpoint: 'https://s3.example.com', existingSecrets: ownSecrets('auth', 'products') } },
      'the pictures of this release are in its StatefulSet shop-objectstore',
    ],
    [
      'would leave the stream without its nodes',
      { 'global.nats.replicas': 1 },
      'kubectl --namespace shops delete statefulset shop-nats',
    ],
    [
      'would change a volume',
      { 'postgres.storage.size': '20Gi' },
      'the StatefulSet shop-postgres was made with 10Gi of the class ""',
    ],
    [
      'would lose what a key has encrypted',
      { 'global.secrets.seed': 'another-seed-for-tests-that-is-long-enough-0123456789' },
      'the key-encryption-key of the Secret shop-auth would be lost',
    ],
  ])('an upgrade that %s is refused', async (_what, set, sentence) => {
    await expect(change('upgrade', set)).rejects.toThrow(sentence)
  })

  test('an upgrade that would leave the databases of an operator’s cluster behind is refused', async () => {
    const path = `/api/v1/namespaces/${NAMESPACE}/configmaps/shop-postgres`
    const written = cluster.objects.get(path) as Rendered & { data: object }
    expect(written.data).toHaveProperty('mode', 'standalone')
    cluster.objects.set(path, { ...written, data: { ...written.data, mode: 'cnpg' } })
    await expect(change('upgrade')).rejects.toThrow('are in the cluster shop-postgres of cnpg')
    cluster.objects.set(path, written)
  })

  test('a size that is the same in another unit is no change', async () => {
    const notes = await change('upgrade', { 'orders.image.tag': '0.1.1', 'postgres.storage.size': '10240Mi' })
    expect(notes).toContain('REVISION: 3')
  })

  test('a rollback is the release as it was', async () => {
    await helm('rollback', 'shop', '1')
    expect(imageOf('shop-orders')).toMatch(/:0\.1\.0$/)
    expect(jobs('orders')).toEqual(migration)
    expect(secrets()).toEqual(made)
  })

  test('a secret that is lost, or taken out to be replaced, is made anew, and no other', async () => {
    const path = `/api/v1/namespaces/${NAMESPACE}/secrets/shop-orders`
    const { 'nats-password': lost, ...data } = made['shop-orders'] as Record<string, string>
    cluster.objects.set(path, { ...cluster.objects.get(path), data } as unknown as Rendered)
    await change('upgrade', { 'global.secrets.rotation': 2 })
    const { 'shop-orders': mended, ...others } = secrets()
    expect(mended).toMatchObject(data)
    expect((mended as Record<string, string>)['nats-password']).not.toBe(lost)
    expect(others).toEqual(Object.fromEntries(Object.entries(made).filter(([name]) => name !== 'shop-orders')))
    made = secrets()
  })

  test('an uninstall leaves the secrets and nothing else', async () => {
    await helm('uninstall', 'shop')
    expect(
      names()
        .filter((name) => name !== 'ConfigMap kube-root-ca.crt')
        .toSorted(),
    ).toEqual(
      Object.keys(made)
        .map((name) => `Secret ${name}`)
        .toSorted(),
    )
  })

  test('an install of the same name takes them over', async () => {
    await change('install')
    expect(secrets()).toEqual(made)
  })

  test('without keeping data nothing stays', async () => {
    await change('upgrade', { 'global.retainData': false })
    await helm('uninstall', 'shop')
    expect(names()).toEqual(['ConfigMap kube-root-ca.crt'])
  })
})

function ownSecrets(...services: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(services.map((service) => [service, `own-${service}`]))
}

async function run(major: HelmMajor, cluster: ApiServer, args: readonly string[]): Promise<string> {
  return await runHelm(major, [...args, `--namespace=${NAMESPACE}`, '--qps=1000', `--kubeconfig=${cluster.kubeconfig}`])
}

function put(cluster: ApiServer, object: Rendered): void {
  cluster.objects.set(`/api/v1/namespaces/${NAMESPACE}/configmaps/${object.metadata.name}`, object)
}
