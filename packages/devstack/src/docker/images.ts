import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { serviceNames, type ServiceName } from '@saas/contracts'
import { run } from '../fetch/run.ts'
import { cloneDirectory } from '../locations.ts'
import { runStep, type Progress } from '../progress.ts'

const BUILD_TIMEOUT_MS = 900_000
const PUSH_TIMEOUT_MS = 300_000
const ENGINE_TIMEOUT_MS = 10_000
const BYTES_PER_MB = 1_000_000

/** The product's version: what images are tagged with. */
export function productVersion(): string {
  const { version } = JSON.parse(readFileSync(join(cloneDirectory, 'package.json'), 'utf8')) as { version: string }
  return version
}

/**
 * Builds the image of every service, one after the other because the first one fills the cache for all, and tags it
 * `saas/<service>` with the version and with `latest`, which `docker/compose.yaml` runs. Throws what `docker build` said last.
 */
export async function buildImages(progress: Progress): Promise<void> {
  for (const service of serviceNames) {
    await runStep(
      progress,
      `Image of ${service}`,
      () => buildImage(service),
      (bytes) => `${Math.round(bytes / BYTES_PER_MB)} MB`,
    )
  }
}

async function buildImage(service: ServiceName): Promise<number> {
  const tags = [productVersion(), 'latest'].flatMap((tag) => ['--tag', imageName(service, tag)])
  const recipe = ['--file', join(cloneDirectory, 'docker/Dockerfile'), '--build-arg', `SERVICE=${service}`]
  await run('docker', ['build', ...recipe, ...tags, cloneDirectory], { timeoutMs: BUILD_TIMEOUT_MS })
  const inspect = ['image', 'inspect', '--format', '{{.Size}}', imageName(service, 'latest')]
  return Number(await run('docker', inspect, { timeoutMs: ENGINE_TIMEOUT_MS }))
}

/**
 * Pushes what was built to `<registry>/saas/<service>:<version>`; answers each image by its digest, which names these very
 * bytes for ever.
 */
export async function pushImages(registry: string, progress: Progress): Promise<string[]> {
  const version = productVersion()
  const pushed: string[] = []
  for (const service of serviceNames) {
    const name = `${registry}/${imageName(service, version)}`
    await runStep(progress, `Push of ${service}`, async () => {
      await run('docker', ['tag', imageName(service, version), name], { timeoutMs: ENGINE_TIMEOUT_MS })
      const said = await run('docker', ['push', name], { timeoutMs: PUSH_TIMEOUT_MS })
      const digest = /digest: (sha256:[0-9a-f]{64})/.exec(said)?.[1]
      if (digest === undefined) throw new Error(`docker push of ${name} named no digest`)
      pushed.push(`${name}@${digest}`)
    })
  }
  return pushed
}

function imageName(service: ServiceName, tag: string): string {
  return `saas/${service}:${tag}`
}
