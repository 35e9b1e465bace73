import { cpSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { edgeUpstreams } from '@saas/contracts/edge'
import { cloneDirectory, freePort, startNginx } from '@saas/devstack'
import { PUBLIC_URL, type Stage } from '../frame/stage.ts'

/** With it a request through the open edge brings the internal token that auth would have made. */
export const OPEN_TOKEN_HEADER = 'x-bench-token'

/** The edge twice: as it is, and as it would be if nobody were asked. */
export interface TwoEdges extends AsyncDisposable {
  readonly asked: RunningEdge
  readonly open: RunningEdge
}

interface RunningEdge {
  readonly url: string
  readonly pid: number
}

export async function startEdge(
  stage: Stage,
  { auth, orders }: { readonly auth: string; readonly orders: string },
): Promise<TwoEdges> {
  await using resources = new AsyncDisposableStack()
  const start = async (isOpen: boolean): Promise<RunningEdge> => {
    const port = await freePort()
    const runs = join(stage.directory, 'edges')
    mkdirSync(runs, { recursive: true })
    const directory = mkdtempSync(join(runs, 'edge-'))
    cpSync(join(cloneDirectory, 'charts/edge/files'), directory, { recursive: true })
    const at = [new URL(orders).host]
    const upstreams = { auth: [new URL(auth).host], products: at, orders: at, notifications: at, frontend: at }
    const listen = [`127.0.0.1:${port}`]
    const accessLog = join(directory, 'access.log')
    const environment = { listen, upstreams, publicUrl: PUBLIC_URL, trustedHops: 0, accessLog }
    writeFileSync(join(directory, 'upstreams.conf'), edgeUpstreams(environment))
    if (isOpen) dontAsk(join(directory, 'forward.conf'))
    const url = `http://127.0.0.1:${port}`
    const configurationFile = join(directory, 'nginx.conf')
    const nginx = resources.use(await startNginx({ directory, configurationFile, url: `${url}/nothing` }))
    return { url, pid: nginx.child.pid ?? 0 }
  }
  const [asked, open] = [await start(false), await start(true)]
  const owned = resources.move()
  return { asked, open, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

/** All else stays: the service gets its internal token, but from the client. */
function dontAsk(file: string): void {
  const asked = readFileSync(file, 'utf8')
  const open = asked
    .replace('auth_request /_authz;', 'auth_request off;')
    .replace('X-Internal-Token $internal_token;', `X-Internal-Token $http_${OPEN_TOKEN_HEADER.replaceAll('-', '_')};`)
  if (!open.includes('auth_request off;') || open.includes('Token $internal_token'))
    throw new Error(`${file} reads otherwise than expected`)
  writeFileSync(file, open)
}
