import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { byService, frontendRoutes, needs, type ServiceName } from '@saas/contracts'
import { startDocsServer } from '../docs/docs-server.ts'
import { cloneDirectory, devstackDirectory, logsDirectory } from '../locations.ts'
import { freePort } from '../ports.ts'
import { runStep, type ProgressStep } from '../progress.ts'
import { startNginx } from '../servers/nginx.ts'
import { startDockerServers } from './docker-servers.ts'
import { writeEdgeConfiguration } from './edge-configuration.ts'
import { environmentOf, provisionOf, type ServicePorts } from './environment.ts'
import { forgetLocalData, startLocalServers, type RunningServers } from './local-servers.ts'
import type { LogView } from './log-view.ts'
import { UsageError, type DevOptions } from './options.ts'
import type { PublicPorts } from './public-ports.ts'
import { loadSecrets, type StackSecrets } from './secrets.ts'
import { accountsOf, seed } from './seed.ts'
import type { ResourceGroup } from './resource-group.ts'
import { ServiceChild } from './service-child.ts'
import { removeStackState, writeStackState, type StackState } from './stack-state.ts'
import { keepRunning } from './supervision.ts'
import type { TerminalProgress } from './terminal-progress.ts'

/** Data of the development stack. */
const dataDirectory = join(devstackDirectory, 'dev')
const stateFile = join(devstackDirectory, 'state.json')
const secretsFile = join(devstackDirectory, 'secrets.json')

const EDGE_TIMEOUT_MS = 5_000

export interface StackContext {
  readonly options: DevOptions
  readonly ports: PublicPorts
  readonly progress: TerminalProgress
  readonly logs: LogView
  /** Aborted when the stack is to stop while it is still starting. */
  readonly signal: AbortSignal
  /** What listens to people and to each other: stopped first. */
  readonly parts: ResourceGroup
  /** What those need until they have stopped. */
  readonly servers: ResourceGroup
}

type PortsByService = Readonly<Record<ServiceName, ServicePorts>>

/** Asked for while everything starts: for the page itself Vite transforms all its modules, 1.7 s of CPU that others need. */
const CHEAP_PATH = frontendRoutes.getIcon.path

/** Brings the whole product up and answers where it is. Everything that can run at the same time does. */
export async function startStack(context: StackContext): Promise<StackState> {
  const { options, ports, progress, parts, signal } = context
  removeStackState(stateFile)
  if (options.fresh) forgetLocalData(dataDirectory)
  // Servers were started here, and their data remembers passwords.
  if (existsSync(join(dataDirectory, 'nats')) && !existsSync(secretsFile)) {
    throw new UsageError(`${secretsFile} is gone: put it back, or forget the data of earlier runs with --fresh.`)
  }
  mkdirSync(dataDirectory, { recursive: true })
  rotateLogs()
  const secrets = loadSecrets(secretsFile, { isFresh: options.fresh })
  const urls = {
    edge: `http://localhost:${ports.edge}`,
    mailbox: `http://localhost:${ports.mailbox}`,
    docs: `http://localhost:${ports.docs}`,
  }
  const servicePorts = await choosePortsOfServices()
  parts.use({ [Symbol.dispose]: () => removeStackState(stateFile) })

  const edge = runStep(progress, 'Edge (nginx)', (step) => startEdge(context, servicePorts, step))
  const docs = startDocsServer(ports.docs, `http://127.0.0.1:${ports.edge}`)
  const frontend = options.services.includes('frontend') ? startService(context, 'frontend', servicePorts) : undefined
  const backend = startBackend(context, secrets, servicePorts, urls.edge)
  const [servers] = await Promise.all([backend, edge, docs.then((server) => parts.use(server)), frontend])
  signal.throwIfAborted()

  await seedOnce(context, secrets, servers)
  await runStep(progress, 'Shop answers', () => assertEdgeServes(context))
  const state: StackState = { urls, accounts: accountsOf(servers.totpFile), pid: process.pid }
  writeStackState(stateFile, state)
  return state
}

