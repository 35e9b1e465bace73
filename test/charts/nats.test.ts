import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { connect as connectSocket } from 'node:net'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { connect, PermissionViolationError, type NatsConnection } from '@nats-io/transport-node'
import { statefulServices } from '@saas/contracts'
import { brokerPermissions, brokerUsers, Child, freePort, natsBinary } from '@saas/devstack'
import { eventually, sharedServers } from '@saas/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { rendered, type Rendered } from './helm.ts'
import { named, workloads } from './objects.ts'

const NODES = [0, 1, 2]
const stack = new AsyncDisposableStack()
const nodes: Child[] = []
const ports: number[] = []
const routePorts: number[] = []
const directories: string[] = []
let objects: readonly Rendered[]

/** The environment of a node, as Kubernetes would put it together. */
function environmentOf(node: string): Record<string, string> {
  const workload = workloads(objects).find(({ name }) => name === 'shop-nats')
  const environment: Record<string, string> = {}
  for (const { name, value, valueFrom } of workload?.containers[0]?.env ?? []) {
    const reference = valueFrom?.secretKeyRef
    if (reference !== undefined) environment[name] = secretValue(String(reference.name), reference.key)
    else if (valueFrom?.fieldRef?.fieldPath === 'metadata.name') environment[name] = node
    else
      environment[name] = (value ?? '').replaceAll(/\$\((\w+)\)/g, (_, variable: string) => environment[variable] ?? '')
  }
  for (const [index, port] of routePorts.entries()) {
    const route = `shop-nats-${index}.shop-nats-nodes:6222`
    expect(environment[`ROUTE_${index}`]).toContain(route)
    environment[`ROUTE_${index}`] = String(environment[`ROUTE_${index}`]).replace(route, `127.0.0.1:${port}`)
  }
  return environment
}

function secretValue(secret: string, key: string): string {
  return (named(objects, 'Secret', secret)['stringData'] as Record<string, string>)[key] ?? ''
}

/** A node with what the objects of this moment say, on the data that it had. */
async function start(node: number): Promise<void> {
  const { data } = named(objects, 'ConfigMap', 'shop-nats') as unknown as { data: Record<string, string> }
  const directory = directories[node] ?? ''
  const file = join(directory, 'nats.conf')
  // Only addresses and folders differ from what runs in a pod.
  const here = String(data['nats.conf'])
    .replace('0.0.0.0:4222', `127.0.0.1:${ports[node]}`)
    .replace('0.0.0.0:6222', `127.0.0.1:${routePorts[node]}`)
    .replace('0.0.0.0:8222', '127.0.0.1:-1')
    .replace('"/data"', `"${join(directory, 'data')}"`)
    .replace('/tmp/nats.pid', join(directory, 'nats.pid'))
  writeFileSync(file, here, { mode: 0o600 })
  nodes[node] = stack.use(
    await Child.start({
      name: `NATS ${node}`,
      command: await natsBinary(),
      arguments: ['--config', file],
      environment: environmentOf(`shop-nats-${node}`),
      logFile: join(directory, 'nats.log'),
      isReady: (signal) => listens(ports[node] ?? 0, signal),
    }),
  )
}

beforeAll(async () => {
  objects = await rendered()
  for (const node of NODES) {
    ports.push(await freePort())
    routePorts.push(await freePort())
    directories.push(mkdtempSync(join(sharedServers().directory, 'chart-nats-')))
    mkdirSync(join(directories[node] ?? '', 'data'), { mode: 0o700 })
  }
  await Promise.all(NODES.map(start))
})

afterAll(async () => {
  await stack.disposeAsync()
})

async function listens(port: number, signal: AbortSignal): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connectSocket({ port, host: '127.0.0.1' })
  signal.addEventListener('abort', () => resolve(false))
  socket.once('error', () => resolve(false)).once('data', () => resolve(true))
  return await promise.finally(() => socket.destroy())
}

async function connectAs(service: string): Promise<NatsConnection> {
  const connection = await connect({
    servers: ports.map((port) => `127.0.0.1:${port}`),
    user: service,
    pass: secretValue(`shop-${service}`, 'nats-password'),
    inboxPrefix: `_INBOX_${service}`,
  })
  stack.defer(async () => await connection.close())
  return connection
}

test('three nodes form a cluster that keeps each message three times and survives the loss of one', async () => {
  const orders = await connectAs('orders')
  const stream = { name: 'messages', subjects: ['msg.>'], storage: 'file', num_replicas: NODES.length }
  await eventually(async () => {
    const answer = await orders.request('$JS.API.STREAM.CREATE.messages', JSON.stringify(stream))
    expect(answer.json()).toMatchObject({ config: { num_replicas: NODES.length } })
  })
  await eventually(async () => {
    const { cluster } = (await orders.request('$JS.API.STREAM.INFO.messages')).json<{
      cluster: { leader: string; replicas: { name: string; current: boolean }[] }
    }>()
    const names = [cluster.leader, ...cluster.replicas.filter(({ current }) => current).map(({ name }) => name)]
    expect(names.toSorted()).toEqual(NODES.map((node) => `shop-nats-${node}`))
  })
  await nodes[2]?.kill('SIGKILL')
  const acknowledgement = await eventually(async () =>
    (await orders.request('msg.orders.order.placed', '{}')).json<{ stream: string; seq: number }>(),
  )
  expect(acknowledgement).toMatchObject({ stream: 'messages' })
})

