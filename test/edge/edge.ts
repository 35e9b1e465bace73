import { cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { request, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { edgeUpstreams, type EdgeEnvironment } from '@saas/contracts/edge'
import { cloneDirectory, freePort, startNginx, type NginxServer } from '@saas/devstack'
import { sharedServers } from '@saas/testing'

/** An answer as it came over the wire. */
interface EdgeAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly milliseconds: number
}

interface RequestOptions {
  readonly method?: string
  readonly headers?: OutgoingHttpHeaders
  readonly body?: string | Buffer
  /** Signed in with this access token. */
  readonly token?: string
}

/** The real nginx with the real configuration, in front of the given upstreams. */
export interface Edge extends AsyncDisposable {
  readonly port: number
  readonly url: string
  readonly directory: string
  readonly nginx: NginxServer
  /** Sends the path as it is, dots and all. */
  send(path: string, options?: RequestOptions): Promise<EdgeAnswer>
}

/** A change to one file of the configuration: what a control run breaks, to see a test fail. */
export interface Hole {
  readonly file: string
  readonly text: string
  readonly instead: string
}

export async function startEdge(
  port: number,
  environment: Pick<EdgeEnvironment, 'upstreams'> & Partial<EdgeEnvironment>,
  holes: readonly Hole[] = [],
): Promise<Edge> {
  const directory = mkdtempSync(join(sharedServers().directory, 'edge-'))
  cpSync(join(cloneDirectory, 'charts/edge/files'), directory, { recursive: true })
  const upstreams = edgeUpstreams({
    listen: [`127.0.0.1:${port}`],
    publicUrl: `http://localhost:${port}`,
    trustedHops: 0,
    accessLog: 'run/access.log',
    ...environment,
  })
  writeFileSync(join(directory, 'upstreams.conf'), upstreams)
  for (const hole of holes) makeHole(directory, hole)
  const url = `http://127.0.0.1:${port}`
  const configurationFile = join(directory, 'nginx.conf')
  const nginx = await startNginx({ directory, configurationFile, url: `${url}/not-in-the-contract` })
  return {
    port,
    url,
    directory,
    nginx,
    send: async (path, options = {}) => await send(port, path, options),
    [Symbol.asyncDispose]: async () => {
      await nginx[Symbol.asyncDispose]()
    },
  }
}

export const edgePort = freePort

function makeHole(directory: string, { file, text, instead }: Hole): void {
  const path = join(directory, file)
  const before = readFileSync(path, 'utf8')
  if (!before.includes(text)) throw new Error(`${file} has no ${text}`)
  writeFileSync(path, before.replaceAll(text, instead))
}

async function send(port: number, path: string, options: RequestOptions): Promise<EdgeAnswer> {
  const { method = 'GET', headers = {}, body, token } = options
  const begun = performance.now()
  const { promise, resolve, reject } = Promise.withResolvers<EdgeAnswer>()
  const sent = request({
    host: '127.0.0.1',
    port,
    method,
    path,
    agent: false,
    headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...headers },
  })
  sent.on('error', reject)
  sent.on('response', (response) => {
    text(response).then(
      (received) =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: received,
          milliseconds: performance.now() - begun,
        }),
      reject,
    )
  })
  sent.end(body)
  return await promise
}
