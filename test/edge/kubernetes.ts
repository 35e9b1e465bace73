import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** An object of Kubernetes, as somebody would have applied it. */
export interface KubernetesObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string }
}

/** As much of an API server as somebody needs who watches it: lists, and watches in which nothing changes. */
export interface Kubernetes extends AsyncDisposable {
  readonly url: string
}

/** What a proxy watches; a kind that is not here is one that the cluster does not know. */
const kinds: Readonly<Record<string, string>> = {
  configmaps: 'ConfigMap',
  endpointslices: 'EndpointSlice',
  nodes: 'Node',
  secrets: 'Secret',
  services: 'Service',
  ingressroutes: 'IngressRoute',
  ingressroutetcps: 'IngressRouteTCP',
  ingressrouteudps: 'IngressRouteUDP',
  middlewares: 'Middleware',
  middlewaretcps: 'MiddlewareTCP',
  traefikservices: 'TraefikService',
  serverstransports: 'ServersTransport',
  serverstransporttcps: 'ServersTransportTCP',
  tlsoptions: 'TLSOption',
  tlsstores: 'TLSStore',
}

/** Serves the objects, all in one namespace. */
export async function startKubernetes(objects: readonly KubernetesObject[], namespace: string): Promise<Kubernetes> {
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://server')
    const [, core, group, plural = ''] =
      /^\/(?:api\/(v1)|apis\/([^/]+\/[^/]+))(?:\/namespaces\/[^/]+)?\/([^/]+)$/.exec(pathname) ?? []
    const [apiVersion, kind] = [core ?? group, kinds[plural]]
    response.setHeader('content-type', 'application/json')
    if (apiVersion === undefined || kind === undefined) {
      response.writeHead(404).end('{}')
      return
    }
    const items = objects
      .filter((object) => object.apiVersion === apiVersion && object.kind === kind)
      .map((object): KubernetesObject => {
        const uid = `${kind}-${object.metadata.name}`
        return Object.assign({}, object, { metadata: { uid, resourceVersion: '1', namespace, ...object.metadata } })
      })
    if (searchParams.get('watch') === null) {
      response.end(JSON.stringify({ apiVersion, kind: `${kind}List`, metadata: { resourceVersion: '1' }, items }))
      return
    }
    response.flushHeaders()
    if (searchParams.get('sendInitialEvents') !== 'true') return
    for (const object of items) response.write(`${JSON.stringify({ type: 'ADDED', object })}\n`)
    const metadata = { resourceVersion: '1', annotations: { 'k8s.io/initial-events-end': 'true' } }
    response.write(`${JSON.stringify({ type: 'BOOKMARK', object: { apiVersion, kind, metadata } })}\n`)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