const permissions = new Map(brokerUsers(() => '').map((user) => [user.service, brokerPermissions(user)]))
const concrete = (subject: string) => subject.replace(/>$/, 'x')
const everything = (kind: 'publish' | 'subscribe') => [
  ...new Set([...permissions.values()].flatMap((allowed) => allowed[kind]).map(concrete)),
]
/** What nobody may do: change or read the stream past a consumer, and hear everything. */
const forbidden = {
  publish: [
    ...['UPDATE', 'DELETE', 'PURGE', 'MSG.DELETE', 'MSG.GET', 'SNAPSHOT'].map(
      (call) => `$JS.API.STREAM.${call}.messages`,
    ),
    ...statefulServices.map((service) => `$JS.API.CONSUMER.DELETE.messages.${service}`),
    '$SYS.REQ.SERVER.PING',
    'other.subject',
  ],
  subscribe: ['>', 'msg.>', '_INBOX.>', '_INBOX_auth.>', '$JS.>', '$SYS.>', 'msg.orders.order.placed'],
}

test.each(statefulServices)(
  '%s can do exactly what it should, of all that anybody can do and more',
  async (service) => {
    const connection = await connectAs(service)
    const refused = { publish: new Set<string>(), subscription: new Set<string>() }
    void (async () => {
      for await (const status of connection.status()) {
        if (status.type === 'error' && status.error instanceof PermissionViolationError)
          refused[status.error.operation].add(status.error.subject)
      }
    })()
    const publish = [...everything('publish'), ...forbidden.publish]
    const subscribe = [...everything('subscribe'), ...forbidden.subscribe]
    for (const subject of publish) connection.publish(subject, '{}')
    for (const subject of subscribe) connection.subscribe(subject, { callback: () => undefined })
    await connection.flush()
    const allowed = permissions.get(service)
    const may = (kind: 'publish' | 'subscribe', subject: string) =>
      allowed?.[kind].map(concrete).includes(subject) ?? false
    const expected = {
      publish: publish.filter((subject) => !may('publish', subject)).toSorted(),
      subscription: subscribe
        .filter((subject) => !may('subscribe', subject) && subject !== `_INBOX_${service}.>`)
        .toSorted(),
    }
    await eventually(() =>
      expect({ publish: [...refused.publish].toSorted(), subscription: [...refused.subscription].toSorted() }).toEqual({
        publish: [...new Set(expected.publish)],
        subscription: [...new Set(expected.subscription)],
      }),
    )
  },
)

test('nobody gets in with another one’s password, or with none', async () => {
  const servers = `127.0.0.1:${ports[0]}`
  const pass = secretValue('shop-auth', 'nats-password')
  await expect(connect({ servers, user: 'orders', pass, reconnect: false })).rejects.toThrow(/uthorization/)
  await expect(connect({ servers, reconnect: false })).rejects.toThrow(/uthorization/)
})

test('with other passwords all nodes start at once, keep what they had, and refuse the old ones', async () => {
  const messages = async (connection: NatsConnection) =>
    (await connection.request('$JS.API.STREAM.INFO.messages')).json<{
      state: { messages: number }
      cluster: { replicas: { current: boolean }[] }
    }>()
  const old = secretValue('shop-orders', 'nats-password')
  const { state } = await messages(await connectAs('orders'))
  expect(state.messages).toBeGreaterThan(0)
  objects = await rendered({ set: { 'global.secrets.generations': { 'nats-password': 2, 'route-password': 2 } } })
  await Promise.all(nodes.map(async (node) => await node.stop()))
  await Promise.all(NODES.map(start))
  const orders = await connectAs('orders')
  await eventually(async () => {
    const after = await messages(orders)
    expect(after.state.messages).toBe(state.messages)
    expect(after.cluster.replicas.map(({ current }) => current)).toEqual([true, true])
  })
  const servers = `127.0.0.1:${ports[0]}`
  await expect(connect({ servers, user: 'orders', pass: old, reconnect: false })).rejects.toThrow(/uthorization/)
})

test('a node with another password for routes than the rest is let in by nobody, so it has to be all of them', async () => {
  objects = await rendered({ set: { 'global.secrets.generations': { 'nats-password': 2, 'route-password': 3 } } })
  await nodes[2]?.stop()
  await start(2)
  const lonely = await connect({
    servers: `127.0.0.1:${ports[2]}`,
    user: 'orders',
    pass: secretValue('shop-orders', 'nats-password'),
    inboxPrefix: '_INBOX_orders',
  })
  stack.defer(async () => await lonely.close())
  const { code } = await lonely
    .request('$JS.API.STREAM.INFO.messages', '', { timeout: 1_000 })
    .then((answer) => answer.json<{ error?: { code: number } }>().error ?? { code: 200 })
    .catch(() => ({ code: 503 }))
  expect(code).toBe(503)
  await expect(readFile(join(directories[2] ?? '', 'nats.log'), 'utf8')).resolves.toMatch(/route.*uthorization/i)
})
