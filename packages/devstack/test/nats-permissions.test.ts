import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { brokerUsers, natsConfiguration, startNats, type NatsServer } from '../src/index.ts'

let directory: string
let server: NatsServer
let orders: NatsConnection
let administrator: NatsConnection

const STREAM = {
  name: 'messages',
  subjects: ['msg.>'],
  storage: 'file',
  retention: 'limits',
  deny_delete: true,
  deny_purge: true,
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'nats-'))
  server = await startNats({
    directory,
    users: brokerUsers((service) => `password of ${service}`.replaceAll(' ', '-')),
    administratorPassword: 'administrator',
  })
  orders = await connectAs('orders', 'password-of-orders')
  administrator = await connectAs('administrator', 'administrator')
  await orders.request('$JS.API.STREAM.CREATE.messages', JSON.stringify(STREAM))
})

afterAll(async () => {
  await orders.close()
  await administrator.close()
  await server[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true })
})

async function connectAs(user: string, pass: string): Promise<NatsConnection> {
  return connect({ servers: server.url, user, pass, inboxPrefix: `_INBOX_${user}` })
}

/** What the server says against a call, or undefined when it takes it. */
async function refusalOf(subject: string, payload: object = {}): Promise<string | undefined> {
  const violation = new Promise<string>((resolve) => {
    void (async () => {
      for await (const status of orders.status()) {
        if (status.type === 'error' && status.error.message.includes('ermission')) resolve(status.error.message)
      }
    })()
  })
  const answered = orders.request(subject, JSON.stringify(payload), { timeout: 2_000 }).then(
    () => undefined,
    async (error: Error) => (error.message.includes('ermission') ? error.message : await violation),
  )
  return Promise.race([violation, answered])
}

async function streamInfo(): Promise<{ state: { messages: number }; config: object }> {
  return (await orders.request('$JS.API.STREAM.INFO.messages')).json()
}

test('a service creates the stream, publishes under its own name and gets the acknowledgement', async () => {
  const before = (await streamInfo()).state.messages
  const acknowledgement = (await orders.request('msg.orders.order.placed', '{}')).json<{ stream: string }>()
  expect(acknowledgement.stream).toBe('messages')
  expect((await streamInfo()).state.messages).toBe(before + 1)
})

test.each(['msg.products.stock.reserved', 'msg.auth.user.changed', 'msg.ordersx.order.placed', 'other.subject'])(
  'a service cannot publish %s, which is not its own',
  async (subject) => {
    const before = (await streamInfo()).state.messages
    expect(await refusalOf(subject)).toContain('ermission')
    expect((await streamInfo()).state.messages).toBe(before)
  },
)

test.each([
  ['update', '$JS.API.STREAM.UPDATE.messages', { ...STREAM, max_msgs: 1 }],
  ['delete', '$JS.API.STREAM.DELETE.messages', {}],
  ['purge', '$JS.API.STREAM.PURGE.messages', {}],
  ['delete a message of', '$JS.API.STREAM.MSG.DELETE.messages', { seq: 1 }],
  ['read past a consumer from', '$JS.API.STREAM.MSG.GET.messages', { seq: 1 }],
  ['make a snapshot of', '$JS.API.STREAM.SNAPSHOT.messages', { deliver_subject: 'x' }],
])('a service cannot %s the stream', async (_what, subject, payload) => {
  expect(await refusalOf(subject, payload)).toContain('ermission')
})

test('a service has its own durable and nobody else’s', async () => {
  const consumer = (durable: string) => ({
    stream_name: 'messages',
    config: { durable_name: durable, ack_policy: 'explicit', filter_subjects: ['msg.products.>', 'msg.auth.>'] },
  })
  const created = await orders.request('$JS.API.CONSUMER.CREATE.messages.orders', JSON.stringify(consumer('orders')))
  expect(created.json()).toMatchObject({
    name: 'orders',
    config: { filter_subjects: ['msg.products.>', 'msg.auth.>'] },
  })
  expect(await refusalOf('$JS.API.CONSUMER.CREATE.messages.products', consumer('products'))).toContain('ermission')
  expect(await refusalOf('$JS.API.CONSUMER.DELETE.messages.orders')).toContain('ermission')
  expect(await refusalOf('$JS.API.CONSUMER.MSG.NEXT.messages.products')).toContain('ermission')
  expect(await refusalOf('$JS.ACK.messages.products.1.1.1.1.0')).toContain('ermission')
})

test('a service cannot listen to the answers another one gets, nor to events it does not hear', async () => {
  for (const subject of ['_INBOX_auth.>', '_INBOX.>', '>', 'msg.>', '$JS.>', 'msg.auth.session.opened']) {
    const refused = new Promise((resolve) => {
      orders.subscribe(subject, { callback: (error) => resolve(error) })
    })
    expect(await refused, subject).toBeInstanceOf(Error)
  }
})

test('nobody gets in without a password', async () => {
  await expect(connect({ servers: server.url, reconnect: false })).rejects.toThrow(/uthorization/)
  await expect(connect({ servers: server.url, user: 'orders', pass: 'guess', reconnect: false })).rejects.toThrow(
    /uthorization/,
  )
})

test('what was acknowledged is there after the server is killed and started again', async () => {
  const { seq } = (await orders.request('msg.orders.order.placed', '{"kept":true}')).json<{ seq: number }>()
  const reconnected = new Promise<void>((resolve) => {
    void (async () => {
      for await (const status of orders.status()) if (status.type === 'reconnect') resolve()
    })()
  })
  await server.child.kill('SIGKILL')
  expect(server.child.pid).toBeUndefined()
  await server.child.restart()
  await reconnected
  expect((await streamInfo()).state).toMatchObject({ last_seq: seq })
})

test('the configuration refuses a value that would end its string', () => {
  const users = [{ service: 'orders', password: 'a"b', durables: [], hears: [] }]
  expect(() => natsConfiguration({ users, port: 4222, storeDirectory: '/data' })).toThrow('quote')
})
