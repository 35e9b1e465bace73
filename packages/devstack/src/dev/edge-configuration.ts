import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
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
export function writeEdgeConfiguration(directory: string, addresses: EdgeAddresses): string {
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  cpSync(join(cloneDirectory, 'charts/edge/files'), directory, { recursive: true })
  writeFileSync(join(directory, 'upstreams.conf'), upstreams(addresses))
  return join(directory, 'nginx.conf')
}

function upstreams({ upstreams }: EdgeAddresses): string {
  return Object.entries(upstreams)
    .map(([name, address]) => `upstream ${name} {\n  server ${address} max_fails=0;\n}\n`)
    .join('\n')
}
