import { join } from 'node:path'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream'
import { brokerUsers, freePort, startNats, type NatsOptions, type NatsServer } from '@saas/devstack'
import type { ServiceName } from '@saas/contracts'
import { eventually } from './eventually.ts'
import { newDirectory } from './servers.ts'

const STREAM = 'messages'
const ADMINISTRATOR_PASSWORD = 'administrator-for-tests'

/** A NATS of a test's own, with the real users and permissions. */
export interface TestBus extends AsyncDisposable {
  readonly child: NatsServer['child']
  /** All servers, `child` the first of them. */
  readonly children: readonly NatsServer['child'][]
  /** Where the stream's files are. */
  readonly storeDirectory: string
  /** The broker URL of a service, user and password inside. */
  urlFor(service: ServiceName): string
  /** A connection that may do everything: to look into the stream, to publish nonsense, to break things. */
  administrator(): Promise<NatsConnection>
  /** Management of the stream, as the administrator. */
  manager(): Promise<JetStreamManager>
  /** Deletes the stream with all it holds, as a disaster would. */
  deleteStream(): Promise<void>
}

/** Starts a NATS server with JetStream (about 40 ms). */
export async function testBus(): Promise<TestBus> {
  const directory = newDirectory('nats')
  const server = await startNats({ ...users(), directory })
  return busOf([{ server, directory }])
}

/**
 * Starts three NATS servers that keep each message together, as in an installation that stands the loss of one. Services
 * are told of the first, which is `child`, and learn of the others from it.
 */
export async function replicatedTestBus(): Promise<TestBus> {
  const routePorts = [await freePort(), await freePort(), await freePort()]
  const bus = busOf(
    await Promise.all(
      routePorts.map(async (port, node) => {
        const directory = newDirectory('nats')
        const cluster = { serverName: `saas-${node}`, port, routePorts }
        return { server: await startNats({ ...users(), directory, cluster }), directory }
      }),
    ),
  )
  // Until they have chosen who leads, nobody can make a stream.
  await eventually(async () => await (await bus.manager()).getAccountInfo())
  return bus
}

function users(): Pick<NatsOptions, 'users' | 'administratorPassword'> {
  return {
    users: brokerUsers((service) => `${service}-for-tests`),
    administratorPassword: ADMINISTRATOR_PASSWORD,
  }
}

function busOf(nodes: readonly { readonly server: NatsServer; readonly directory: string }[]): TestBus {
  const [first] = nodes
  if (first === undefined) throw new Error('A bus has at least one server')
  const { server, directory } = first
  let connecting: Promise<NatsConnection> | undefined
  const administrator = async (): Promise<NatsConnection> => {
    connecting ??= connect({
      servers: `127.0.0.1:${server.port}`,
      user: 'administrator',
      pass: ADMINISTRATOR_PASSWORD,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 50,
    })
    return await connecting
  }
  const manager = async (): Promise<JetStreamManager> =>
    await jetstreamManager(await administrator(), { checkAPI: false })
  return {
    child: server.child,
    storeDirectory: join(directory, 'jetstream'),
    children: nodes.map((node) => node.server.child),
    urlFor: (service) => {
      const url = server.users[service]
      if (url === undefined) throw new Error(`${service} does not use the bus`)
      return url
    },
    administrator,
    manager,
    deleteStream: async () => {
      await (await manager()).streams.delete(STREAM)
    },
    [Symbol.asyncDispose]: async () => {
      await (await connecting)?.close()
      await Promise.all(nodes.map(async (node) => await node.server[Symbol.asyncDispose]()))
    },
  }
}
