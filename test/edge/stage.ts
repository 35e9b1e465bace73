import { afterAll, beforeAll, beforeEach } from 'vitest'
import type { EdgeEnvironment } from '@saas/contracts/edge'
import { startAuthService, type AuthService } from './auth-service.ts'
import { Echo } from './echo.ts'
import { edgePort, startEdge, type Edge } from './edge.ts'

/** What the tests of one file share: nginx, auth, and something that answers for every other service. */
export interface Stage {
  readonly edge: Edge
  readonly auth: AuthService
  readonly products: Echo
  /** Two replicas. */
  readonly orders: Echo
  readonly otherOrders: Echo
  readonly notifications: Echo
  readonly frontend: Echo
}

/** Sets the stage once a file; each test begins with nothing seen and nothing changed. */
export function stage(environment: Partial<EdgeEnvironment> = {}): Stage {
  const resources = new AsyncDisposableStack()
  const parts: Partial<Record<keyof Stage, unknown>> = {}
  beforeAll(async () => {
    const echoes = await Promise.all(echoNames.map(async (name) => [name, resources.use(await Echo.start())] as const))
    Object.assign(parts, Object.fromEntries(echoes))
    const { products, orders, otherOrders, notifications, frontend } = parts as Stage
    const port = await edgePort()
    const auth = resources.use(await startAuthService(`http://localhost:${port}`))
    const upstreams = {
      auth: [auth.address],
      products: [products.address],
      orders: [orders.address, otherOrders.address],
      notifications: [notifications.address],
      frontend: [frontend.address],
    }
    Object.assign(parts, { auth, edge: resources.use(await startEdge(port, { upstreams, ...environment })) })
  })
  beforeEach(() => {
    for (const name of echoNames) {
      const echo = (parts as Stage)[name]
      echo.seen.length = 0
      echo.answer = undefined
    }
  })
  afterAll(async () => {
    await resources.disposeAsync()
  })
  return parts as Stage
}

const echoNames = ['products', 'orders', 'otherOrders', 'notifications', 'frontend'] as const
