import { createHash } from 'node:crypto'
import { newUser, startedAuth } from '@saas/auth/test/fixtures.ts'
import { systemClock } from '@saas/config'
import { statefulServices, type ServiceName } from '@saas/contracts'
import { freePort } from '@saas/devstack'
import { startOrders } from '@saas/orders/src/main.ts'
import { cloneDatabase, eventually, internalTokenKey, startService, testBus, type TestService } from '@saas/testing'
import { expect, test } from 'vitest'
import { edgePort, startEdge, type Edge } from './edge.ts'

const CLIENTS = 4
const nowhere = ['127.0.0.1:9']
const replicas = ['first', 'second'] as const

/** Which keys a service has at each step, the one that is signed with first. */
type KeysOf = (service: ServiceName) => readonly Uint8Array[]

const newKey = (service: ServiceName): Uint8Array => createHash('sha256').update(`the next key of ${service}`).digest()
const steps: readonly (readonly [string, KeysOf])[] = [
  ['the new key is accepted everywhere', (service) => [internalTokenKey(service), newKey(service)]],
  ['auth signs with the new key', (service) => [newKey(service), internalTokenKey(service)]],
  ['the old key is gone', (service) => [newKey(service)]],
]

// All replicas share this one process, which answers nobody while another of them starts.
const patience = [
  { file: 'server.conf', text: '450ms', instead: '20s' },
  { file: 'server.conf', text: '500ms', instead: '40s' },
]

/** Two replicas of auth and two of orders behind nginx, each replaced by one that has other keys. */
class Rotation implements AsyncDisposable {
  readonly #resources = new AsyncDisposableStack()
  readonly #running = new Map<string, TestService>()
  readonly #start: (name: string, keysOf: KeysOf) => Promise<TestService>
  readonly edge: Edge

  private constructor(edge: Edge, start: (name: string, keysOf: KeysOf) => Promise<TestService>) {
    this.edge = edge
    this.#start = start
  }

  static async begin(keysOf: KeysOf): Promise<Rotation> {
    await using resources = new AsyncDisposableStack()
    const bus = resources.use(await testBus())
    const databases = {
      auth: resources.use(await cloneDatabase('auth')),
      orders: resources.use(await cloneDatabase('orders')),
    }
    const ports = new Map<string, number>()
    for (const replica of replicas) {
      ports.set(`auth ${replica}`, await freePort())
      ports.set(`orders ${replica}`, await freePort())
    }
    const at = (service: string) => replicas.map((replica) => `127.0.0.1:${ports.get(`${service} ${replica}`)}`)
    const upstreams = {
      auth: at('auth'),
      orders: at('orders'),
      products: nowhere,
      notifications: nowhere,
      frontend: nowhere,
    }
    const edge = resources.use(await startEdge(await edgePort(), { upstreams }, patience))
    const start = async (name: string, keys: KeysOf): Promise<TestService> => {
      const listenPort = ports.get(name) ?? 0
      const parts = { bus, clock: systemClock }
      if (name.startsWith('auth')) {
        const internalTokenKeysByService = new Map(statefulServices.map((service) => [service, keys(service)]))
        const config = { listenPort, internalTokenKeysByService }
        return await startedAuth(config, { ...parts, database: databases.auth })
      }
      const config = { listenPort, internalTokenKeys: keys('orders') }
      return await startService('orders', startOrders, { ...parts, database: databases.orders, config })
    }
    const rotation = new Rotation(edge, start)
    rotation.#resources.use(resources.move())
    for (const replica of replicas) await rotation.replace(replica, keysOf)
    return rotation
  }

  /** One replica of each service makes way for one with these keys, while the other one serves. */
  async replace(replica: (typeof replicas)[number], keysOf: KeysOf): Promise<void> {
    await Promise.all(
      ['auth', 'orders'].map(async (service) => {
        const name = `${service} ${replica}`
        await this.#running.get(name)?.[Symbol.asyncDispose]()
        this.#running.set(name, await this.#start(name, keysOf))
      }),
    )
  }

  get auth(): TestService {
    return this.#running.get('auth first') as TestService
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#running.values()].map(async (service) => await service[Symbol.asyncDispose]()))
    await this.#resources.disposeAsync()
  }
}

test('the keys of internal tokens are replaced in three steps, under load, without a refused request', async () => {
  await using rotation = await Rotation.begin((service) => [internalTokenKey(service)])
  const { accessToken } = await newUser(rotation.auth)
  const served = { cart: 0, profile: 0 }
  const failed: string[] = []
  const done = new AbortController()
  const client = async (_: unknown, index: number): Promise<void> => {
    // The one is answered by orders; the other by auth, whose replicas verify what one of them has signed.
    const what = index % 2 === 0 ? 'cart' : 'profile'
    while (!done.signal.aborted) {
      const { status, body } = await rotation.edge.send(`/${what}`, { token: accessToken })
      if (status === 200) served[what] += 1
      else failed.push(`${what}: ${status} ${body}`)
    }
  }
  const clients = Array.from({ length: CLIENTS }, client)
  const serve = async (count: number): Promise<void> => {
    const until = { cart: served.cart + count, profile: served.profile + count }
    await eventually(() => failed.length > 0 || (served.cart > until.cart && served.profile > until.profile))
  }
  for (const [, keysOf] of steps) {
    for (const replica of replicas) {
      await rotation.replace(replica, keysOf)
      await serve(30)
    }
  }
  done.abort()
  await Promise.all(clients)
  expect(failed).toEqual([])
}, 60_000)
