import { createHash } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheDirectory } from '../locations.ts'
import type { ProgressStep } from '../progress.ts'
import { hasApt, makeWorkFolder, putInPlace, unpackDebianPackages } from './debian-package.ts'
import { findProgram, isExecutable, run } from './run.ts'

/** NATS 2.10 brought consumers with several filters, which ours have. */
const MINOR_VERSION_MIN = 10
const DOWNLOAD_TIMEOUT_MS = 60_000
const RELEASE = 'v2.12.15'
/** As the project's own image pins them. */
const RELEASE_SHA256: Readonly<Record<string, string>> = {
  'linux-amd64': '58ab8131f819263897e2fc38e503e1b755b63bcafeecc7d12582487df48ca15e',
  'linux-arm64': 'b724db99fefbf8f5c808baa82819ee50350aee9734017e4a478f7e545cef3ab6',
}

/**
 * The nats-server program: the one on PATH, the one fetched before, or the first that can be had of: Debian's package, a Go
 * build, the project's release archive. Throws one sentence that names every way that was tried.
 */
export async function natsBinary(step?: ProgressStep, cache = cacheDirectory): Promise<string> {
  const installed = findProgram('nats-server')
  if (installed !== undefined && (await isNewEnough(installed))) return installed
  const cached = cachedPrograms(cache).find(isExecutable)
  if (cached !== undefined) return cached

  const failures: string[] = []
  for (const [name, fetch] of waysToGetIt(cache)) {
    step?.update(`fetching ${name}`)
    try {
      const program = await fetch()
      if (await isNewEnough(program)) return program
      failures.push(`${name}: too old`)
    } catch (error) {
      failures.push(`${name}: ${error instanceof Error ? error.message : String(error)}`)
    }
    await rm(join(cache, 'nats'), { recursive: true, force: true })
  }
  throw new Error(
    `nats-server 2.${MINOR_VERSION_MIN} or newer could not be had (on macOS: brew install nats-server). ${failures.join('; ')}`,
  )
}

function cachedPrograms(cache: string): string[] {
  return [join(cache, 'nats/usr/sbin/nats-server'), join(cache, 'nats/nats-server')]
}

function waysToGetIt(cache: string): [string, () => Promise<string>][] {
  const ways: [string, () => Promise<string>][] = []
  const target = join(cache, 'nats')
  if (hasApt()) {
    for (const suite of ['sid', 'trixie', 'own'] as const) {
      ways.push([
        `the Debian package (${suite})`,
        async () => {
          await unpackDebianPackages(['nats-server'], suite, target)
          return join(target, 'usr/sbin/nats-server')
        },
      ])
    }
  }
  if (findProgram('go') !== undefined) ways.push([`a Go build of ${RELEASE}`, () => buildWithGo(target)])
  ways.push([`the release archive ${RELEASE}`, () => downloadRelease(target)])
  return ways
}

async function isNewEnough(program: string): Promise<boolean> {
  const version = /v(\d+)\.(\d+)\./.exec(await run(program, ['-v']).catch(() => ''))
  if (version === null) return false
  const [major, minor] = [Number(version[1]), Number(version[2])]
  return major > 2 || (major === 2 && minor >= MINOR_VERSION_MIN)
}

/** Go checks the module against its public checksum database. */
async function buildWithGo(target: string): Promise<string> {
  await mkdir(target, { recursive: true })
  await run('go', ['install', `github.com/nats-io/nats-server/v2@${RELEASE}`], {
    environment: { GOBIN: target, CGO_ENABLED: '0' },
    timeoutMs: 300_000,
  })
  return join(target, 'nats-server')
}

async function downloadRelease(target: string): Promise<string> {
  const platform = `${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`
  const digest = RELEASE_SHA256[platform]
  if (digest === undefined) throw new Error(`there is no pinned archive for ${platform}`)
  const name = `nats-server-${RELEASE}-${platform}`
  const url = `https://github.com/nats-io/nats-server/releases/download/${RELEASE}/${name}.tar.gz`
  const response = await fetch(url, { signal: AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS) })
  if (!response.ok) throw new Error(`${url} answered ${response.status}`)
  const archive = Buffer.from(await response.arrayBuffer())
  const found = createHash('sha256').update(archive).digest('hex')
  if (found !== digest) throw new Error(`${url} has the digest ${found}, not ${digest}`)
  const work = await makeWorkFolder(target)
  try {
    await writeFile(join(work, 'archive.tar.gz'), archive)
    await run('tar', ['-xzf', 'archive.tar.gz'], { directory: work })
    await putInPlace(join(work, name), target)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  return join(target, 'nats-server')
}
