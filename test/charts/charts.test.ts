import { needs, serviceNames } from '@saas/contracts'
import { helmMajors } from '@saas/devstack'
import { beforeAll, describe, expect, test } from 'vitest'
import { loadDefinitions } from './definitions.ts'
import { operatorApis, parsed, rendered, renderedText, type Rendered } from './helm.ts'
import { typeErrors } from './kubernetes-types.ts'
import { allowedCalls, heapsUnbounded, named, ofKind, selects, workloads } from './objects.ts'

const NAME_LENGTH_MAX = 63
const LONG_RELEASE = 'a-release-with-the-longest-name-that-helm-would-take1'
const LONG_RELEASE_TOO = 'a-release-with-the-longest-name-that-helm-would-take2'

/** What CloudNativePG makes of its objects: the Services in front of the servers and of PgBouncer, and pods with its own labels. */
const operatorServices = new Set(['shop-postgres-rw', 'shop-postgres-pooler'])
const operatorLabel = 'cnpg.io/cluster'

const profiles = ['default', 'small', 'ha', 'external'] as const
type Profile = (typeof profiles)[number]

const text = {} as Record<3 | 4, string>
const objects = {} as Record<Profile, readonly Rendered[]>
let long: readonly Rendered[]
let longToo: readonly Rendered[]

beforeAll(async () => {
  await loadDefinitions()
  // Two at a time, as many as a small machine has cores.
  ;[text[3], text[4]] = await Promise.all([renderedText({ helm: 3 }), renderedText({ helm: 4 })])
  objects.default = parsed(text[4])
  ;[objects.small, objects.ha] = await Promise.all([
    rendered({ files: ['values-small.yaml'] }),
    rendered({ files: ['values-ha.yaml'], helm: 3, apiVersions: [operatorApis.cnpg] }),
  ])
  ;[objects.external, long] = await Promise.all([
    rendered({ files: ['values-external.yaml'] }),
    rendered({ release: LONG_RELEASE, helm: 3 }),
  ])
  longToo = await rendered({ release: LONG_RELEASE_TOO })
})

test('both Helms render the same from a bare clone', () => {
  expect(helmMajors).toEqual([3, 4])
  const sorted = (all: readonly Rendered[]) =>
    all.toSorted((a, b) => (a.kind + a.metadata.name < b.kind + b.metadata.name ? -1 : 1))
  expect(sorted(parsed(text[3]))).toEqual(sorted(objects.default))
})

test('two renders are equal', async () => {
  expect(await renderedText()).toBe(text[4])
})

test.each(profiles)('every object of %s is as Kubernetes types it', (profile) => {
  expect(objects[profile].length).toBeGreaterThan(40)
  expect(objects[profile].flatMap(typeErrors)).toEqual([])
})

test('the check of types can fail', () => {
  const wrong = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'wrong' },
    spec: { replicas: '2', template: { spec: { container: [] } } },
  }
  expect(typeErrors(wrong)).toEqual([
    'Deployment wrong.spec.replicas is no number: "2"',
    'Deployment wrong.spec.template.spec.container does not exist',
  ])
})

describe('names', () => {
  test('are at most 63 characters and unique', () => {
    for (const all of [...Object.values(objects), long]) {
      const names = all.map(({ kind, metadata }) => `${kind} ${metadata.name}`)
      expect(new Set(names).size).toBe(names.length)
      expect(all.filter(({ metadata }) => metadata.name.length > NAME_LENGTH_MAX)).toEqual([])
    }
  })

  test('of two releases in one namespace never meet, nor do their selectors', () => {
    const names = new Set(long.map(({ kind, metadata }) => `${kind} ${metadata.name}`))
    expect(longToo.filter(({ kind, metadata }) => names.has(`${kind} ${metadata.name}`))).toEqual([])
    const selectors = [...long, ...longToo].flatMap(({ kind, spec }) =>
      ['Deployment', 'StatefulSet'].includes(kind) ? [JSON.stringify((spec as { selector: object }).selector)] : [],
    )
    expect(new Set(selectors).size).toBe(selectors.length)
  })

  test('the selectors of workloads are name and instance and nothing that changes', () => {
    for (const { kind, spec } of objects.default) {
      if (!['Deployment', 'StatefulSet'].includes(kind)) continue
      const { matchLabels } = (spec as { selector: { matchLabels: object } }).selector
      expect(Object.keys(matchLabels).toSorted()).toEqual(['app.kubernetes.io/instance', 'app.kubernetes.io/name'])
    }
  })
})

