import { cpSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { edgeUpstreams } from '@saas/contracts/edge'
import { cloneDirectory, freePort, startNginx } from '@saas/devstack'
import type { Stage } from '../frame/stage.ts'

/** The edge twice: as it is, and as it would be if nobody were asked. */
export interface TwoEdges extends AsyncDisposable {
  readonly url: string
  readonly openUrl: string
  readonly pid: number
}

export async function startEdge(
  stage: Stage,
  { auth, others }: { readonly auth: string; readonly others: string },
): Promise<TwoEdges> {
  await using resources = new AsyncDisposableStack()
  const start = async (isOpen: boolean) => {
    const port = await freePort()
    const runs = join(stage.directory, 'edges')
    mkdirSync(runs, { recursive: true })
    const directory = mkdtempSync(join(runs, 'edge-'))
    cpSync(join(cloneDirectory, 'charts/edge/files'), directory, { recursive: true })
    const at = [new URL(others).host]
    const upstreams = { auth: [new URL(auth).host], products: at, orders: at, notifications: at, frontend: at }
    const listen = [`127.0.0.1:${port}`]
    const environment = { listen, upstreams, publicUrl: 'http://localhost:8080', trustedHops: 0, accessLog: 'off' }
    // `off` takes no format.
    writeFileSync(
      join(directory, 'upstreams.conf'),
      edgeUpstreams(environment).replace(/^access_log .*$/m, 'access_log off;'),
    )
    if (isOpen) {
      const file = join(directory, 'forward.conf')
      const asked = readFileSync(file, 'utf8')
      writeFileSync(file, asked.replace('auth_request /_authz;', 'auth_request off;'))
    }
    const url = `http://127.0.0.1:${port}`
    const configurationFile = join(directory, 'nginx.conf')
    const nginx = resources.use(await startNginx({ directory, configurationFile, url: `${url}/nothing` }))
    return { url, nginx }
  }
  const [asked, open] = [await start(false), await start(true)]
  const owned = resources.move()
  return {
    url: asked.url,
    openUrl: open.url,
    pid: asked.nginx.child.pid ?? 0,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
