import { systemClock } from '@saas/config'
import {
  cloneDatabase,
  startService,
  testBus,
  testProxy,
  type TestBus,
  type TestProxy,
  type TestService,
} from '@saas/testing'
import { startOrders } from '../../../services/orders/src/main.ts'
import { startProducts } from '../../../services/products/src/main.ts'
import type { Queryable } from '../checkers/index.ts'
import { Reader } from '../stage/reader.ts'

export type ServiceName = 'orders' | 'products'
type WireName = 'Postgres' | 'NATS'

/** Orders and products in this process, over wires that lose answers. Starting them again takes milliseconds. */
export interface System extends AsyncDisposable {
  readonly services: Readonly<Record<ServiceName, TestService>>
  readonly databases: Readonly<Record<ServiceName, Queryable>>
  readonly wires: Readonly<Record<ServiceName, Readonly<Record<WireName, TestProxy>>>>
  readonly bus: TestBus
  /** Stops a service in order and starts it again; one at a time. */
  restart(name: ServiceName): Promise<void>
}

export async function startSystem(): Promise<System> {
  await using resources = new AsyncDisposableStack()
  const bus = resources.use(await testBus())
  const begin = async (name: ServiceName) => {
    const database = resources.use(await cloneDatabase(name))
    const reader = resources.use(new Reader(database.adminUrl))
    const Postgres = resources.use(await testProxy(database.url))
    const NATS = resources.use(await testProxy(bus.urlFor(name)))
    const parts = {
      database: { ...database, url: Postgres.url },
      bus: { ...bus, urlFor: () => NATS.url },
      clock: systemClock,
      config: { connTimeoutSeconds: 2 },
    }
    const service =
      name === 'orders' ? await startService(name, startOrders, parts) : await startService(name, startProducts, parts)
    return { service: resources.use(service), reader, wires: { Postgres, NATS } }
  }
  const [orders, products] = [await begin('orders'), await begin('products')]
  const owned = resources.move()
  const services = { orders: orders.service, products: products.service }
  let restarting: Promise<void> = Promise.resolve()
  return {
    services,
    restart: async (name) => {
      restarting = restarting.then(() => services[name].restart())
      await restarting
    },
    databases: { orders: orders.reader, products: products.reader },
    wires: { orders: orders.wires, products: products.wires },
    bus,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
