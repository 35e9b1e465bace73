import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Rendered } from './helm.ts'

/** As much of an API server as Helm asks while it renders: what kinds there are, and objects by their name. */
export interface ClusterStub extends AsyncDisposable {
  /** For KUBECONFIG. */
  readonly kubeconfig: string
  /** Path of an object below `/api/v1/namespaces/` to the object, as the cluster holds it. */
  readonly objects: Map<string, object>
  /** Puts the Secrets of a release there as they would be stored. */
  keep(release: string, secrets: readonly Rendered[]): void
}

/** The kinds the charts use. An object of another kind would be refused, as by a cluster without it. */
const kinds: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  v1: { secrets: 'Secret', configmaps: 'ConfigMap', services: 'Service' },
  'apps/v1': { deployments: 'Deployment', statefulsets: 'StatefulSet' },
  'batch/v1': { jobs: 'Job' },
  'networking.k8s.io/v1': { networkpolicies: 'NetworkPolicy' },
  'policy/v1': { poddisruptionbudgets: 'PodDisruptionBudget' },
}

/** What discovery answers, by path. */
function discovery(): Readonly<Record<string, object>> {
  const groups = Object.keys(kinds).filter((version) => version.includes('/'))
  const lists = Object.entries(kinds).map(([groupVersion, resources]) => [
    groupVersion === 'v1' ? '/api/v1' : `/apis/${groupVersion}`,
    {
      kind: 'APIResourceList',
      groupVersion,
      resources: Object.entries(resources).map(([name, kind]) => ({
        name,
        singularName: '',
        namespaced: true,
        kind,
        verbs: ['get', 'list'],
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

export async function startClusterStub(directory: string): Promise<ClusterStub> {
  const objects = new Map<string, object>()
  const answers = discovery()
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://stub').pathname
    const answer = answers[path] ?? objects.get(path.replace('/api/v1/namespaces/', ''))
    const missing = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'NotFound', code: 404 }
    response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(answer ?? missing))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const kubeconfig = join(directory, 'kubeconfig')
  const { port } = server.address() as AddressInfo
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'stub', cluster: { server: `http://127.0.0.1:${port}` } }],
    contexts: [{ name: 'stub', context: { cluster: 'stub', user: 'stub' } }],
    users: [{ name: 'stub', user: {} }],
    'current-context': 'stub',
  }
  writeFileSync(kubeconfig, JSON.stringify(config))
  return {
    kubeconfig,
    objects,
    keep: (release, secrets) => {
      for (const { stringData, ...secret } of secrets) {
        const data = Object.fromEntries(
          Object.entries(stringData as Record<string, string>).map(([key, value]) => [
            key,
            Buffer.from(value).toString('base64'),
          ]),
        )
        const { name, namespace = '', annotations = {} } = secret.metadata
        // As Helm itself marks what it made; it takes over nothing else.
        const owner = { 'meta.helm.sh/release-name': release, 'meta.helm.sh/release-namespace': namespace }
        const metadata = { ...secret.metadata, annotations: { ...annotations, ...owner } }
        objects.set(`${namespace}/secrets/${name}`, { ...secret, metadata, data })
      }
    },
    [Symbol.asyncDispose]: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
