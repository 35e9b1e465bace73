import assert from 'node:assert/strict'
import { runStep, type Progress } from '@saas/devstack'
import { type ClusterObject, type Release } from './release.ts'
import { MISSING_TAG } from './harness/simulated-nodes.ts'
import { assertNeedsAreEnforced } from './reachability.ts'
import type { Load, Shopper } from './shopper.ts'

export interface LifecycleOptions {
  readonly release: Release
  readonly progress: Progress
  /** Somebody who shops in the cluster; undefined where no container runs. */
  readonly shopper: Shopper | undefined
  /** Undefined in a cluster that somebody else made. */
  readonly ownCluster: OwnCluster | undefined
}

/** What is known of a cluster made here: it enforces network policies, and shows what it runs. */
interface OwnCluster {
  /** MiB that each pod takes now, by its uid. */
  memoryOfPods(): ReadonlyMap<string, number>
}

/**
 * What a release lives through: installed, tested, upgraded and rolled back under load, uninstalled, installed again, and found
 * as it was. Throws at the first thing that is not as it must be.
 */
export async function liveThrough(options: LifecycleOptions): Promise<void> {
  const { release, progress, shopper } = options
  const step = async <T>(name: string, work: () => Promise<T>, detail?: (result: T) => string): Promise<T> =>
    await runStep(progress, name, work, detail)
  const test = async (): Promise<void> => {
    const said = await step('helm test', () => release.test(shopper !== undefined))
    // Helm prints the pod's log once for each hook of its name.
    for (const line of new Set(said.split('\n'))) if (line.startsWith('✓')) progress.begin(line.slice(2)).done()
  }

  await step('namespace', () => makeRestrictedNamespace(release))
  await step('install', () => release.install())
  await step('all ready', () => assertReady(release))
  const secrets = await secretsOf(release)
  const claims = await claimsOf(release)
  await test()
  await shopper?.buy()
  if (shopper !== undefined && options.ownCluster !== undefined) {
    const tried = (ways: number): string => `${ways} ways tried, and open are those that are declared`
    await step('network policies', () => assertNeedsAreEnforced(release, shopper.pod), tried)
  }

  await shopper?.startLoad()
  const before = await podsOf(release)
  await step('upgrade', () => release.upgrade(...replacements))
  await step('all replaced', async () => {
    await assertReady(release)
    await assertReplaced(release, before)
    assert.deepEqual(await secretsOf(release), secrets, 'an upgrade keeps every secret')
  })
  await step('an upgrade that cannot succeed rolls back by itself', () => assertRolledBack(release))
  await step('rollback', () => release.rollBack(1))
  await step('as before', async () => {
    await assertReady(release)
    assert.deepEqual(await secretsOf(release), secrets, 'a rollback keeps every secret')
  })
  if (shopper !== undefined) {
    const load = await step(
      'load',
      () => shopper.endLoad(),
      ({ requests, failed, seconds }) => `${requests} requests in ${seconds} s, ${failed} failed`,
    )
    for (const line of loadLines(load)) progress.begin(line).done()
    if (options.ownCluster !== undefined) {
      for (const line of await memoryLines(release, options.ownCluster)) progress.begin(line).done()
    }
    assert.equal(load.failed, 0, `requests failed beside the upgrade:\n${load.failures.join('\n')}`)
  }
  await test()

  await step('uninstall', () => release.uninstall())
  await step('what stays', async () => {
    await assertOnlyDataIsLeft(release)
    assert.deepEqual(await secretsOf(release), secrets, 'an uninstall leaves every secret')
    assert.deepEqual(await claimsOf(release), claims, 'an uninstall leaves every volume')
  })
  await step('install again', () => release.install())
  await step('as before', async () => {
    await assertReady(release)
    assert.deepEqual(await secretsOf(release), secrets, 'a new install takes the secrets over')
    assert.deepEqual(await claimsOf(release), claims, 'a new install takes the volumes over')
  })
  if (shopper !== undefined) await step('the data is there', () => shopper.findPurchase())
  await test()
}

/** How often each request was sent, and what else is worth knowing of the load. */
function loadLines({ byRequest, orders, slowestMs, streamsEnded }: Load): readonly string[] {
  const counts = Object.entries(byRequest).map(([name, count]) => `${count} × ${name}`)
  return [...counts, `${orders} orders, ${streamsEnded} streams ended with their pod, slowest answer ${slowestMs} ms`]
}

/** What the pods take after all that, by part. */
async function memoryLines(release: Release, cluster: OwnCluster): Promise<readonly string[]> {
  const taken = cluster.memoryOfPods()
  const parts = new Map<string, number[]>()
  for (const { metadata } of await podsOf(release)) {
    const part = metadata.labels?.['app.kubernetes.io/name'] ?? metadata.name
    parts.set(part, [...(parts.get(part) ?? []), Math.round(taken.get(metadata.uid) ?? 0)])
  }
  const sum = [...parts.values()].flat().reduce((total, mebibytes) => total + mebibytes, 0)
  const each = [...parts].map(([part, mebibytes]) => `${part} ${mebibytes.join(' + ')}`)
  return [`memory: ${sum} MiB in all`, `memory: ${each.join(', ')}`]
}

