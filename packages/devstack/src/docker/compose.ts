import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { byService, serviceNames, type ServiceName } from '@saas/contracts'
import { brokerUsers } from '../broker-users.ts'
import { writeEdgeConfiguration } from '../dev/edge-configuration.ts'
import { environmentOf } from '../dev/environment.ts'
import type { StackSecrets } from '../dev/secrets.ts'
import { run } from '../fetch/run.ts'
import { cloneDirectory, devstackDirectory } from '../locations.ts'
import { natsConfiguration } from '../nats-configuration.ts'

/** The services of `docker/compose.yaml` that are servers and not ours. */
export const composeServers = ['postgres', 'nats', 'objectstore', 'mailbox'] as const

export interface ComposePorts {
  readonly postgres: number
  readonly nats: number
  readonly objectStore: number
  readonly smtp: number
  readonly mailbox: number
  readonly edge: number
}

/** The ports our services have inside their containers. */
export const CONTAINER_PORTS = { listenPort: 3000, opsPort: 9000 }

/** One clone's compose project. */
export interface ComposeProject {
  readonly directory: string
  readonly name: string
}

/**
 * The project of this clone's `pnpm dev`, of the whole shop in containers, or of a trial that leaves nothing. They share
 * nothing, nor does another clone: each has its own passwords, which are kept in the volumes.
 */
export function composeProject(purpose: 'dev' | 'shop' | 'trial'): ComposeProject {
  const clone = createHash('sha256').update(cloneDirectory).digest('hex').slice(0, 8)
  const directory = purpose === 'shop' ? 'compose' : `compose-${purpose}`
  return { directory: join(devstackDirectory, directory), name: `saas-${purpose}-${clone}` }
}

/**
 * Writes what `docker/compose.yaml` reads besides itself: ports and passwords, the broker's configuration with its users, and
 * the environment of each service.
 */
export function writeComposeFiles(project: ComposeProject, secrets: StackSecrets, ports: ComposePorts): void {
  mkdirSync(project.directory, { recursive: true, mode: 0o700 })
  const write = (name: string, text: string, mode = 0o600): void =>
    writeFileSync(join(project.directory, name), text, { mode })
  const { servers } = secrets
  write(
    '.env',
    assignments({
      // So that a plain `docker compose --env-file` is about this project too.
      COMPOSE_PROJECT_NAME: project.name,
      STACK_DIRECTORY: project.directory,
      POSTGRES_PORT: String(ports.postgres),
      NATS_PORT: String(ports.nats),
      OBJECT_STORE_PORT: String(ports.objectStore),
      SMTP_PORT: String(ports.smtp),
      MAILBOX_PORT: String(ports.mailbox),
      EDGE_PORT: String(ports.edge),
      POSTGRES_PASSWORD: servers.postgresPassword,
      OBJECT_STORE_ACCESS_KEY: servers.objectStoreAccessKey,
      OBJECT_STORE_SECRET_KEY: servers.objectStoreSecretKey,
    }),
  )
  // The broker runs as another user in its container and has to read this; the folder above is ours alone.
  write(
    'nats.conf',
    natsConfiguration({
      users: brokerUsers((service) => servers.natsPasswords[service] ?? ''),
      host: '0.0.0.0',
      port: 4222,
      monitorPort: 8222,
      storeDirectory: '/data',
      serverName: 'saas',
    }),
    0o644,
  )
  for (const service of serviceNames) {
    const environment = environmentOf(service, {
      secrets,
      ports: CONTAINER_PORTS,
      publicUrl: `http://localhost:${ports.edge}`,
      addresses: {
        postgresUrl: 'postgres://postgres:5432',
        natsUrl: 'nats://nats:4222',
        s3Endpoint: 'http://objectstore:9000',
        s3Region: 'us-east-1',
        s3Bucket: 'saas',
        smtpUrl: 'smtp://mailbox:1025',
      },
    })
    write(`${service}.env`, assignments({ ...environment, LISTEN_HOST: '0.0.0.0' }))
  }
  const at = (service: ServiceName): string[] => [`${service}:${CONTAINER_PORTS.listenPort}`]
  writeEdgeConfiguration(join(project.directory, 'edge'), {
    listen: ['8080'],
    publicUrl: `http://localhost:${ports.edge}`,
    trustedHops: 0,
    accessLog: '/dev/stdout',
    upstreams: byService(at),
  })
  mkdirSync(join(project.directory, 'edge/run'))
}

/** Runs `docker compose` on the project and answers what it printed. */
export async function compose(
  project: ComposeProject,
  arguments_: readonly string[],
  timeoutMs: number,
): Promise<string> {
  return run('docker', [...composeArguments(project), ...arguments_], { timeoutMs })
}

/** What stands before a compose command so that it is about this project. */
export function composeArguments(project: ComposeProject): string[] {
  const file = join(cloneDirectory, 'docker/compose.yaml')
  const environmentFile = join(project.directory, '.env')
  return ['compose', '--file', file, '--env-file', environmentFile, '--project-name', project.name]
}

function assignments(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}
