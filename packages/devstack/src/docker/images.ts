import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { serviceNames, type ServiceName } from '@saas/contracts'
import { run } from '../fetch/run.ts'
import { artefactsDirectory, cloneDirectory } from '../locations.ts'
import { runStep, type Progress } from '../progress.ts'

const BUILD_TIMEOUT_MS = 900_000
const ENGINE_TIMEOUT_MS = 30_000
const BYTES_PER_MB = 1_000_000
/** What we promise of each image. */
const IMAGE_BYTES_MAX = 200_000_000

/** An image in the engine of this machine. */
export interface BuiltImage {
  readonly service: ServiceName
  readonly name: string
  readonly bytes: number
  /** The digest of its configuration: two engines that built the same bytes agree on it. */
  readonly id: string
}

/** The product's version: what images are tagged with. */
export function productVersion(): string {
  const { version } = JSON.parse(readFileSync(join(cloneDirectory, 'package.json'), 'utf8')) as { version: string }
  return version
}

/**
 * Builds the image of every service, one after the other because the first one fills the cache for all, and tags it
 * `saas/<service>` with the version and with `latest`, which `docker/compose.yaml` runs. Keeps its bill of materials in
 * `artefacts/sbom`. Throws what `docker build` said last. `onBuilt` is called after each image.
 */
export async function buildImages(
  progress: Progress,
  onBuilt: (image: BuiltImage) => Promise<void> = async () => {},
): Promise<BuiltImage[]> {
  const images: BuiltImage[] = []
  for (const service of serviceNames) {
    const image = await runStep(
      progress,
      `Image of ${service}`,
      () => buildImage(service),
      ({ bytes }) => `${megabytes(bytes)} MB`,
    )
    await onBuilt(image)
    images.push(image)
  }
  return images
}

/** A line a image: name, size, digest. */
export function imageLines(images: readonly BuiltImage[]): string {
  return images.map(({ name, bytes, id }) => `${name.padEnd(26)} ${megabytes(bytes)} MB  ${id}\n`).join('')
}

async function buildImage(service: ServiceName): Promise<BuiltImage> {
  const name = imageName(service, productVersion())
  const tags = [name, imageName(service, 'latest')].flatMap((tag) => ['--tag', tag])
  const recipe = ['--file', join(cloneDirectory, 'docker/Dockerfile'), '--build-arg', `SERVICE=${service}`]
  await run('docker', ['build', ...recipe, ...tags, cloneDirectory], { timeoutMs: BUILD_TIMEOUT_MS })
  const [id = '', size] = (await engine('image', 'inspect', '--format', '{{.Id}} {{.Size}}', name)).split(' ')
  const bytes = Number(size)
  if (bytes > IMAGE_BYTES_MAX) {
    throw new Error(`${name} has ${megabytes(bytes)} MB; an image of ours may have ${megabytes(IMAGE_BYTES_MAX)}.`)
  }
  await keepSbom(service, name)
  return { service, name, bytes, id }
}

async function keepSbom(service: ServiceName, image: string): Promise<void> {
  const directory = join(artefactsDirectory, 'sbom')
  mkdirSync(directory, { recursive: true })
  const container = await engine('create', image)
  try {
    await engine('cp', `${container}:/sbom.cdx.json`, join(directory, `${service}.cdx.json`))
  } finally {
    await engine('rm', container)
  }
}

/** Runs a docker command that takes a moment, and answers what it printed. */
export async function engine(...arguments_: string[]): Promise<string> {
  return (await run('docker', arguments_, { timeoutMs: ENGINE_TIMEOUT_MS })).trim()
}

function imageName(service: ServiceName, tag: string): string {
  return `saas/${service}:${tag}`
}

function megabytes(bytes: number): number {
  return Math.ceil(bytes / BYTES_PER_MB)
}
