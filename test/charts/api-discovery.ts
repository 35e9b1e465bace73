/** The kinds the charts use, by version and plural. An object of another kind is refused, as by a cluster without it. */
const kinds: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  v1: {
    secrets: 'Secret',
    configmaps: 'ConfigMap',
    services: 'Service',
    serviceaccounts: 'ServiceAccount',
    pods: 'Pod',
  },
  'apps/v1': { deployments: 'Deployment', statefulsets: 'StatefulSet' },
  'autoscaling/v2': { horizontalpodautoscalers: 'HorizontalPodAutoscaler' },
  'batch/v1': { jobs: 'Job', cronjobs: 'CronJob' },
  'networking.k8s.io/v1': { networkpolicies: 'NetworkPolicy', ingresses: 'Ingress' },
  'policy/v1': { poddisruptionbudgets: 'PodDisruptionBudget' },
}

/** What discovery answers, by path. */
export function discovery(): Readonly<Record<string, object>> {
  const groups = Object.keys(kinds).filter((version) => version.includes('/'))
  const lists = Object.entries(kinds).map(([groupVersion, resources]) => [
    pathOf(groupVersion),
    {
      kind: 'APIResourceList',
      groupVersion,
      resources: Object.entries(resources).map(([name, kind]) => ({
        name,
        singularName: '',
        namespaced: true,
        kind,
        verbs: ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'],
      })),
    },
  ])
  return {
    '/version': { major: '1', minor: '36', gitVersion: 'v1.36.0' },
    '/api': { kind: 'APIVersions', versions: ['v1'] },
    '/apis': {
      kind: 'APIGroupList',
      apiVersion: 'v1',
      groups: groups.map((groupVersion) => {
        const [name, version] = groupVersion.split('/')
        return { name, versions: [{ groupVersion, version }], preferredVersion: { groupVersion, version } }
      }),
    },
    ...(Object.fromEntries(lists) as Record<string, object>),
  }
}

function pathOf(groupVersion: string): string {
  return groupVersion === 'v1' ? '/api/v1' : `/apis/${groupVersion}`
}

/** What a path of objects is about; without a name it is the list of them. */
export function kindAt(path: string):
  | {
      readonly apiVersion: string
      readonly kind: string
      readonly namespace: string
      readonly name: string | undefined
    }
  | undefined {
  const [, base = '', namespace = '', plural = '', name] =
    /^(\/api\/v1|\/apis\/[^/]+\/[^/]+)\/namespaces\/([^/]+)\/([^/]+)(?:\/([^/]+))?$/.exec(path) ?? []
  const apiVersion = base === '/api/v1' ? 'v1' : base.replace('/apis/', '')
  const kind = kinds[apiVersion]?.[plural]
  return kind === undefined ? undefined : { apiVersion, kind, namespace, name }
}
