import { relative } from 'node:path'
import { parseArgs } from 'node:util'
import { TerminalProgress } from './dev/terminal-progress.ts'
import { whatDockerLacks } from './docker/engine.ts'
import { buildImages, imageLines, productVersion } from './docker/images.ts'
import { Push, valuesFile } from './docker/push.ts'
import { startTimeLines, timeStarts } from './docker/start-times.ts'
import { cloneDirectory } from './locations.ts'

const RUNS_MAX = 100

const usage = `Usage: pnpm images [--push REGISTRY] [--time RUNS]

  Builds the images saas/<service>:${productVersion()} with the Docker engine of this machine, and prints name, size and digest of
  each. Their bills of materials are in artefacts/sbom.

  --push REGISTRY   pushes them to REGISTRY/saas/saas-<service>, for example --push registry.example.com/team, and writes
                    artefacts/images.yaml for \`helm install --values\`; sign in first with docker login
  --time RUNS       starts each image that often in front of real servers and prints how long it takes to be ready
`

interface ImagesOptions {
  readonly push?: string
  readonly runs?: number
}

/** `pnpm images`. Answers the exit code. */
async function main(arguments_: readonly string[]): Promise<number> {
  let options: ImagesOptions | 'help'
  try {
    options = readOptions(arguments_)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
    return 1
  }
  if (options === 'help') {
    process.stdout.write(usage)
    return 0
  }
  const missing = await whatDockerLacks({ isComposeNeeded: options.runs !== undefined })
  if (missing !== undefined) {
    process.stderr.write(`Images are built by a Docker engine, but ${missing}.\n`)
    return 1
  }
  using progress = new TerminalProgress()
  try {
    const push = options.push === undefined ? undefined : new Push(options.push, progress)
    // Right after its build, so that a wrong registry is noticed before the others are built.
    const images = await buildImages(progress, async (image) => await push?.send(image))
    progress.say(imageLines(images))
    if (push !== undefined) {
      for (const { repository, digest } of await push.label()) progress.say(`${repository}@${digest}`)
      progress.say(`\n  helm install saas ./charts/umbrella --values ${relative(cloneDirectory, valuesFile)}`)
    }
    if (options.runs !== undefined) progress.say(startTimeLines(await timeStarts(options.runs, progress)))
    return 0
  } catch (error) {
    progress.say(error instanceof Error ? error.message : String(error))
    return 1
  }
}

function readOptions(arguments_: readonly string[]): ImagesOptions | 'help' {
  const { values } = parseArgs({
    args: arguments_.filter((argument) => argument !== '--'),
    options: { push: { type: 'string' }, time: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  })
  if (values.help === true) return 'help'
  const push = values.push?.replace(/\/$/, '')
  if (push !== undefined && !/^[a-z0-9.-]+(:\d+)?(\/[a-z0-9._-]+)*$/.test(push)) {
    throw new TypeError(`--push takes a host and perhaps a path, as in registry.example.com/team, and got "${push}".`)
  }
  const runs = values.time === undefined ? undefined : Number(values.time)
  if (runs !== undefined && !(Number.isInteger(runs) && runs >= 1 && runs <= RUNS_MAX)) {
    throw new TypeError(`--time takes how often each image is started, 1 to ${RUNS_MAX}, and got "${values.time}".`)
  }
  return { ...(push === undefined ? {} : { push }), ...(runs === undefined ? {} : { runs }) }
}

process.exitCode = await main(process.argv.slice(2))
