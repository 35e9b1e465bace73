import type { V1Container, V1JobTemplateSpec, V1PodSpec, V1PodTemplateSpec } from '@kubernetes/client-node'
import { needs, serviceNames } from '@saas/contracts'
import type { Rendered } from './helm.ts'

/** The pod template of whatever makes pods; a pod is its own. */
function podTemplateOf(object: Rendered): V1PodTemplateSpec | undefined {
  if (object.kind === 'Pod') return object
  const spec = object['spec'] as { template?: V1PodTemplateSpec; jobTemplate?: V1JobTemplateSpec } | undefined
  return spec?.template ?? spec?.jobTemplate?.spec?.template
}

export interface Workload {
  readonly object: Rendered
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly pod: V1PodSpec
  readonly containers: readonly V1Container[]
}

export function workloads(objects: readonly Rendered[]): readonly Workload[] {
  return objects.flatMap((object) => {
    const template = podTemplateOf(object)
    if (template?.spec === undefined) return []
    const pod = template.spec
    return [
      {
        object,
        name: object.metadata.name,
        labels: template.metadata?.labels ?? {},
        pod,
        containers: [...(pod.initContainers ?? []), ...pod.containers],
      },
    ]
  })
}

export function ofKind(objects: readonly Rendered[], kind: string): readonly Rendered[] {
  return objects.filter((object) => object.kind === kind)
}

export function named(objects: readonly Rendered[], kind: string, name: string): Rendered {
  const found = objects.find((object) => object.kind === kind && object.metadata.name === name)
  if (found === undefined) throw new Error(`There is no ${kind} ${name}`)
  return found
}

export function selects(
  selector: Readonly<Record<string, string>> | undefined,
  labels: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(selector ?? {}).every(([key, value]) => labels[key] === value)
}

interface Rule {
  readonly from?: readonly Peer[]
  readonly to?: readonly Peer[]
  readonly ports?: readonly { readonly port: number }[]
}

interface Peer {
  readonly podSelector?: { readonly matchLabels?: Readonly<Record<string, string>> }
}

interface PolicySpec {
  readonly podSelector: { readonly matchLabels?: Readonly<Record<string, string>> }
  readonly ingress?: readonly Rule[]
  readonly egress?: readonly Rule[]
}

/** Who may call whom, as `caller → called:port`, when the policies of both sides say so. */
export function allowedCalls(objects: readonly Rendered[]): readonly string[] {
  const all = workloads(objects)
  const policies = ofKind(objects, 'NetworkPolicy').map((object) => object['spec'] as PolicySpec)
  const rules = (workload: Workload, direction: 'ingress' | 'egress') =>
    policies
      .filter((policy) => selects(policy.podSelector.matchLabels, workload.labels))
      .flatMap((policy) =>
        (policy[direction] ?? []).map(({ from, to, ports }) => ({
          peers: direction === 'ingress' ? from : to,
          ports,
        })),
      )
  const allows = (from: Workload, to: Workload, direction: 'ingress' | 'egress', port: number) => {
    const [own, other] = direction === 'ingress' ? [to, from] : [from, to]
    return rules(own, direction).some(
      ({ peers, ports }) =>
        (ports ?? []).some((rule) => rule.port === port) &&
        (peers === undefined ||
          peers.some((peer) => peer.podSelector !== undefined && selects(peer.podSelector.matchLabels, other.labels))),
    )
  }
  const calls = all.flatMap((from) =>
    all.flatMap((to) =>
      to.containers
        .flatMap((container) => container.ports ?? [])
        .filter(
          ({ containerPort }) =>
            allows(from, to, 'ingress', containerPort) && allows(from, to, 'egress', containerPort),
        )
        .map(({ containerPort }) => `${partOf(from)} → ${partOf(to)}:${containerPort}`),
    ),
  )
  return [...new Set(calls)].toSorted()
}

function partOf(workload: Workload): string {
  return workload.labels['app.kubernetes.io/name'] ?? workload.name
}

/** The values of Secrets, by name and key. */
export function secretValues(objects: readonly Rendered[]): Readonly<Record<string, Readonly<Record<string, string>>>> {
  return Object.fromEntries(
    ofKind(objects, 'Secret').map(({ metadata, stringData }) => [metadata.name, stringData as Record<string, string>]),
  )
}

/** The environment of the last container of a workload, as the kubelet would put it together. */
export function environmentOf(
  objects: readonly Rendered[],
  name: string,
  secrets = secretValues(objects),
): Readonly<Record<string, string>> {
  const workload = workloads(objects).find((one) => one.name === name)
  return containerEnvironment(workload?.containers.at(-1), secrets)
}

/** The environment of one container. */
export function containerEnvironment(
  container: V1Container | undefined,
  secrets: Readonly<Record<string, Readonly<Record<string, string>>>>,
): Record<string, string> {
  const environment: Record<string, string> = {}
  for (const { name: variable, value, valueFrom } of container?.env ?? []) {
    const { name: secret = '', key = '' } = valueFrom?.secretKeyRef ?? {}
    environment[variable] =
      secrets[secret]?.[key] ??
      (value ?? '').replaceAll(/\$\((\w+)\)/g, (text, other: string) => environment[other] ?? text)
  }
  return environment
}

/**
 * The containers of our images whose Node does not know how much memory it has: three quarters of the limit for the heap, without
 * what a service that has pictures sets aside for decoding them.
 */
export function heapsUnbounded(objects: readonly Rendered[]): readonly string[] {
  const decoding = new Set<string>(serviceNames.filter((service) => needs[service].objectStore))
  return workloads(objects).flatMap(({ name, containers }) =>
    containers
      .filter(({ image = '' }) => image.includes('/saas/'))
      .filter(({ name: container, env = [], resources }) => {
        const limit = String(resources?.limits?.['memory'])
        const mebibytes = Number.parseInt(limit) * (limit.endsWith('Gi') ? 1024 : 1)
        const told = env.find((variable) => variable.name === 'NODE_OPTIONS')?.value
        const aside = decoding.has(container) ? Math.min(160, Math.floor((mebibytes * 2) / 5)) : 0
        const forPictures = env.find((variable) => variable.name === 'PICTURE_MEMORY_MIB')?.value
        if (Number(forPictures ?? 0) !== aside) return true
        return told !== `--max-old-space-size=${Math.floor(((mebibytes - aside) * 3) / 4)}`
      })
      .map((container) => `${name} ${container.name}`),
  )
}