describe.each(profiles)('in %s', (profile) => {
  test('every pod is as Pod Security `restricted` wants it, and more', () => {
    for (const { name, pod, containers } of workloads(objects[profile])) {
      expect(pod, name).toMatchObject({
        automountServiceAccountToken: false,
        securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      })
      expect(pod.securityContext?.runAsUser, name).toBeGreaterThanOrEqual(10_000)
      for (const { securityContext, resources, image, imagePullPolicy } of containers) {
        expect(securityContext, name).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        })
        expect(resources?.requests, name).toMatchObject({ cpu: expect.anything(), memory: expect.anything() })
        expect(resources?.limits, name).toHaveProperty('memory')
        expect(image, name).toMatch(/:[^:/]+$/)
        expect(image, name).not.toMatch(/:latest$/)
        expect(imagePullPolicy, name).toBe('IfNotPresent')
      }
      const scratch = (pod.volumes ?? []).flatMap(({ emptyDir }) => (emptyDir === undefined ? [] : [emptyDir]))
      for (const emptyDir of scratch) expect(emptyDir, name).toHaveProperty('sizeLimit')
    }
  })

  test('every reference leads somewhere', () => {
    const all = objects[profile]
    const given = new Set(
      profile === 'default' || profile === 'small'
        ? []
        : [
            'shop-smtp',
            ...(profile === 'external'
              ? [
                  'shop-auth-s3',
                  'shop-products-s3',
                  ...['auth', 'products', 'orders', 'notifications'].map((name) => `shop-${name}-postgres`),
                ]
              : []),
          ],
    )
    for (const { name, pod, containers } of workloads(all)) {
      for (const { secretKeyRef } of containers
        .flatMap(({ env }) => env ?? [])
        .map(({ valueFrom }) => valueFrom ?? {})) {
        if (secretKeyRef?.name === undefined || given.has(secretKeyRef.name)) continue
        expect(named(all, 'Secret', secretKeyRef.name)['stringData'], name).toHaveProperty([secretKeyRef.key])
      }
      for (const { configMap } of pod.volumes ?? [])
        if (configMap?.name !== undefined) named(all, 'ConfigMap', configMap.name)
      const claims = workloadClaims(all, name)
      for (const { volumeMounts = [], name: container } of containers)
        for (const mount of volumeMounts)
          expect([...(pod.volumes ?? []).map((volume) => volume.name), ...claims], `${name} ${container}`).toContain(
            mount.name,
          )
    }
    for (const service of ofKind(all, 'Service')) {
      const { selector, ports } = service['spec'] as {
        selector: Record<string, string>
        ports: { targetPort: string }[]
      }
      const behind = workloads(all).filter(({ labels }) => selects(selector, labels))
      expect(behind.length, service.metadata.name).toBe(1)
      const open = behind[0]?.containers.flatMap((container) => container.ports ?? []).map((port) => port.name)
      for (const { targetPort } of ports) {
        expect(open, service.metadata.name).toContain(targetPort)
        expect(targetPort).not.toBe('operations')
      }
    }
    for (const kind of ['PodDisruptionBudget', 'NetworkPolicy']) {
      for (const { metadata, spec } of ofKind(all, kind)) {
        const { selector, podSelector } = spec as Record<string, { matchLabels: Record<string, string> } | undefined>
        const labels = (selector ?? podSelector)?.matchLabels
        if (labels?.[operatorLabel] !== undefined) continue
        expect(
          workloads(all).some((workload) => selects(labels, workload.labels)),
          metadata.name,
        ).toBe(true)
      }
    }
    for (const { spec } of ofKind(all, 'HorizontalPodAutoscaler')) {
      const { kind, name } = (spec as { scaleTargetRef: { kind: string; name: string } }).scaleTargetRef
      expect(named(all, kind, name)['spec']).not.toHaveProperty('replicas')
    }
    for (const { spec } of ofKind(all, 'Ingress')) {
      const { rules } = spec as { rules: { http: { paths: { backend: { service: { name: string } } }[] } }[] }
      for (const { http } of rules) for (const { backend } of http.paths) named(all, 'Service', backend.service.name)
    }
  })

  test('addresses in the environment are those of Services, with ports that they have', () => {
    const all = objects[profile]
    const values = [
      ...workloads(all)
        .flatMap(({ containers }) => containers.flatMap(({ env }) => env ?? []))
        .map(({ value }) => value ?? ''),
      ...ofKind(all, 'Secret').flatMap(({ stringData }) => Object.values(stringData as Record<string, string>)),
    ]
    const addresses = values.flatMap((value) => Array.from(value.matchAll(/(?:\/\/|@)(shop-[a-z-]+):(\d+)/g)))
    expect(addresses.length).toBeGreaterThan(3)
    for (const [, host = '', port] of addresses) {
      const { ports } = (
        profile === 'ha' && operatorServices.has(host)
          ? { ports: [{ port: 5432 }] }
          : named(all, 'Service', host)['spec']
      ) as { ports: { port: number }[] }
      expect(ports.map((open) => String(open.port))).toContain(port)
    }
  })

  test('more than one replica has a disruption budget, one has none', () => {
    for (const { kind, metadata, spec } of objects[profile]) {
      if (!['Deployment', 'StatefulSet'].includes(kind)) continue
      const scaler = ofKind(objects[profile], 'HorizontalPodAutoscaler').some(
        (other) => other.metadata.name === metadata.name,
      )
      const budget = ofKind(objects[profile], 'PodDisruptionBudget').some(
        (other) => other.metadata.name === metadata.name,
      )
      expect(budget, metadata.name).toBe(scaler || (spec as { replicas: number }).replicas > 1)
    }
  })
})