/** Where the API server refuses every pod that is not as Pod Security `restricted` wants it. */
async function makeRestrictedNamespace(release: Release): Promise<void> {
  const labels = ['enforce', 'warn', 'audit'].map((mode) => `pod-security.kubernetes.io/${mode}=restricted`)
  await release.kubectl('create', 'namespace', release.namespace)
  await release.kubectl('label', 'namespace', release.namespace, ...labels)
}

interface Workload extends ClusterObject {
  readonly spec: { readonly replicas?: number; readonly completions?: number }
}

/** Helm waited, and says so; this is looked at all the same. */
async function assertReady(release: Release): Promise<void> {
  assert.equal((await release.status()).status, 'deployed')
  // Helm 3 waits for Jobs only when it is told to by a flag that Helm 4 does not need.
  await release.awaitJobs()
  const workloads = (await release.objects('deployments,statefulsets,jobs')) as readonly Workload[]
  assert.ok(workloads.length > 0)
  for (const { kind, metadata, spec, status } of workloads) {
    const name = `${kind} ${metadata.name}`
    if (kind === 'Job') assert.equal(status?.['succeeded'], spec.completions, `${name} has not succeeded`)
    else assert.equal(status?.['readyReplicas'], spec.replicas, `${name} is not ready`)
  }
}

/** Pods that serve, without those that are about to end. */
async function podsOf(release: Release): Promise<readonly ClusterObject[]> {
  const pods = await release.objects('pods')
  return pods.filter(
    ({ status, metadata }) =>
      status?.['phase'] === 'Running' && metadata.deletionTimestamp === undefined && !isTest(metadata.labels),
  )
}

function isTest(labels: ClusterObject['metadata']['labels'] = {}): boolean {
  return labels['app.kubernetes.io/name'] === 'test'
}

/** What serves requests and runs more than once, so that all of it can be replaced without anybody noticing. */
const replaced = new Set(['auth', 'products', 'orders', 'notifications', 'frontend', 'edge'])
const replacements = [...replaced].map((part) => `--set=${part}.podAnnotations.revision=two`)

async function assertReplaced(release: Release, before: readonly ClusterObject[]): Promise<void> {
  const old = new Set(before.map(({ metadata }) => metadata.uid))
  for (const { metadata } of await podsOf(release)) {
    const part = metadata.labels?.['app.kubernetes.io/name'] ?? ''
    if (replaced.has(part)) assert.ok(!old.has(metadata.uid), `${metadata.name} was not replaced`)
  }
}

/**
 * With an image that nobody has: no pod of the release before is touched, and nothing of the failed one stays. The Job of its
 * migrations was in the way of theirs; it is made again and finds nothing to do.
 */
async function assertRolledBack(release: Release): Promise<void> {
  const whole = async (): Promise<unknown> => {
    const kinds = await release.objects('deployments,statefulsets,jobs,services,configmaps,networkpolicies,secrets')
    const pods = await podsOf(release)
    return [...kinds, ...pods].map(({ kind, metadata: { name, uid }, data }) =>
      kind === 'Job' ? [kind, name] : [kind, name, uid, data],
    )
  }
  const before = await whole()
  const { revision } = await release.status()
  const changes = [...replacements, `--set=orders.image.tag=${MISSING_TAG}`, '--set=orders.image.digest=']
  await assert.rejects(release.upgradeOrRollBack(...changes), /roll(ed)?[ -]?back/i)
  assert.deepEqual(await release.status(), { revision: revision + 2, status: 'deployed' })
  await assertReady(release)
  assert.deepEqual(await whole(), before, 'a failed upgrade leaves everything as it was')
}

async function secretsOf(release: Release): Promise<Record<string, unknown>> {
  const secrets = await release.objects('secrets')
  return Object.fromEntries(secrets.map(({ metadata, data }) => [metadata.name, data]))
}

async function claimsOf(release: Release): Promise<Record<string, string>> {
  const claims = await release.objects('persistentvolumeclaims')
  return Object.fromEntries(claims.map(({ metadata }) => [metadata.name, metadata.uid]))
}

async function assertOnlyDataIsLeft(release: Release): Promise<void> {
  const kinds = 'deployments,statefulsets,jobs,pods,services,configmaps,networkpolicies,poddisruptionbudgets'
  const left = (await release.objects(kinds)).filter(({ metadata }) => !isTest(metadata.labels))
  assert.deepEqual(
    left.map(({ kind, metadata }) => `${kind} ${metadata.name}`),
    [],
  )
}
