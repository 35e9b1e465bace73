import { parseArgs } from 'node:util'
import { TerminalProgress } from './dev/terminal-progress.ts'
import { whatDockerLacks } from './docker/engine.ts'
import { buildImages, productVersion, pushImages } from './docker/images.ts'

const usage = `Usage: pnpm images [--push REGISTRY]

  Builds the images saas/<service>:${productVersion()} with the Docker engine of this machine.

  --push REGISTRY   then pushes them to REGISTRY/saas/<service>, for example --push registry.example.com/team;
                    sign in first with docker login
`

/** `pnpm images`. Answers the exit code. */
async function main(arguments_: readonly string[]): Promise<number> {
  let push: string | undefined
  try {
    const args = arguments_.filter((argument) => argument !== '--')
    const { values } = parseArgs({ args, options: { push: { type: 'string' }, help: { type: 'boolean', short: 'h' } } })
    if (values.help === true) {
      process.stdout.write(usage)
      return 0
    }
    push = values.push?.replace(/\/$/, '')
    if (push === '' || push?.includes('://') === true) {
      throw new TypeError(`--push takes a host and perhaps a path, as in registry.example.com/team, and got "${push}".`)
    }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
    return 1
  }
  const missing = await whatDockerLacks({ isComposeNeeded: false })
  if (missing !== undefined) {
    process.stderr.write(`Images are built by a Docker engine, but ${missing}.\n`)
    return 1
  }
  using progress = new TerminalProgress()
  try {
    await buildImages(progress)
    if (push === undefined) return 0
    for (const image of await pushImages(push, progress)) process.stdout.write(`${image}\n`)
    return 0
  } catch (error) {
    progress.say(error instanceof Error ? error.message : String(error))
    return 1
  }
}

process.exitCode = await main(process.argv.slice(2))
