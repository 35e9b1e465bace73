import { type Api, ApiError, type KubernetesObject } from './api.ts'
import { keepDoing } from './rounds.ts'

const NODES = 3
const ROUND_MS = 150
const LEASE_SECONDS = 40
const HEARTBEAT_MS = 10_000

interface Container {
  readonly name: string
  readonly image: string
  readonly env?: readonly {
    readonly valueFrom?: { readonly secretKeyRef?: Reference; readonly configMapKeyRef?: Reference }
  }[]
}

interface Reference {
  readonly name: string
  readonly key: string
}

interface Pod extends KubernetesObject {
  readonly spec: {
    readonly nodeName?: string
    readonly restartPolicy: string
    readonly containers: readonly Container[]
    readonly initContainers?: readonly Container[]
    readonly volumes?: readonly {
      readonly secret?: { readonly secretName: string }
      readonly configMap?: { readonly name: string }
    }[]
  }
  readonly status: { readonly phase?: string }
}

/** The version of an image that no registry has. */
export const MISSING_TAG = 'not-there'

/** Marks the nodes on which no container ever runs. */
const SIMULATED = 'saas.test/simulated'

/**
 * Nodes that say they run what they were given. They look as closely as a kubelet at what a pod refers to: one whose Secret or
 * ConfigMap, or a key of it, or whose image is not there waits and is never ready.
 */
export async function simulateNodes(api: Api): Promise<AsyncDisposable> {
  const names = Array.from({ length: NODES }, (_, index) => `simulated-${index}`)
  for (const [index, name] of names.entries()) await makeNode(api, name, `zone-${index}`)
  let addresses = 0
  const beats = keepDoing(HEARTBEAT_MS, async () => {
    for (const name of names) await renewLease(api, name)
  })
  const rounds = keepDoing(ROUND_MS, async () => {
    const pods = await api.list<Pod>('/api/v1/pods')
    for (const pod of pods) {
      if (!names.includes(pod.spec.nodeName ?? '')) continue
      if (pod.metadata.deletionTimestamp !== undefined) await api.delete(pathOf(pod), { gracePeriodSeconds: 0 })
      else if (pod.status.phase === 'Pending') await start(api, pod, (addresses += 1))
      else if (pod.status.phase === 'Running' && pod.spec.restartPolicy !== 'Always') await succeed(api, pod)
    }
  })
  return {
    [Symbol.asyncDispose]: async () => {
      await rounds[Symbol.asyncDispose]()
      await beats[Symbol.asyncDispose]()
    },
  }
}

async function makeNode(api: Api, name: string, zone: string): Promise<void> {
  await api.make('/api/v1/nodes', {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      labels: {
        'kubernetes.io/hostname': name,
        'kubernetes.io/os': 'linux',
        'topology.kubernetes.io/zone': zone,
        [SIMULATED]: '',
      },
    },
  })
  await renewLease(api, name)
  const size = { cpu: '8', memory: '16Gi', pods: '110', 'ephemeral-storage': '100Gi' }
  await api.patch(`/api/v1/nodes/${name}/status`, {
    status: { capacity: size, allocatable: size, conditions: [condition('Ready', 'KubeletReady')] },
  })
}

async function renewLease(api: Api, name: string): Promise<void> {
  const spec = {
    holderIdentity: name,
    leaseDurationSeconds: LEASE_SECONDS,
    renewTime: new Date().toISOString().replace('Z', '000Z'),
  }
  const path = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases'
  await api.make(path, { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name }, spec })
  await api.patch(`${path}/${name}`, { spec })
}

async function start(api: Api, pod: Pod, address: number): Promise<void> {
  const missing = await firstMissing(api, pod)
  const initial = pod.spec.initContainers ?? []
  await api.patch(`${pathOf(pod)}/status`, {
    status:
      missing === undefined
        ? {
            phase: 'Running',
            podIP: `10.244.${address >> 8}.${address & 255}`,
            podIPs: [{ ip: `10.244.${address >> 8}.${address & 255}` }],
            startTime: now(),
            conditions: ['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'].map((type) => condition(type)),
            initContainerStatuses: initial.map((container) => ended(container)),
            containerStatuses: pod.spec.containers.map((container) => ({
              ...common(container),
              ready: true,
              started: true,
              state: { running: { startedAt: now() } },
            })),
          }
        : {
            containerStatuses: pod.spec.containers.map((container) => ({
              ...common(container),
              ready: false,
              state: { waiting: { reason: 'CreateContainerConfigError', message: missing } },
            })),
          },
  })
}

async function succeed(api: Api, pod: Pod): Promise<void> {
  await api.patch(`${pathOf(pod)}/status`, {
    status: {
      phase: 'Succeeded',
      conditions: [{ ...condition('Ready', 'PodCompleted'), status: 'False' }],
      containerStatuses: pod.spec.containers.map((container) => ended(container)),
    },
  })
}

/** What a pod refers to and does not find, as a sentence. */
async function firstMissing(api: Api, pod: Pod): Promise<string | undefined> {
  const images = [...(pod.spec.initContainers ?? []), ...pod.spec.containers].map(({ image }) => image)
  const unknown = images.find((image) => image.endsWith(`:${MISSING_TAG}`))
  if (unknown !== undefined) return `${unknown} cannot be pulled`
  for (const { kind, name, key } of referencesOf(pod)) {
    const path = `/api/v1/namespaces/${pod.metadata.namespace ?? ''}/${kind}/${name}`
    const found = await api.get<{ data?: Readonly<Record<string, string>> }>(path).catch((error: unknown) => {
      if (error instanceof ApiError && error.status === 404) return undefined
      throw error
    })
    if (found === undefined) return `${kind}/${name} is not there`
    if (key !== undefined && found.data?.[key] === undefined) return `${kind}/${name} has no ${key}`
  }
  return undefined
}

interface Needed {
  readonly kind: 'secrets' | 'configmaps'
  readonly name: string
  readonly key?: string
}

function referencesOf({ spec }: Pod): readonly Needed[] {
  const needed: Needed[] = []
  for (const { env = [] } of [...(spec.initContainers ?? []), ...spec.containers]) {
    for (const { valueFrom } of env) {
      if (valueFrom?.secretKeyRef !== undefined) needed.push({ kind: 'secrets', ...valueFrom.secretKeyRef })
      if (valueFrom?.configMapKeyRef !== undefined) needed.push({ kind: 'configmaps', ...valueFrom.configMapKeyRef })
    }
  }
  for (const { secret, configMap } of spec.volumes ?? []) {
    if (secret !== undefined) needed.push({ kind: 'secrets', name: secret.secretName })
    if (configMap !== undefined) needed.push({ kind: 'configmaps', name: configMap.name })
  }
  return needed
}

function common({ name, image }: Container): object {
  return { name, image, imageID: image, restartCount: 0 }
}

function ended(container: Container): object {
  const terminated = { exitCode: 0, reason: 'Completed', startedAt: now(), finishedAt: now() }
  return { ...common(container), ready: true, started: false, state: { terminated } }
}

function condition(type: string, reason = 'Simulated'): object {
  return { type, status: 'True', reason, lastTransitionTime: now() }
}

function pathOf({ metadata }: Pod): string {
  return `/api/v1/namespaces/${metadata.namespace ?? ''}/pods/${metadata.name}`
}

function now(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, 'Z')
}
