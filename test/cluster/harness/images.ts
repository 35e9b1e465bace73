import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheDirectory, helmBinary, run, type ProgressStep } from '@saas/devstack'
import { goPrograms } from './go-programs.ts'

const ENGINE_TIMEOUT_MS = 30_000
const SAVE_TIMEOUT_MS = 600_000
const REMOVAL_RETRIES_MAX = 5
/** Holds a pod's network while its containers come and go. */
export const PAUSE_IMAGE = 'saas.test/pause:1'

/** For every render and install with images of this machine: an image that was built here has no digest of a registry. */
export const withoutDigests = '--set=objectstore.image.digest='

/**
 * One archive with every image the chart names, as the Docker engine of this machine has them: the services as `pnpm images`
 * builds them, and of the rest what was pulled, or made by docker/stand-ins. Throws a sentence with what is missing.
 */
export async function saveImages(umbrella: string, step: ProgressStep): Promise<string> {
  const names = await imagesOfChart(umbrella)
  const ids: string[] = []
  const missing: string[] = []
  for (const name of names) {
    const id = await idOf(engineName(name)).catch(() => undefined)
    if (id === undefined) missing.push(engineName(name))
    else {
      ids.push(id)
      await run('docker', ['tag', engineName(name), name], { timeoutMs: ENGINE_TIMEOUT_MS })
    }
  }
  if (missing.length > 0) {
    throw new Error(
      `The Docker engine has no ${missing.join(', ')}: pnpm images, docker pull or docker/stand-ins make them.`,
    )
  }
  ids.push(await pauseId())
  const directory = join(cacheDirectory, 'cluster/images')
  const archive = join(directory, `${createHash('sha256').update(ids.join()).digest('hex').slice(0, 16)}.tar`)
  if (!existsSync(archive)) {
    step.update('saving')
    // With what an earlier run unpacked beside its archive.
    await rm(directory, { recursive: true, force: true, maxRetries: REMOVAL_RETRIES_MAX })
    await mkdir(directory, { recursive: true })
    await run('docker', ['save', '--output', `${archive}.part`, ...names, PAUSE_IMAGE], { timeoutMs: SAVE_TIMEOUT_MS })
    await rename(`${archive}.part`, archive)
  }
  return archive
}

/** As a rendering names them, with registry and version. */
async function imagesOfChart(umbrella: string): Promise<readonly string[]> {
  const seed = `--set=global.secrets.seed=${'x'.repeat(32)}`
  const rendered = await run(await helmBinary(4), ['template', 'shop', umbrella, seed, withoutDigests])
  return [...new Set([...rendered.matchAll(/^\s+image: "?([^"\s]+)"?$/gm)].map((match) => match[1] ?? ''))]
}

/** What `pnpm images` and `docker pull` call it. */
function engineName(name: string): string {
  return name.replace(/^ghcr\.io\/saas\/saas-/, 'saas/').replace(/^docker\.io\/(library\/)?/, '')
}

async function idOf(name: string): Promise<string> {
  const inspect = ['image', 'inspect', '--format', '{{.Id}}', name]
  return (await run('docker', inspect, { timeoutMs: ENGINE_TIMEOUT_MS })).trim()
}

/** Made once: each time its id would be another, and the whole archive another one with it. */
async function pauseId(): Promise<string> {
  const known = await idOf(PAUSE_IMAGE).catch(() => undefined)
  if (known !== undefined) return known

  const { pause } = await goPrograms('pause')
  const archive = join(pause, '../pause.tar')
  await run('tar', ['--create', '--file', archive, '--directory', join(pause, '..'), 'pause'])
  const settings = ['--change', 'ENTRYPOINT ["/pause"]', '--change', 'USER 65535:65535']
  await run('docker', ['import', ...settings, archive, PAUSE_IMAGE], { timeoutMs: ENGINE_TIMEOUT_MS })
  return await idOf(PAUSE_IMAGE)
}