async function startBackend(
  context: StackContext,
  secrets: StackSecrets,
  servicePorts: PortsByService,
  publicUrl: string,
): Promise<RunningServers> {
  const { options } = context
  const servers = context.servers.use(await startAnyServers(context, secrets))
  const services = options.services.filter((service) => needs[service].database)
  const environments = new Map(
    services.map((service) => [
      service,
      environmentOf(service, { addresses: servers.addresses, secrets, ports: servicePorts[service], publicUrl }),
    ]),
  )
  await prepareDatabases(context, servers, secrets, environments)
  await Promise.all(
    [...environments].map(([service, environment]) => startService(context, service, servicePorts, environment)),
  )
  return servers
}

/**
 * Makes roles, databases and tables. Data that was prepared for the same roles and by the same migrations is left as it is, which
 * spares a warm start loading what can do it.
 */
async function prepareDatabases(
  { progress }: StackContext,
  servers: RunningServers,
  secrets: StackSecrets,
  environments: ReadonlyMap<ServiceName, Record<string, string>>,
): Promise<void> {
  const services = [...environments.keys()]
  const provisions = services.map((service) => provisionOf(service, secrets))
  const fingerprint = createHash('sha256')
    .update(JSON.stringify([provisions, migrationsOf(services)]))
    .digest('hex')
  const note = servers.provisionedNote
  if (note !== undefined && existsSync(note) && readFileSync(note, 'utf8') === fingerprint) return
  const { provisionService, runMigrations } = await import('@saas/state')
  // One after the other: doing it at the same time collides in Postgres' shared catalogues.
  for (const each of provisions) await provisionService(servers.addresses.postgresUrl, each)
  // What `services/<service>/src/migrate.ts` does, without the half second a program takes to start.
  const migrate = async (service: ServiceName): Promise<void> => {
    const url = environments.get(service)?.['MIGRATE_DATABASE_URL'] ?? ''
    await runMigrations({ service, directory: migrationsFolder(service), url, wait: false, report: () => undefined })
  }
  await Promise.all(services.map((service) => runStep(progress, `Migrations of ${service}`, () => migrate(service))))
  if (note !== undefined) writeFileSync(note, fingerprint)
}

function migrationsFolder(service: ServiceName): string {
  return join(cloneDirectory, 'services', service, 'migrations')
}

/** The text of every migration, those of messages included. */
function migrationsOf(services: readonly ServiceName[]): string[] {
  return [join(cloneDirectory, 'packages/state/migrations'), ...services.map(migrationsFolder)].flatMap((folder) =>
    readdirSync(folder)
      .toSorted()
      .map((name) => readFileSync(join(folder, name), 'utf8')),
  )
}

async function startAnyServers(context: StackContext, secrets: StackSecrets): Promise<RunningServers> {
  const { options, ports, progress } = context
  const common = { directory: dataDirectory, secrets, mailboxPort: ports.mailbox, progress }
  const say = (text: string): void => context.logs.print('devstack', text)
  if (options.docker !== 'never') {
    const servers = await startDockerServers({
      ...common,
      say: (text) => progress.say(text),
      isForced: options.docker === 'always',
      isFresh: options.fresh,
    })
    if (servers !== undefined) return servers
  }
  return startLocalServers({ ...common, say })
}

async function startService(
  context: StackContext,
  service: ServiceName,
  servicePorts: PortsByService,
  environment: Record<string, string> = {},
): Promise<void> {
  const { logs, progress, parts, signal } = context
  const { listenPort, opsPort } = servicePorts[service]
  const isFrontend = service === 'frontend'
  const child = parts.use(
    new ServiceChild({
      name: service,
      directory: join(cloneDirectory, 'services', service),
      arguments: isFrontend
        ? ['node_modules/vite/bin/vite.js', '--host', '127.0.0.1', '--port', String(listenPort), '--strictPort']
        : [
            ...watchedFolders(service).map((folder) => `--watch-path=${folder}`),
            '--watch-preserve-output',
            'src/main.ts',
          ],
      environment,
      logFile: join(logsDirectory, `${service}.log`),
      logs,
      isReady: async (probe) => {
        const url = isFrontend ? `http://127.0.0.1:${listenPort}${CHEAP_PATH}` : `http://127.0.0.1:${opsPort}/readyz`
        const response = await fetch(url, { signal: probe })
        await response.body?.cancel()
        return response.ok
      },
    }),
  )
  await runStep(progress, isFrontend ? 'frontend (Vite)' : service, () => child.ready(signal))
}

