import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheDirectory } from '../locations.ts'
import { hasApt, unpackDebianPackages } from './debian-package.ts'
import { findProgram, isExecutable, run } from './run.ts'

const RELEASE = 'v2.10.0'
/** A build from nothing takes two minutes of CPU. */
const BUILD_TIMEOUT_MS = 600_000

/**
 * The caddy program: the one on PATH, the one fetched before, Debian's package of the machine's own suite, or a Go build. `undefined` when
 * none can be had: only the worked example of Caddy as the edge needs it.
 */
export async function caddyBinary(cache = cacheDirectory): Promise<string | undefined> {
  const installed = findProgram('caddy')
  if (installed !== undefined) return installed
  const folder = join(cache, 'caddy')
  const unpacked = join(folder, 'usr/bin/caddy')
  const built = join(folder, 'caddy')
  const cached = [unpacked, built].find(isExecutable)
  if (cached !== undefined) return cached
  if (hasApt() && (await works(() => unpackDebianPackages(['caddy'], 'own', folder), unpacked))) return unpacked
  if (findProgram('go') !== undefined && (await works(() => buildWithGo(folder), built))) return built
  return undefined
}

async function works(fetch: () => Promise<unknown>, program: string): Promise<boolean> {
  try {
    await fetch()
    await run(program, ['version'])
    return true
  } catch {
    await rm(join(program, '..'), { recursive: true, force: true })
    return false
  }
}

/** Go checks the module against its public checksum database. */
async function buildWithGo(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  await run('go', ['install', `github.com/caddyserver/caddy/v2/cmd/caddy@${RELEASE}`], {
    environment: { GOBIN: folder, CGO_ENABLED: '0' },
    timeoutMs: BUILD_TIMEOUT_MS,
  })
}
