import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { edgeUpstreams } from '@saas/contracts/edge'
import { cloneDirectory } from '../locations.ts'

/** Where each part listens, as `host:port`. */
export interface EdgeAddresses {
  readonly listenPort: number
  readonly upstreams: Readonly<Record<'auth' | 'products' | 'orders' | 'notifications' | 'frontend', string>>
}

/**
 * Puts the edge's configuration together in a folder of its own: the files of `charts/edge/files` as they are, and the one
 * file that differs between environments.
 */
export function writeEdgeConfiguration(directory: string, { listenPort, upstreams }: EdgeAddresses): string {
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  cpSync(join(cloneDirectory, 'charts/edge/files'), directory, { recursive: true })
  const environment = edgeUpstreams({
    listen: [`127.0.0.1:${listenPort}`],
    upstreams: {
      auth: [upstreams.auth],
      products: [upstreams.products],
      orders: [upstreams.orders],
      notifications: [upstreams.notifications],
      frontend: [upstreams.frontend],
    },
    publicUrl: `http://localhost:${listenPort}`,
    trustedHops: 0,
    accessLog: 'run/access.log',
    developmentServer: true,
  })
  writeFileSync(join(directory, 'upstreams.conf'), environment)
  return join(directory, 'nginx.conf')
}
