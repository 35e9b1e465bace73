import { statefulServices } from '@saas/contracts'
import {
  cloneDatabase,
  eventually,
  internalTokenKey,
  startService,
  testBus,
  testPostgres,
  type TestPostgres,
  type TestService,
} from '@saas/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startAuth } from '../../services/auth/src/main.ts'
import { startNotifications } from '../../services/notifications/src/main.ts'
import { startOrders } from '../../services/orders/src/main.ts'
import { startProducts } from '../../services/products/src/main.ts'

const key = Buffer.alloc(32, 7)

/** Each service with what its own configuration needs beyond the common part. */
const starts = {
  auth: async (parts: Parts) =>
    await startService('auth', startAuth, {
      ...parts,
      config: {
        internalTokenKeysByService: new Map(statefulServices.map((name) => [name, [internalTokenKey(name)]])),
        keyEncryptionKey: key,
        mailSecretKey: key,
        edge: 'nginx',
        trustedHops: 0,
        oidcProviders: [],
        bootstrapToken: undefined,
      },
    }),
  products: async (parts: Parts) => await startService('products', startProducts, parts),
  orders: async (parts: Parts) => await startService('orders', startOrders, parts),
  notifications: async (parts: Parts) =>
    await startService('notifications', startNotifications, {
      ...parts,
      config: {
        mailSecretKey: key,
        smtpUrls: ['smtp://127.0.0.1:1'],
        mailFrom: 'Shop <shop@example.com>',
        shopZone: 'UTC',
        quietHours: 'off',
        cartReminderHours: 24,
      },
    }),
}
type Parts = Pick<TestService, 'database' | 'bus'>

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await testPostgres()
})
afterAll(async () => {
  await postgres[Symbol.asyncDispose]()
})

describe.each(Object.keys(starts) as (keyof typeof starts)[])('%s', (name) => {
  test('says which dependency is down, in /readyz and in the log, and recovers by itself', async () => {
    await using bus = await testBus()
    await using database = await cloneDatabase(name, { postgresUrl: postgres.adminUrl })
    await using service = await starts[name]({ database, bus })
    await eventually(async () => expect(await readiness(service)).toEqual({ status: 200, failing: [] }))

    await postgres.child.kill()
    await eventually(async () => {
      const { status, failing } = await readiness(service)
      expect({ status, named: failing.includes('database') }).toEqual({ status: 503, named: true })
    })
    expect((await fetch(`${service.opsUrl}/healthz`)).status).toBe(200)
    expect(service.log.lines).toContainEqual(
      expect.objectContaining({ message: 'service not ready', failing: expect.arrayContaining(['database']) }),
    )
    await postgres.child.restart()
    await eventually(async () => expect(await readiness(service)).toEqual({ status: 200, failing: [] }))
  })

  test('stays ready without the bus once it had it, says so, and shows what waits for it', async () => {
    await using bus = await testBus()
    await using database = await cloneDatabase(name, { postgresUrl: postgres.adminUrl })
    await using service = await starts[name]({ database, bus })
    await eventually(async () => expect(await readiness(service)).toEqual({ status: 200, failing: [] }))
    await bus.child.kill()
    await eventually(async () => {
      const answer = await (await fetch(`${service.opsUrl}/readyz`)).json()
      expect(answer).toMatchObject({ status: 'ready', failing: [], degraded: expect.arrayContaining(['bus']) })
    })
    expect(service.log.lines).toContainEqual(
      expect.objectContaining({ message: 'service degraded', degraded: expect.arrayContaining(['bus']) }),
    )
    const metrics = await (await fetch(`${service.opsUrl}/metrics`)).text()
    expect(metrics).toContain(`saas_outbox_waiting{service="${name}"} 0`)
    expect(metrics).toContain(`saas_dead_letters{service="${name}"} 0`)
    expect(metrics).not.toContain('saas_stream_used_ratio{')
    await bus.child.restart()
    await eventually(async () => {
      const { degraded } = (await (await fetch(`${service.opsUrl}/readyz`)).json()) as { degraded: string[] }
      expect(degraded).not.toContain('bus')
    })
  })

  test('is not ready before it had the bus', async () => {
    await using bus = await testBus()
    await using database = await cloneDatabase(name, { postgresUrl: postgres.adminUrl })
    await bus.child.kill()
    await using service = await starts[name]({ database, bus })
    await eventually(async () => expect(await readiness(service)).toEqual({ status: 503, failing: ['bus'] }))
    await bus.child.restart()
    await eventually(async () => expect(await readiness(service)).toEqual({ status: 200, failing: [] }))
  })

  test('shows its requests, its outbox and its batches as metrics on the operations port', async () => {
    await using bus = await testBus()
    await using database = await cloneDatabase(name, { postgresUrl: postgres.adminUrl })
    await using service = await starts[name]({ database, bus })
    await eventually(async () => {
      const metrics = await (await fetch(`${service.opsUrl}/metrics`)).text()
      expect(metrics).toContain(`saas_outbox_pending{service="${name}"} 0`)
      expect(metrics).toContain('# TYPE http_request_duration_seconds histogram')
      expect(metrics).toContain('# TYPE saas_batch_size histogram')
    })
  })
})

async function readiness(service: TestService): Promise<{ status: number; failing: string[] }> {
  const response = await fetch(`${service.opsUrl}/readyz`)
  const { failing } = (await response.json()) as { failing: string[] }
  return { status: response.status, failing }
}
