import { expect, test } from 'vitest'
import { Stack } from './stage/stack.ts'

const services = ['auth', 'products', 'orders', 'notifications'] as const
/** Less than the time-out of a call, which would be waited for several times, one after the other. */
const STOP_SECONDS_MAX = 9
const CONN_TIMEOUT_SECONDS = 10

test.each(['Postgres', 'NATS'] as const)('services stop within seconds while %s answers nobody', async (part) => {
  await using stack = await Stack.start({
    services,
    isWired: true,
    environment: () => ({ CONN_TIMEOUT: String(CONN_TIMEOUT_SECONDS) }),
  })
  for (const service of services) stack.wires(service)[part].pause()
  const startedAt = performance.now()
  await Promise.all(
    services.map(async (service) => {
      const { child } = stack.replicas(service)[0] ?? {}
      process.kill(child?.pid ?? 0, 'SIGTERM')
      await child?.ended()
    }),
  )
  expect((performance.now() - startedAt) / 1_000).toBeLessThan(STOP_SECONDS_MAX)
})