function workloadClaims(all: readonly Rendered[], name: string): readonly string[] {
  const set = ofKind(all, 'StatefulSet').find(({ metadata }) => metadata.name === name)
  const spec = set?.['spec'] as { volumeClaimTemplates?: { metadata: { name: string } }[] } | undefined
  return (spec?.volumeClaimTemplates ?? []).map(({ metadata }) => metadata.name)
}

describe('what the services need', () => {
  test('alone decides who may speak to whom', () => {
    const stateful = serviceNames.filter((service) => needs[service].database)
    const declared = [
      ...serviceNames.map((service) => `edge → ${service}:3000`),
      ...stateful.flatMap((service) => [
        `${service} → nats:4222`,
        `${service} → postgres:5432`,
        `${service}-migrate → postgres:5432`,
      ]),
      ...serviceNames.filter((service) => needs[service].objectStore).map((service) => `${service} → objectstore:9000`),
      ...serviceNames.filter((service) => needs[service].smtp).map((service) => `${service} → mailbox:1025`),
      'nats → nats:6222',
      'objectstore-provision → objectstore:9000',
      'postgres-provision → postgres:5432',
      // `helm test`; where mails leave the cluster it looks at the edge only.
      'test → edge:8080',
      'test → mailbox:8025',
      'test → products:3000',
    ]
    expect(allowedCalls(objects.default)).toEqual(declared.toSorted())
    expect(allowedCalls(objects.external)).toEqual(
      declared.filter((call) => !/postgres|objectstore|mailbox|test → products/.test(call)).toSorted(),
    )
  })

  test('auth reaches OpenID providers when it is told of any, and nobody else does', async () => {
    const all = await rendered({
      set: { 'auth.secretEnvironment.OIDC_PROVIDERS': { secret: 'shop-oidc', key: 'providers' } },
    })
    const anywhere = { ports: [{ port: 443, protocol: 'TCP' }] }
    const reaching = (some: readonly Rendered[]) =>
      ofKind(some, 'NetworkPolicy')
        .filter(({ spec }) =>
          JSON.stringify((spec as { egress?: object[] }).egress ?? []).includes(JSON.stringify(anywhere)),
        )
        .map(({ metadata }) => metadata.name)
    expect(reaching(all)).toEqual(['shop-auth'])
    expect(reaching(objects.default)).toEqual([])
  })

  test('every pod is denied what no policy allows', () => {
    const { podSelector, policyTypes, ...rest } = named(objects.default, 'NetworkPolicy', 'shop-default-deny')[
      'spec'
    ] as {
      podSelector: { matchLabels: Record<string, string> }
      policyTypes: string[]
    }
    expect([policyTypes, rest]).toEqual([['Ingress', 'Egress'], {}])
    for (const { labels } of workloads(objects.default)) expect(selects(podSelector.matchLabels, labels)).toBe(true)
  })

  test('a migration runs again when it or its image changes, and only then', async () => {
    const jobs = (all: readonly Rendered[]) => ofKind(all, 'Job').map(({ metadata }) => metadata.name)
    const [same, other] = await Promise.all([
      rendered({ set: { 'frontend.replicas': 3 } }),
      rendered({ set: { 'orders.image.tag': '0.1.1' } }),
    ])
    expect(jobs(same)).toEqual(jobs(objects.default))
    expect(jobs(other).filter((name) => !jobs(objects.default).includes(name))).toEqual([
      expect.stringMatching(/^shop-orders-migrate-[0-9a-f]{8}$/),
    ])
  })
})

