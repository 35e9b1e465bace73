import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ServiceName } from '@saas/contracts'
import { run } from '../fetch/run.ts'
import { artefactsDirectory } from '../locations.ts'
import { runStep, type Progress } from '../progress.ts'
import { engine, productVersion, type BuiltImage } from './images.ts'

const PUSH_TIMEOUT_MS = 300_000
const ID_DIGITS = 12

/** What the registry has of a service. */
export interface PushedImage {
  readonly service: ServiceName
  /** Without tag or digest. */
  readonly repository: string
  readonly digest: string
}

/** A push that failed; the message says what to do, and what the registry has now. */
class PushError extends Error {
  override readonly name = 'PushError'
}

/**
 * Pushes images to `<registry>/saas/saas-<service>`, which is where the charts look for them.
 *
 * Each goes up under a tag made of its own id first, which says the truth whatever happens next. Only when all are there do
 * they get the version, which takes a moment: a push that is cut off labels nothing with it.
 */
export class Push {
  readonly #registry: string
  readonly #progress: Progress
  readonly #arrived: (BuiltImage & PushedImage)[] = []

  constructor(registry: string, progress: Progress) {
    this.#registry = registry
    this.#progress = progress
    rmSync(valuesFile, { force: true })
  }

  /** Brings one image there. @throws {Error} saying why, and what the registry has now. */
  async send(image: BuiltImage): Promise<void> {
    const repository = `${this.#registry}/saas/saas-${image.service}`
    const tag = `${productVersion()}-${image.id.replace('sha256:', '').slice(0, ID_DIGITS)}`
    const digest = await runStep(this.#progress, `Push of ${image.service}`, () =>
      this.#push(image, repository, tag, `Nothing there is labelled ${productVersion()} by this push.`),
    )
    this.#arrived.push({ ...image, repository, digest })
  }

  /** Labels all that have arrived with the version, and writes the values that name these very bytes. @throws {Error} saying why, and what the registry has now. */
  async label(): Promise<readonly PushedImage[]> {
    const version = productVersion()
    await runStep(this.#progress, `Label ${version}`, async () => {
      const labelled: string[] = []
      for (const image of this.#arrived) {
        const all = labelled.length === 0 ? 'None' : `Only ${labelled.join(', ')}`
        await this.#push(image, image.repository, version, `${all} of this push got the label ${version}; push again.`)
        labelled.push(image.service)
      }
    })
    mkdirSync(artefactsDirectory, { recursive: true })
    writeFileSync(valuesFile, valuesOf(this.#arrived))
    return this.#arrived
  }

  async #push(image: BuiltImage, repository: string, tag: string, state: string): Promise<string> {
    const name = `${repository}:${tag}`
    await engine('tag', image.id, name)
    try {
      const said = await run('docker', ['push', name], { timeoutMs: PUSH_TIMEOUT_MS })
      const digest = /digest: (sha256:[0-9a-f]{64})/.exec(said)?.[1]
      if (digest === undefined) throw new Error(`docker push of ${name} named no digest`)
      return digest
    } catch (error) {
      throw new PushError(`${reasonOf(error, name)} ${state}`)
    } finally {
      // The engine needs no second name for an image; the registry has it now, or not.
      await engine('rmi', '--no-prune', name).catch(() => undefined)
    }
  }
}

/** For `helm install --values`: where the images are, by digest. */
export const valuesFile = join(artefactsDirectory, 'images.yaml')

/** The values that make the charts run these very images. */
function valuesOf(images: readonly PushedImage[]): string {
  const lines = images.flatMap(({ service, repository, digest }) => {
    const slash = repository.indexOf('/')
    return [
      `${service}:`,
      '  image:',
      `    registry: ${repository.slice(0, slash)}`,
      `    repository: ${repository.slice(slash + 1)}`,
      `    digest: ${digest}`,
    ]
  })
  return ['# Written by `pnpm images --push`: the images it pushed, by digest.', ...lines, ''].join('\n')
}

function reasonOf(error: unknown, name: string): string {
  const text = error instanceof Error ? error.message : String(error)
  const host = name.slice(0, name.indexOf('/'))
  if (
    /no basic auth credentials|unauthorized|authentication required|denied|forbidden|incorrect username/i.test(text)
  ) {
    return `${host} does not let you push ${name}: sign in with "docker login ${host}" as somebody who may.`
  }
  if (/no such host|connection refused|timeout|timed out|network is unreachable|no route to host/i.test(text)) {
    return `${host} does not answer: is that the name of a registry, and does it run?`
  }
  if (/HTTP response to HTTPS client/i.test(text)) {
    return `${host} speaks plain HTTP, which Docker does only with registries in "insecure-registries" of its settings.`
  }
  const last = text.split('|').findLast((line) => line.trim() !== '')
  return `${name} was not pushed: ${last?.trim()}.`
}
