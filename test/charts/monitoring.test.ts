import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parser } from '@prometheus-io/lezer-promql'
import { cloneDirectory } from '@saas/devstack'
import { serviceNames } from '@saas/contracts'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { beforeAll, expect, test } from 'vitest'
import { crdErrors } from './crd-types.ts'
import { loadDefinitions } from './definitions.ts'
import { refusal, rendered, type Rendered } from './helm.ts'
import { environmentOf, named, ofKind, selects, workloads } from './objects.ts'

const metricsFrom = [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }]
const on = { 'global.networkPolicy.metricsFrom': metricsFrom }
let objects: readonly Rendered[]

beforeAll(async () => {
  await loadDefinitions()
  objects = await rendered({
    set: {
      ...on,
      'global.monitoring': {
        enabled: 'always',
        dashboards: true,
        labels: { prometheus: 'main' },
        alertLabels: { team: 'shop' },
      },
    },
  })
})

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

function rules(): readonly Rule[] {
  const { groups } = named(objects, 'PrometheusRule', 'shop-promises')['spec'] as { groups: { rules: Rule[] }[] }
  return groups.flatMap((group) => group.rules)
}

function panelQueries(): readonly string[] {
  const [json = ''] = Object.values(named(objects, 'ConfigMap', 'shop-dashboards')['data'] as Record<string, string>)
  const { panels } = JSON.parse(json) as { panels: { targets: { expr: string }[] }[] }
  return panels.flatMap(({ targets }) => targets.map(({ expr }) => expr.replaceAll('$__rate_interval', '5m')))
}

test('the monitor, the rules and the route are as their operators type them', () => {
  const custom = objects.filter(({ apiVersion }) => apiVersion.startsWith('monitoring.coreos.com/'))
  expect(custom.map(({ kind }) => kind)).toEqual(['PodMonitor', 'PrometheusRule'])
  expect(custom.flatMap(crdErrors)).toEqual([])
  for (const { metadata } of custom) expect(metadata.labels).toHaveProperty('prometheus', 'main')
  const [monitor] = custom
  expect(crdErrors({ ...monitor, spec: { selector: {}, podMetricsEndpoint: [] } } as unknown as Rendered)).toEqual([
    'PodMonitor shop-services.spec.podMetricsEndpoint does not exist',
  ])
  expect(crdErrors({ ...monitor, spec: { selector: { matchLabels: 'all' } } } as unknown as Rendered)).toHaveLength(1)
})

test('it finds the operations port of every service, and the policies let it in', () => {
  const { selector, podMetricsEndpoints } = named(objects, 'PodMonitor', 'shop-services')['spec'] as {
    selector: { matchLabels: Record<string, string>; matchExpressions: { key: string; values: string[] }[] }
    podMetricsEndpoints: { port: string }[]
  }
  const found = workloads(objects).filter(
    ({ labels }) =>
      selects(selector.matchLabels, labels) &&
      selector.matchExpressions.every(({ key, values }) => values.includes(labels[key] ?? '')),
  )
  expect(found.map(({ name }) => name).toSorted()).toEqual(serviceNames.map((name) => `shop-${name}`).toSorted())
  for (const { containers, name } of found) {
    expect(containers.at(-1)?.ports).toContainEqual({
      name: podMetricsEndpoints[0]?.port,
      containerPort: 9000,
      protocol: 'TCP',
    })
    const { ingress } = named(objects, 'NetworkPolicy', name)['spec'] as { ingress: object[] }
    expect(ingress).toContainEqual({ from: metricsFrom, ports: [{ port: 9000, protocol: 'TCP' }] })
  }
})

test('spans go to the collector that the values name, and the policies let them out', async () => {
  const traced = await rendered({ set: { 'global.tracing': { endpoint: 'https://collector.example', share: 0.05 } } })
  for (const service of serviceNames) {
    expect(environmentOf(traced, `shop-${service}`)).toMatchObject({
      OTEL_EXPORTER_OTLP_ENDPOINT: 'https://collector.example',
      OTEL_TRACES_SAMPLER_ARG: '0.05',
    })
    const { egress } = named(traced, 'NetworkPolicy', `shop-${service}`)['spec'] as { egress: object[] }
    expect(egress).toContainEqual({ ports: [{ port: 443, protocol: 'TCP' }] })
  }
  const refused = await refusal({ 'global.tracing.endpoint': 'collector:4318' })
  expect(refused).toMatch(/tracing.*endpoint/s)
})

test('every query is PromQL, of this release only, and asks for metrics that the services have', async () => {
  const offered = await metricNames()
  const queries = [...rules().map(({ expr }) => expr), ...panelQueries()]
  expect(queries.length).toBeGreaterThan(25)
  for (const query of queries) {
    const selectors: string[] = []
    parser.parse(query).iterate({
      enter: ({ type, from, to }) => {
        expect(type.isError, query).toBe(false)
        if (type.name === 'VectorSelector') selectors.push(query.slice(from, to))
      },
    })
    expect(selectors.length, query).toBeGreaterThan(0)
    for (const selector of selectors) expect(selector).toMatch(/release="[^"]+",namespace="[^"]+"/)
    const names = selectors.map((selector) => selector.slice(0, selector.indexOf('{')))
    expect(
      names.filter((name) => !offered.has(name.replace(/_(bucket|sum|count)$/, ''))),
      query,
    ).toEqual([])
  }
})

/** Those that the sources of packages and services name, and those of every Node process. */
async function metricNames(): Promise<ReadonlySet<string>> {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const ofNode = (await registry.getMetricsAsJSON()).map(({ name }) => name)
  const own = globSync(['packages/*/src/**/*.ts', 'services/*/src/**/*.ts'], { cwd: cloneDirectory }).flatMap((path) =>
    Array.from(
      readFileSync(join(cloneDirectory, path), 'utf8').matchAll(
        /(?:name: |NAME = |gauge\(\s*)'((?:saas|http)_[a-z_]+)'/g,
      ),
      ([, name = '']) => name,
    ),
  )
  return new Set([...ofNode, ...own, 'up'])
}

test('every alert says what it means and what to do', () => {
  const alerts = rules()
  expect(new Set(alerts.map(({ alert }) => alert)).size).toBe(alerts.length)
  for (const { labels, annotations } of alerts) {
    expect(labels).toEqual({ severity: expect.stringMatching(/^(warning|critical)$/), team: 'shop' })
    expect(annotations).toEqual({ summary: expect.stringMatching(/./), description: expect.stringMatching(/\.$/) })
  }
})

test('a cluster without the operator gets none of it, one with it what its policies allow', async () => {
  const kinds = async (set: Readonly<Record<string, unknown>>, apiVersions: readonly string[]) =>
    (await rendered({ set, apiVersions })).filter(({ apiVersion }) => apiVersion.startsWith('monitoring')).length
  const present = ['monitoring.coreos.com/v1/PodMonitor', 'monitoring.coreos.com/v1/PrometheusRule']
  expect(
    await Promise.all([
      kinds(on, []),
      kinds(on, present),
      kinds({}, present),
      kinds({ 'global.monitoring.enabled': 'never', ...on }, present),
    ]),
  ).toEqual([0, 2, 0, 0])
  expect(ofKind(objects, 'ServiceMonitor')).toEqual([])
})