test('secrets and the claims of data outlive the release', () => {
  for (const { metadata } of ofKind(objects.default, 'Secret'))
    expect(metadata.annotations, metadata.name).toEqual({ 'helm.sh/resource-policy': 'keep' })
  for (const { spec } of ofKind(objects.default, 'StatefulSet'))
    expect(spec).toMatchObject({ persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain' } })
})

test('nothing but the pod of the test and its script is a hook', () => {
  const hooks = objects.default.filter(({ metadata }) => metadata.annotations?.['helm.sh/hook'] !== undefined)
  // Helm asks for the log of every hook of a test by its name, so all have the pod's.
  expect(hooks.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([
    'ConfigMap shop-test',
    'Pod shop-test',
  ])
})

test('every pod of our images starts by their own entry point, an init that hears a signal while Node still loads', () => {
  const ours = workloads(objects.default)
    .flatMap(({ containers }) => containers)
    .filter(({ image = '' }) => image.includes('/saas/'))
  expect(ours.length).toBeGreaterThan(serviceNames.length)
  for (const { name, command } of ours) expect(command, name).toBeUndefined()
})

test('every Node, of Jobs and of the test too, keeps its heap below the memory limit of its container', () => {
  for (const profile of profiles) expect(heapsUnbounded(objects[profile]), profile).toEqual([])
})

test('the small profile takes less than 2 GiB', () => {
  const mebibytes = workloads(objects.small)
    .filter(({ object }) => !['Job', 'Pod'].includes(object.kind))
    .flatMap(({ pod }) => pod.containers)
    .map(({ resources }) => String(resources?.limits?.['memory']))
    .map((limit) => Number(limit.slice(0, -2)) * (limit.endsWith('Gi') ? 1024 : 1))
  expect(mebibytes.reduce((sum, limit) => sum + limit, 0)).toBeLessThan(2048)
})
