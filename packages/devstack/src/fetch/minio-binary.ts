import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheDirectory } from '../locations.ts'
import { findProgram, run } from './run.ts'

/** MinIO publishes no programs any more; its module stays. */
const VERSION = 'v0.0.0-20260212201848-7aac2a2c5b7c'
/** Two busy cores need a quarter of an hour for all that it is made of. */
const BUILD_TIMEOUT_MS = 1_800_000

/**
 * MinIO, built once from its Go module, which Go checks against its public checksum database, and kept in the cache;
 * `undefined` where there is no Go to build it with.
 */
export async function minioBinary(cache = cacheDirectory): Promise<string | undefined> {
  const target = join(cache, `minio-${VERSION}`)
  const program = join(target, 'minio')
  if (existsSync(program)) return program
  if (findProgram('go') === undefined) return undefined
  await mkdir(target, { recursive: true })
  await run('go', ['install', `github.com/minio/minio@${VERSION}`], {
    environment: { GOBIN: target, CGO_ENABLED: '0', GOFLAGS: '-trimpath' },
    timeoutMs: BUILD_TIMEOUT_MS,
  })
  return program
}
