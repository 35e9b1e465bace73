import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compose, composeProject, composeServers, writeComposeFiles, type ComposeProject } from '../docker/compose.ts'
import { whatDockerLacks } from '../docker/engine.ts'
import { freePort } from '../ports.ts'
import { runStep, type Progress } from '../progress.ts'
import { UsageError } from './options.ts'
import { TOTP_FILE, type RunningServers } from './local-servers.ts'
import type { StackSecrets } from './secrets.ts'

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
  const missing = await whatDockerLacks({ isComposeNeeded: true })
  if (missing !== undefined) {
    if (isForced) throw new UsageError(`Docker was asked for, but ${missing}.`)
    return undefined
  }
  const project = composeProject('dev')
  const ports = {
    postgres: await freePort(),
    nats: await freePort(),
    objectStore: await freePort(),
    smtp: await freePort(),
    mailbox: mailboxPort,
    edge: await freePort(),
  }
  const totpFile = join(project.directory, TOTP_FILE)
  writeComposeFiles(project, secrets, ports)
  writeFileSync(runningNote(project), '')
  try {
    await runStep(progress, 'Docker images', () =>
      compose(project, ['pull', '--quiet', '--policy', 'missing', ...composeServers], PULL_TIMEOUT_MS),
    )
    if (isFresh) {
      await compose(project, ['down', '--volumes'], STOP_TIMEOUT_MS)
      rmSync(totpFile, { force: true })
    }
    await runStep(progress, 'Docker servers', () =>
      compose(project, ['up', '--detach', '--wait', ...composeServers], START_TIMEOUT_MS),
    )
  } catch (error) {
    await stop(project)
    const reason = reasonOf(error)
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
    totpFile,
    [Symbol.asyncDispose]: () => stop(project),
  }
}

/** Stops the containers that a killed `pnpm dev` of this clone left; they hold its ports. Answers whether there were any. */
export async function stopDockerLeftovers(): Promise<boolean> {
  const project = composeProject('dev')
  if (!existsSync(runningNote(project))) return false
  await stop(project)
  return true
}

async function stop(project: ComposeProject): Promise<void> {
  await compose(project, ['stop', '--timeout', '8'], STOP_TIMEOUT_MS).catch(() => undefined)
  rmSync(runningNote(project), { force: true })
}

/** There while the containers may run. */
function runningNote(project: ComposeProject): string {
  return join(project.directory, 'running')
}

/** The one line of what compose printed that says why. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  const lines = text.split('|').map((line) => line.trim().replaceAll(/\s+/g, ' '))
  return lines.findLast((line) => /error|denied|unknown|unhealthy|exited/i.test(line)) ?? lines.join(' ')
}