/**
 * What a service is made of. Named folders cost a tenth of what plain `--watch` does, which learns of every module it loads
 * (0.4 s of CPU a service), and they notice templates too.
 */
function watchedFolders(service: ServiceName): string[] {
  const own = ['src', 'templates'].map((name) => join(cloneDirectory, 'services', service, name))
  const shared = ['config', 'contracts', 'http', 'state'].map((name) => join(cloneDirectory, 'packages', name, 'src'))
  return [...own, ...shared].filter((folder) => existsSync(folder))
}

async function startEdge(context: StackContext, servicePorts: PortsByService, step: ProgressStep): Promise<void> {
  const { ports, parts, logs } = context
  const directory = join(dataDirectory, 'edge')
  const at = (service: ServiceName): string[] => [`127.0.0.1:${servicePorts[service].listenPort}`]
  const nginx = await startNginx({
    directory,
    configurationFile: writeEdgeConfiguration(directory, {
      listen: [`127.0.0.1:${ports.edge}`],
      publicUrl: `http://localhost:${ports.edge}`,
      trustedHops: 0,
      accessLog: join(logsDirectory, 'edge.log'),
      developmentServer: true,
      upstreams: byService(at),
    }),
    url: `http://127.0.0.1:${ports.edge}${CHEAP_PATH}`,
    logFile: join(logsDirectory, 'nginx.log'),
    step,
  })
  parts.use(keepRunning(nginx.child, (text) => logs.print('devstack', text)))
  parts.use(nginx)
}

/** Accounts and products are made once; data that is kept keeps them. What is in Docker's volumes only asking can tell. */
async function seedOnce(context: StackContext, secrets: StackSecrets, servers: RunningServers): Promise<void> {
  const { options, ports, progress, signal } = context
  const isWhole = (['auth', 'products', 'notifications'] as const).every((name) => options.services.includes(name))
  const note = servers.seededNote
  if (!isWhole || (note !== undefined && existsSync(note))) return
  try {
    await runStep(progress, 'Accounts and products', () =>
      seed({
        edgeUrl: `http://127.0.0.1:${ports.edge}`,
        mailboxUrl: `http://127.0.0.1:${ports.mailbox}`,
        bootstrapToken: secrets.bootstrapToken,
        totpFile: servers.totpFile,
        signal,
      }),
    )
  } catch (error) {
    signal.throwIfAborted()
    const reason = error instanceof Error ? error.message : String(error)
    throw new UsageError(
      `The accounts and products could not be made: ${reason}\n--fresh forgets the data and begins anew.`,
    )
  }
  if (note !== undefined) writeFileSync(note, '')
}

async function assertEdgeServes({ options, ports, signal }: StackContext): Promise<void> {
  const paths = [
    ...(options.services.includes('frontend') ? ['/'] : []),
    ...(options.services.includes('products') ? ['/product'] : []),
  ]
  for (const path of paths) {
    const response = await fetch(`http://127.0.0.1:${ports.edge}${path}`, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(EDGE_TIMEOUT_MS)]),
    })
    await response.body?.cancel()
    if (!response.ok) throw new Error(`The edge answers ${response.status} to GET ${path}.`)
  }
}

async function choosePortsOfServices(): Promise<PortsByService> {
  const pair = async (): Promise<ServicePorts> => ({ listenPort: await freePort(), opsPort: await freePort() })
  const [auth, products, orders, notifications, frontend] = [
    await pair(),
    await pair(),
    await pair(),
    await pair(),
    await pair(),
  ]
  return { auth, products, orders, notifications, frontend }
}

/** The logs of the run before are dropped: what is in the folder is about this run. */
function rotateLogs(): void {
  mkdirSync(logsDirectory, { recursive: true })
  for (const name of readdirSync(logsDirectory)) {
    if (name.endsWith('.log')) rmSync(join(logsDirectory, name), { force: true })
  }
}
