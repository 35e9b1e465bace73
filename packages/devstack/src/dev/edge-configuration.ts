import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { edgeUpstreams, type EdgeEnvironment } from '@saas/contracts/edge'
import { cloneDirectory } from '../locations.ts'

/**
 * Puts the edge's configuration together in a folder of its own: the files of `charts/edge/files` as they are, and the one
 * file that differs between environments. Answers the path of `nginx.conf`.
 */
export function writeEdgeConfiguration(directory: string, environment: EdgeEnvironment): string {
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  cpSync(join(cloneDirectory, 'charts/edge/files'), directory, { recursive: true })
  writeFileSync(join(directory, 'upstreams.conf'), edgeUpstreams(environment))
  return join(directory, 'nginx.conf')
}
