import { operatorRoutes, ordersRoutes } from '@saas/contracts'
import {
  createApp,
  listen,
  operatorHandlers,
  registerRoutes,
  Repeating,
  runService,
  type RunningService,
  type ServiceContext,
} from '@saas/http'
import { State } from '@saas/state'
import { Carts } from './carts.ts'
import { ordersVariables, type OrdersConfig } from './config.ts'
import { DecisionWatch } from './decision-watch.ts'
import { followEvents } from './events.ts'
import { History } from './history.ts'
import { ExpiryJob } from './jobs.ts'
import { Orders } from './orders.ts'
import { forgetOldKeys } from './retention.ts'
import { ordersHandlers } from './routes.ts'

const KEYS_FORGOTTEN_EVERY_MS = 60_000

/** Starts the service; disposing finishes what runs and then lets go of everything. */
export async function startOrders(config: OrdersConfig, context: ServiceContext): Promise<RunningService> {
  await using resources = new AsyncDisposableStack()
  const state = resources.use(State.connect(config, { service: 'orders', ...context }))
  const { logger, clock } = context
  const { database, bus } = state
  const routes = { ...ordersRoutes, ...operatorRoutes('orders') }
  const { internalTokenKeys } = config
  const app = createApp({ service: 'orders', routes, ...context, internalTokenKeys, state })

  const orders = new Orders({ database, bus, clock })
  const history = new History(database)
  const carts = new Carts({ database, bus, clock })
  const watch = new DecisionWatch({
    clock,
    logger,
    stopping: app.stopping.signal,
    readState: (userId, orderId) => orders.state(userId, orderId),
  })
  registerRoutes(app, routes, {
    ...ordersHandlers({ orders, history, carts, watch }),
    ...operatorHandlers(bus),
  })
  followEvents({ bus, clock, watch })
  bus.startRelay()
  const run = async (signal: AbortSignal) => {
    const rows = await forgetOldKeys(database, clock, signal)
    if (rows > 0) logger.info({ rows }, 'Old idempotency keys were forgotten')
  }
  resources.use(new Repeating({ name: 'retention', everyMs: KEYS_FORGOTTEN_EVERY_MS, clock, logger, run })).start()
  resources.use(new ExpiryJob({ database, bus, clock, logger, watch }))

  return await listen(app, config, resources)
}

if (import.meta.main) await runService({ name: 'orders', variables: ordersVariables, start: startOrders })
