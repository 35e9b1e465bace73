import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { parse } from 'yaml'
import { discovery, kindAt } from './api-discovery.ts'
import type { Rendered } from './helm.ts'
import { decodeSecret } from './protobuf-secret.ts'
import { strategicMerge, type Json } from './strategic-merge.ts'

/**
 * As much of an API server as Helm asks of one: it tells its kinds, keeps objects in memory by their path, and changes them by the kinds of
 * patches that both Helms send. Nothing runs in it.
 */
export interface ApiServer extends AsyncDisposable {
  /** For KUBECONFIG. */
  readonly kubeconfig: string
  /** Path of an object, such as `/api/v1/namespaces/shops/secrets/shop-auth`, to the object. */
  readonly objects: Map<string, Rendered>
  /** Those of a kind in a namespace, without what Helm keeps for itself. */
  ofKind(kind: string, namespace?: string): readonly Rendered[]
}

export async function startApiServer(directory: string): Promise<ApiServer> {
  const objects = new Map<string, Rendered>()
  const answers = discovery()
  let version = 0
  const server = createServer((request, response) => {
    void answer(request, response).catch((error: unknown) => {
      send(response, 500, status(500, 'InternalError', String(error)))
    })
  })
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '/', 'http://server')
    const known = answers[url.pathname]
    if (known !== undefined) return send(response, 200, known)
    const at = kindAt(url.pathname)
    if (at === undefined) return send(response, 404, status(404, 'NotFound', url.pathname))
    const bytes = await buffer(request)
    const body = decodeSecret(bytes) ?? objectIn(bytes.toString())
    if (at.name === undefined && request.method === 'GET') {
      const items = Array.from(objects)
        .filter(([path, object]) => path.startsWith(`${url.pathname}/`) && isSelected(object, url.searchParams))
        .map(([, object]) => object)
      return send(response, 200, {
        apiVersion: at.apiVersion,
        kind: `${at.kind}List`,
        metadata: { resourceVersion: String(version) },
        items,
      })
    }
    const path = at.name === undefined ? `${url.pathname}/${body?.metadata.name}` : url.pathname
    const present = objects.get(path)
    const keep = (object: Rendered, code: number): void => {
      version += 1
      const { stringData = {}, data = {}, ...rest } = object as Rendered & { stringData?: object; data?: object }
      const encoded = Object.entries(stringData).map(([key, value]) => [
        key,
        Buffer.from(String(value)).toString('base64'),
      ])
      const whole = at.kind === 'Secret' ? { ...rest, data: { ...data, ...Object.fromEntries(encoded) } } : object
      const uid = (present?.metadata as { uid?: string } | undefined)?.uid ?? `uid-${version}`
      const metadata = { ...whole.metadata, namespace: at.namespace, uid, resourceVersion: String(version) }
      const stored = { ...whole, metadata } as Rendered
      objects.set(path, stored)
      send(response, code, stored)
    }
    if (request.method === 'POST' && body !== undefined)
      return present === undefined
        ? keep(body, 201)
        : send(response, 409, status(409, 'AlreadyExists', `${at.kind} ${body.metadata.name} exists`))
    const isApply = request.headers['content-type']?.includes('apply-patch') ?? false
    if (isApply && body !== undefined) return keep(body, present === undefined ? 201 : 200)
    if (present === undefined) return send(response, 404, status(404, 'NotFound', `${path} not found`))
    if (request.method === 'PUT' && body !== undefined) return keep(body, 200)
    if (request.method === 'PATCH')
      return keep(strategicMerge(present as unknown as Json, body as unknown as Json) as unknown as Rendered, 200)
    if (request.method === 'DELETE') {
      objects.delete(path)
      return send(response, 200, status(200, 'Success', 'deleted'))
    }
    send(response, 200, present)
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const kubeconfig = join(directory, 'kubeconfig')
  const { port } = server.address() as AddressInfo
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'memory', cluster: { server: `http://127.0.0.1:${port}` } }],
    contexts: [{ name: 'memory', context: { cluster: 'memory', user: 'memory' } }],
    users: [{ name: 'memory', user: {} }],
    'current-context': 'memory',
  }
  writeFileSync(kubeconfig, JSON.stringify(config))
  return {
    kubeconfig,
    objects,
    ofKind: (kind, namespace = 'shops') =>
      Array.from(objects.values()).filter(
        (object) =>
          object.kind === kind &&
          object.metadata.namespace === namespace &&
          object['type'] !== 'helm.sh/release.v1' &&
          object.metadata.name !== 'kube-root-ca.crt',
      ),
    [Symbol.asyncDispose]: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

/** Nearly all is JSON, which YAML takes twenty times as long to read. */
function objectIn(text: string): Rendered | undefined {
  if (text === '') return undefined
  return (text.startsWith('{') ? JSON.parse(text) : parse(text)) as Rendered
}

function isSelected({ metadata }: Rendered, query: URLSearchParams): boolean {
  const selector = query.get('labelSelector') ?? ''
  return selector
    .split(',')
    .filter((term) => term !== '')
    .every((term) => {
      const [key = '', value = ''] = term.split(/==?/)
      return metadata.labels?.[key] === value
    })
}

function status(code: number, reason: string, message: string): object {
  const result = code < 300 ? 'Success' : 'Failure'
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: result, reason, message, code }
}

function send(response: ServerResponse, code: number, body: object): void {
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
