import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { compose, composeServers, writeComposeFiles, type ComposeProject } from '../docker/compose.ts'
import { findProgram, run } from '../fetch/run.ts'
import { cloneDirectory, devstackDirectory } from '../locations.ts'
import { freePort } from '../ports.ts'
import { runStep, type Progress } from '../progress.ts'
import { UsageError } from './options.ts'
import type { RunningServers } from './local-servers.ts'
import type { StackSecrets } from './secrets.ts'

const ENGINE_TIMEOUT_MS = 3_000
const PULL_TIMEOUT_MS = 60_000
const START_TIMEOUT_MS = 60_000
const STOP_TIMEOUT_MS = 30_000

/**
 * Starts the servers of `docker/compose.yaml` when a Docker engine answers and has or can pull their images. Otherwise says
 * why in one sentence, where there is an engine, and answers undefined. Throws UsageError instead when Docker was asked for.
 */
export async function startDockerServers(options: {
  readonly secrets: StackSecrets
  readonly mailboxPort: number
  readonly progress: Progress
  readonly say: (text: string) => void
  readonly isForced: boolean
  readonly isFresh: boolean
}): Promise<RunningServers | undefined> {
  const { secrets, mailboxPort, progress, say, isForced, isFresh } = options
  const missing = await whatDockerLacks()
  if (missing !== undefined) {
    if (isForced) throw new UsageError(`Docker was asked for, but ${missing}.`)
    return undefined
  }
  const name = `saas-${createHash('sha256').update(cloneDirectory).digest('hex').slice(0, 8)}`
  const project: ComposeProject = { directory: join(devstackDirectory, 'compose'), name }
  const ports = {
    postgres: await freePort(),
    nats: await freePort(),
    objectStore: await freePort(),
    smtp: await freePort(),
    mailbox: mailboxPort,
    edge: await freePort(),
  }
  writeComposeFiles(project, secrets, ports)
  try {
    await runStep(progress, 'Docker images', () =>
      compose(project, ['pull', '--quiet', '--policy', 'missing', ...composeServers], PULL_TIMEOUT_MS),
    )
    if (isFresh) await compose(project, ['down', '--volumes'], STOP_TIMEOUT_MS)
    await runStep(progress, 'Docker servers', () =>
      compose(project, ['up', '--detach', '--wait', ...composeServers], START_TIMEOUT_MS),
    )
  } catch (error) {
    await stop(project)
    const reason = error instanceof Error ? error.message.replaceAll(/\s+/g, ' ') : String(error)
    if (isForced) throw new UsageError(`Docker was asked for, but ${reason}`)
    say(`Docker cannot provide the servers, so they run as local processes: ${reason}`)
    return undefined
  }
  return {
    addresses: {
      postgresUrl: `postgres://postgres:${encodeURIComponent(secrets.servers.postgresPassword)}@127.0.0.1:${ports.postgres}/postgres`,
      natsUrl: `nats://127.0.0.1:${ports.nats}`,
      s3Endpoint: `http://127.0.0.1:${ports.objectStore}`,
      s3Region: 'us-east-1',
      s3Bucket: 'saas',
      smtpUrl: `smtp://127.0.0.1:${ports.smtp}`,
    },
    [Symbol.asyncDispose]: () => stop(project),
  }
}

async function stop(project: ComposeProject): Promise<void> {
  await compose(project, ['stop', '--timeout', '8'], STOP_TIMEOUT_MS).catch(() => undefined)
}

/** What keeps Docker from being used here, as the end of a sentence; undefined when nothing does. */
async function whatDockerLacks(): Promise<string | undefined> {
  if (findProgram('docker') === undefined) return 'there is no docker program'
  const succeeds = async (...arguments_: string[]): Promise<boolean> =>
    run('docker', arguments_, { timeoutMs: ENGINE_TIMEOUT_MS }).then(
      () => true,
      () => false,
    )
  const [engine, plugin] = await Promise.all([
    succeeds('info', '--format', '{{.ServerVersion}}'),
    succeeds('compose', 'version'),
  ])
  if (!engine) return 'no Docker engine answers'
  if (!plugin) return 'docker has no compose plugin (version 2)'
  return undefined
}
