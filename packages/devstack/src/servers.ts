import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { brokerUsers } from './broker-users.ts'
import { claimDirectory, stopLeftovers } from './ledger.ts'
import { runStep, silentProgress, type Progress } from './progress.ts'
import { startMailbox, type MailboxServer } from './servers/mailbox.ts'
import { startNats, type NatsServer } from './servers/nats.ts'
import { startObjectStore, type ObjectStoreServer } from './servers/object-store.ts'
import { startPostgres, type PostgresServer } from './servers/postgres.ts'

/** What each name stands for once it runs. */
interface ServersByName {
  readonly postgres: PostgresServer
  readonly nats: NatsServer
  readonly objectStore: ObjectStoreServer
  readonly mailbox: MailboxServer
}
export type ServerName = keyof ServersByName

const serverNames: readonly ServerName[] = ['postgres', 'nats', 'objectStore', 'mailbox']

/** Passwords of the servers. Data folders remember them, so a folder that is used again needs the same ones. */
export interface ServerSecrets {
  readonly postgresPassword: string
  readonly natsPasswords: Readonly<Record<string, string>>
  readonly objectStoreAccessKey: string
  readonly objectStoreSecretKey: string
  /** Gives NATS a user who may do everything: only for tests. */
  readonly natsAdministratorPassword?: string
}

export interface StartServersOptions<Name extends ServerName = ServerName> {
  /** Where data and logs live. Used again, the servers come up with the data they had. */
  readonly directory: string
  readonly only?: readonly Name[]
  /** Fixed ports; a server without one gets a free port between 20000 and 32000. */
  readonly ports?: { readonly [N in ServerName]?: number }
  readonly progress?: Progress
  /** Where the servers' logs go; the folder `logs` of the directory unless told otherwise. */
  readonly logsDirectory?: string
  /** Fixed development passwords unless told otherwise: the servers listen on 127.0.0.1 only. */
  readonly secrets?: ServerSecrets
  /** False for tests: Postgres trades safety against a crash of the whole machine for speed, and its data may be in memory. */
  readonly durable?: boolean
}

/** The servers that were asked for, running. Disposing stops them. */
export type Servers<Name extends ServerName = ServerName> = Pick<ServersByName, Name> &
  AsyncDisposable & { stop(): Promise<void> }

const BUCKET = 'saas'

/**
 * Starts the real servers, in parallel, as child processes. First stops what a killed launcher of this clone left behind.
 * Throws DirectoryInUseError when a living launcher uses the directory, and ServerStartError with the end of the log of a
 * server that does not come up; the others are stopped then.
 */
export async function startServers<Name extends ServerName = ServerName>(
  options: StartServersOptions<Name>,
): Promise<Servers<Name>> {
  const { directory, durable = true, ports = {}, progress = silentProgress } = options
  const secrets = options.secrets ?? knownSecrets
  const logs = options.logsDirectory ?? join(directory, 'logs')
  mkdirSync(logs, { recursive: true })
  const release = claimDirectory(directory)
  await stopLeftovers()

  const starters: { [N in ServerName]: () => Promise<ServersByName[N]> } = {
    postgres: () =>
      runStep(progress, 'Postgres', (step) =>
        startPostgres({
          directory: join(directory, 'postgres'),
          password: secrets.postgresPassword,
          logFile: join(logs, 'postgres.log'),
          durable,
          inMemory: !durable,
          step,
          ...portOf(ports.postgres),
        }),
      ),
    nats: () =>
      runStep(progress, 'NATS', (step) =>
        startNats({
          directory: join(directory, 'nats'),
          users: brokerUsers((service) => secrets.natsPasswords[service] ?? knownPassword(service)),
          logFile: join(logs, 'nats.log'),
          step,
          ...portOf(ports.nats),
          ...(secrets.natsAdministratorPassword === undefined
            ? {}
            : { administratorPassword: secrets.natsAdministratorPassword }),
        }),
      ),
    objectStore: () =>
      runStep(progress, 'Object store', (step) =>
        startObjectStore({
          directory: join(directory, 'object-store'),
          accessKey: secrets.objectStoreAccessKey,
          secretKey: secrets.objectStoreSecretKey,
          bucket: BUCKET,
          program: process.env['SAAS_OBJECT_STORE'] === 'minio' ? 'minio' : 's3rver',
          logFile: join(logs, 'object-store.log'),
          step,
          ...portOf(ports.objectStore),
        }),
      ),
    mailbox: () =>
      runStep(progress, 'Mailbox', (step) =>
        startMailbox({ logFile: join(logs, 'mailbox.log'), step, ...portOf(ports.mailbox) }),
      ),
  }

  const wanted = options.only ?? (serverNames as readonly Name[])
  const results = await Promise.allSettled(wanted.map(async (name) => [name, await starters[name]()] as const))
  const running = results.filter((result) => result.status === 'fulfilled').map(({ value }) => value)
  const stop = async (): Promise<void> => {
    await Promise.allSettled(running.map(async ([, server]) => server[Symbol.asyncDispose]()))
    release()
  }
  const failure = results.find((result) => result.status === 'rejected')
  if (failure !== undefined) {
    await stop()
    throw failure.reason
  }
  const servers = Object.fromEntries(running) as unknown as Pick<ServersByName, Name>
  return { ...servers, stop, [Symbol.asyncDispose]: stop }
}

/** Secrets made at random, to be kept with the data they protect. */
export function randomServerSecrets(services: readonly string[]): ServerSecrets {
  const secret = (): string => randomBytes(24).toString('base64url')
  return {
    postgresPassword: secret(),
    natsPasswords: Object.fromEntries(services.map((service) => [service, secret()])),
    objectStoreAccessKey: randomBytes(10).toString('hex'),
    objectStoreSecretKey: secret(),
  }
}

/** For tests and single servers, whose data nobody keeps. */
const knownSecrets: ServerSecrets = {
  postgresPassword: 'postgres-for-tests',
  natsPasswords: {},
  natsAdministratorPassword: 'administrator-for-tests',
  objectStoreAccessKey: 'access-key-for-tests',
  objectStoreSecretKey: 'secret-key-for-tests',
}

function knownPassword(service: string): string {
  return `${service}-for-tests`
}

function portOf(port: number | undefined): { port?: number } {
  return port === undefined ? {} : { port }
}
