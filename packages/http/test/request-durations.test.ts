import { Histogram, Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { RequestDurations } from '../src/request-durations.ts'

test('what was counted is told as the library would tell it', async () => {
  const [ours, theirs] = [new Registry(), new Registry()]
  const durations = new RequestDurations(ours)
  const histogram = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from the request to the end of its answer, by route id',
    labelNames: ['route', 'method', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [theirs],
  })
  for (const seconds of [0, 0.001, 0.0011, 0.25, 0.5, 29.9, 30, 31, 1e6]) {
    for (const [route, method, status] of [
      ['auth.authz', 'POST', 200],
      ['none', 'GET', 404],
    ] as const) {
      durations.observe(route, method, status, seconds)
      histogram.observe({ route, method, status }, seconds)
    }
  }
  durations.of('auth.authz', 'POST', 200).add(0.3)
  histogram.observe({ route: 'auth.authz', method: 'POST', status: 200 }, 0.3)
  expect(await ours.metrics()).toBe(await theirs.metrics())
})
