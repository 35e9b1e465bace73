import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { V1PodTemplateSpec } from '@kubernetes/client-node'
import { serviceNames } from '@saas/contracts'
import { cloneDirectory } from '@saas/devstack'
import { STOP_DEADLINE_MS, STOP_REST_MS } from '@saas/http'
import { beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { rendered, type Rendered } from './helm.ts'
import { named, workloads, type Workload } from './objects.ts'

let objects: readonly Rendered[]
let running: readonly Workload[]

beforeAll(async () => {
  objects = await rendered()
  running = workloads(objects).filter(({ object }) => ['Deployment', 'StatefulSet'].includes(object.kind))
})

test('what runs for long is asked three questions, no two of them the same', () => {
  expect(running.length).toBeGreaterThan(serviceNames.length + 3)
  for (const { name, pod } of running)
    for (const { startupProbe, livenessProbe, readinessProbe } of pod.containers) {
      const asked = [startupProbe, livenessProbe, readinessProbe].map((probe) => JSON.stringify(probe))
      expect(asked, name).not.toContain(undefined)
      expect(new Set(asked).size, name).toBe(3)
    }
})

test('replicas are spread over nodes and zones, and replaced without one missing', () => {
  const several = running.filter(({ object }) => (object['spec'] as { replicas?: number }).replicas !== 1)
  expect(several.map(({ name }) => name)).toContain('shop-nats')
  for (const { name, object, pod, labels } of several) {
    const spread = (pod.topologySpreadConstraints ?? []).map(({ topologyKey, labelSelector }) => {
      expect(labels, name).toMatchObject(labelSelector?.matchLabels ?? { none: '' })
      return topologyKey
    })
    expect(spread, name).toEqual(['kubernetes.io/hostname', 'topology.kubernetes.io/zone'])
    const { strategy } = object['spec'] as { strategy?: object }
    const due = { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } }
    expect(strategy, name).toEqual(object.kind === 'Deployment' ? due : undefined)
  }
})

test('pods are replaced when their configuration changed, and only those', async () => {
  const after = await rendered({ set: { 'nats.storage.bytesMax': 2_147_483_648, 'edge.autoscaling.maxReplicas': 9 } })
  const other = await rendered({ set: { 'global.trustedHops': 1 } })
  const replaced = (all: readonly Rendered[]): readonly string[] =>
    running.flatMap(({ object, name }) => {
      const template = (one: Rendered) => JSON.stringify((one['spec'] as { template: V1PodTemplateSpec }).template)
      return template(object) === template(named(all, object.kind, name)) ? [] : [name]
    })
  expect(replaced(after)).toEqual(['shop-nats'])
  // Auth reads the same setting.
  expect(replaced(other).toSorted()).toEqual(['shop-auth', 'shop-edge'])
})

test('a replica is added when those that are there are busy, whatever they ask for', async () => {
  const set = { 'orders.autoscaling.enabled': true, 'orders.autoscaling.targetCpuPercent': 60 }
  for (const cpu of ['10m', '2']) {
    const { metrics } = named(
      await rendered({ set: { ...set, 'orders.resources.requests.cpu': cpu } }),
      'HorizontalPodAutoscaler',
      'shop-orders',
    )['spec'] as { metrics: { resource: { target: object } }[] }
    expect(metrics.map(({ resource }) => resource.target)).toEqual([{ type: 'AverageValue', averageValue: '600m' }])
  }
})

const stopSeconds = (STOP_DEADLINE_MS + STOP_REST_MS) / 1_000

test('a service stops later than its last request, and is given as long as it may take', () => {
  for (const service of serviceNames) {
    const workload = workloads(objects).find(
      ({ object }) => object.kind === 'Deployment' && object.metadata.name === `shop-${service}`,
    )
    expect(workload?.pod.terminationGracePeriodSeconds).toBe(5 + stopSeconds)
    expect(workload?.containers.at(-1)).toMatchObject({
      lifecycle: { preStop: { sleep: { seconds: 5 } } },
      startupProbe: { httpGet: { port: 'operations', path: '/healthz' } },
      livenessProbe: { httpGet: { port: 'operations', path: '/healthz' } },
      readinessProbe: { httpGet: { port: 'operations', path: '/readyz' } },
    })
  }
})

test('in containers too', () => {
  const text = readFileSync(join(cloneDirectory, 'docker/compose.yaml'), 'utf8')
  const { services } = parse(text, { merge: true }) as { services: Record<string, { stop_grace_period?: string }> }
  for (const service of serviceNames) expect(services[service]?.stop_grace_period, service).toBe(`${stopSeconds}s`)
})
