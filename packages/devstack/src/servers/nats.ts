import { mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { Child } from '../child.ts'
import { natsBinary } from '../fetch/nats-binary.ts'
import { natsConfiguration, type BrokerUser } from '../nats-configuration.ts'
import { freePort } from '../ports.ts'
import type { ProgressStep } from '../progress.ts'

export interface NatsOptions {
  /** Where the configuration, the store and the log live. */
  readonly directory: string
  readonly users: readonly (BrokerUser & { readonly password: string })[]
  readonly port?: number
  readonly logFile?: string
  readonly step?: ProgressStep
  /** A user who may do everything, for tests that break things on purpose. */
  readonly administratorPassword?: string
  /** One of several servers that keep their streams together. */
  readonly cluster?: { readonly serverName: string; readonly port: number; readonly routePorts: readonly number[] }
}

/** A running NATS server with JetStream. */
export interface NatsServer extends AsyncDisposable {
  readonly child: Child
  readonly port: number
  /** Without credentials. */
  readonly url: string
  /** The broker URL of each user, user and password inside. */
  readonly users: Readonly<Record<string, string>>
  /** The URL of the user who may do everything, when one was asked for. */
  readonly administratorUrl: string | undefined
}

const ADMINISTRATOR = 'administrator'

/** Starts NATS with the users and permissions of natsConfiguration. Throws ServerStartError. */
export async function startNats(options: NatsOptions): Promise<NatsServer> {
  const { directory, users, administratorPassword, step } = options
  const program = await natsBinary(step)
  const port = options.port ?? (await freePort())
  const storeDirectory = join(directory, 'jetstream')
  const configurationFile = join(directory, 'nats.conf')
  mkdirSync(directory, { recursive: true })
  mkdirSync(storeDirectory, { recursive: true, mode: 0o700 })
  const configuration = natsConfiguration({
    users,
    port,
    storeDirectory,
    serverName: options.cluster?.serverName ?? 'saas',
    ...(options.cluster === undefined ? {} : { cluster: options.cluster }),
    ...(administratorPassword === undefined
      ? {}
      : { administrator: { user: ADMINISTRATOR, password: administratorPassword } }),
  })
  writeFileSync(configurationFile, configuration, { mode: 0o600 })
  step?.update('starting')
  const child = await Child.start({
    name: options.cluster === undefined ? 'NATS' : `NATS ${options.cluster.serverName}`,
    command: program,
    arguments: ['-c', configurationFile],
    logFile: options.logFile ?? join(directory, 'nats.log'),
    isReady: (signal) => announcesJetStream(port, signal),
  })
  const urlFor = (user: string, password: string): string =>
    `nats://${encodeURIComponent(user)}:${encodeURIComponent(password)}@127.0.0.1:${port}`
  return {
    child,
    port,
    url: `nats://127.0.0.1:${port}`,
    users: Object.fromEntries(users.map(({ service, password }) => [service, urlFor(service, password)])),
    administratorUrl: administratorPassword === undefined ? undefined : urlFor(ADMINISTRATOR, administratorPassword),
    [Symbol.asyncDispose]: () => child.stop(),
  }
}

/** The first thing a NATS server sends is an INFO line; it names JetStream once that is up. */
async function announcesJetStream(port: number, signal: AbortSignal): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' })
  try {
    return await new Promise<boolean>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error('timed out')))
      socket.once('error', reject)
      socket.once('data', (chunk) => resolve(chunk.toString('utf8').includes('"jetstream":true')))
      socket.once('close', () => resolve(false))
    })
  } finally {
    socket.destroy()
  }
}
