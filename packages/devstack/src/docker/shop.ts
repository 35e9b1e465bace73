import { join } from 'node:path'
import { serviceNames, statefulServices, type ServiceName } from '@saas/contracts'
import { provisionService } from '@saas/state'
import { provisionOf } from '../dev/environment.ts'
import { randomStackSecrets, type StackSecrets } from '../dev/secrets.ts'
import { devstackDirectory } from '../locations.ts'
import { freePort } from '../ports.ts'
import { runStep, type Progress } from '../progress.ts'
import { CONTAINER_PORTS, compose, composeProject, composeServers, writeComposeFiles } from './compose.ts'
import type { ComposePorts, ComposeProject } from './compose.ts'

const START_TIMEOUT_MS = 120_000
const STOP_TIMEOUT_MS = 60_000
const READY_TIMEOUT_MS = 40_000
const LOG_TIMEOUT_MS = 10_000

/** Runs inside a container, where there is nothing but Node, until the service says that it is ready. */
const untilReady = `const end = Date.now() + 30_000
  for (;;) {
    const answer = await fetch('http://127.0.0.1:${CONTAINER_PORTS.opsPort}/readyz').catch(() => undefined)
    if (answer?.ok) process.exit(0)
    if (Date.now() > end) { console.error(await answer?.text() ?? 'it does not listen'); process.exit(1) }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }`

/** Starts the servers of `docker/compose.yaml` and makes the databases and roles of the services. */
export async function startComposeServers(
  project: ComposeProject,
  secrets: StackSecrets,
  ports: ComposePorts,
  progress: Progress,
): Promise<void> {
  writeComposeFiles(project, secrets, ports)
  await runStep(progress, 'Servers', async () => {
    await compose(project, ['up', '--detach', '--wait', ...composeServers], START_TIMEOUT_MS)
    const password = encodeURIComponent(secrets.servers.postgresPassword)
    const adminUrl = `postgres://postgres:${password}@127.0.0.1:${ports.postgres}/postgres`
    for (const service of statefulServices) await provisionService(adminUrl, provisionOf(service, secrets))
  })
}

/** Migrates, starts services and edge, and waits until each service says that it is ready. */
export async function startComposeServices(project: ComposeProject, progress: Progress): Promise<void> {
  await runStep(progress, 'Migrations, services', () =>
    compose(project, ['--profile', 'shop', 'up', '--detach'], START_TIMEOUT_MS),
  )
  await runStep(progress, 'Services are ready', () =>
    Promise.all(
      serviceNames.map((service) =>
        compose(
          project,
          ['--profile', 'shop', 'exec', '-T', service, '/usr/bin/node', '--input-type=module', '--eval', untilReady],
          READY_TIMEOUT_MS,
        ),
      ),
    ),
  )
}

/** Ports of this machine that nobody has. */
export async function freeComposePorts(): Promise<ComposePorts> {
  const names = ['postgres', 'nats', 'objectStore', 'smtp', 'mailbox', 'edge'] as const
  const entries = await Promise.all(names.map(async (name) => [name, await freePort()] as const))
  return Object.fromEntries(entries) as unknown as ComposePorts
}

/** Whatever else runs: the shop in containers with data of its own, which end with it. */
export interface TrialShop extends AsyncDisposable {
  readonly project: ComposeProject
  readonly secrets: StackSecrets
  readonly url: string
  readonly mailboxUrl: string
  /** What the containers of a service have written so far. */
  logs(service: ServiceName): Promise<string>
  /** Runs a module in the container of a service and answers what it printed. */
  evaluate(service: ServiceName, module: string): Promise<string>
}

/** Starts the shop from the images `saas/<service>:latest` with empty databases and secrets of its own. */
export async function startTrialShop(progress: Progress, isWhole = true): Promise<TrialShop> {
  const project = composeProject('trial')
  const secrets = randomStackSecrets()
  const ports = await freeComposePorts()
  const remove = async (): Promise<void> => {
    await compose(project, ['--profile', 'shop', 'down', '--volumes', '--timeout', '5'], STOP_TIMEOUT_MS)
  }
  writeComposeFiles(project, secrets, ports)
  // What a run that was killed left behind.
  await remove()
  try {
    await startComposeServers(project, secrets, ports, progress)
    if (isWhole) await startComposeServices(project, progress)
  } catch (error) {
    await remove().catch(() => undefined)
    throw error
  }
  const shop = (...arguments_: string[]) => compose(project, ['--profile', 'shop', ...arguments_], LOG_TIMEOUT_MS)
  return {
    project,
    secrets,
    url: `http://localhost:${ports.edge}`,
    mailboxUrl: `http://127.0.0.1:${ports.mailbox}`,
    logs: (service) => shop('logs', '--no-color', '--no-log-prefix', service),
    evaluate: (service, module) =>
      shop('exec', '-T', service, '/usr/bin/node', '--input-type=module', '--eval', module),
    [Symbol.asyncDispose]: remove,
  }
}

/** Where the environment of a service stands, as `docker run --env-file` reads it. */
export function environmentFile(project: ComposeProject, service: ServiceName): string {
  return join(project.directory, `${service}.env`)
}

/** Of the administrator whose data is in the volumes of the shop in containers. */
export const totpFile = join(devstackDirectory, 'shop-admin-totp-secret')
