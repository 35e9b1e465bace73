import { expect, test, vi } from 'vitest'
import { listen } from '../src/index.ts'
import { sampleApp } from './sample.ts'

const anyPort = { listenHost: '127.0.0.1', listenPort: 0, opsPort: 0 }

test('health, readiness and metrics are on the operations port only', async () => {
  await using running = await listen(sampleApp().app, anyPort)
  for (const path of ['/healthz', '/readyz', '/metrics']) {
    expect((await fetch(running.opsUrl + path)).status).toBe(200)
    expect((await fetch(running.url + path)).status).toBe(404)
  }
})

test('a dependency that is down makes the service not ready by name, logged once, until it is back', async () => {
  let isDown = true
  const { app, lines } = sampleApp({
    checks: {
      database: () => (isDown ? Promise.reject(new Error('refused')) : Promise.resolve()),
      bus: () => Promise.resolve(),
    },
  })
  await using running = await listen(app, anyPort)
  const readiness = async () => {
    const response = await fetch(`${running.opsUrl}/readyz`)
    return { status: response.status, body: await response.json() }
  }
  await readiness()
  expect(await readiness()).toEqual({ status: 503, body: { status: 'not-ready', failing: ['database'], degraded: [] } })
  expect((await fetch(`${running.opsUrl}/healthz`)).status).toBe(200)
  isDown = false
  expect(await readiness()).toEqual({ status: 200, body: { status: 'ready', failing: [], degraded: [] } })
  expect(
    lines.filter((line) => String(line['message']).includes('ready')).map((line) => [line['message'], line['failing']]),
  ).toEqual([
    ['service not ready', ['database']],
    ['service ready', undefined],
  ])
})

test('what only some routes need is named and logged while it is down, and the service stays ready', async () => {
  let isDown = true
  const { app, lines } = sampleApp({
    optionalChecks: { objects: () => (isDown ? Promise.reject(new Error('refused')) : Promise.resolve()) },
  })
  await using running = await listen(app, anyPort)
  const readiness = async () => {
    const response = await fetch(`${running.opsUrl}/readyz`)
    return { status: response.status, body: await response.json() }
  }
  const said = (message: string) => lines.filter((line) => line['message'] === message)
  await vi.waitFor(async () =>
    expect(await readiness()).toEqual({ status: 200, body: { status: 'ready', failing: [], degraded: ['objects'] } }),
  )
  expect(said('service degraded')).toMatchObject([{ degraded: ['objects'], causes: { objects: 'refused' } }])
  isDown = false
  await vi.waitFor(async () =>
    expect(await readiness()).toEqual({ status: 200, body: { status: 'ready', failing: [], degraded: [] } }),
  )
  expect(said('service complete')).toHaveLength(1)
})

test('a dependency that does not answer is not waited for', async () => {
  const { app } = sampleApp({ checks: { database: () => new Promise(() => {}) } })
  await using running = await listen(app, anyPort)
  expect(await (await fetch(`${running.opsUrl}/readyz`)).json()).toMatchObject({ failing: ['database'] })
})

test('requests are measured by route id, never by path', async () => {
  await using running = await listen(sampleApp().app, anyPort)
  await (await fetch(`${running.url}/thing/tea-1`)).text()
  await (await fetch(`${running.url}/nowhere/at-all`)).text()
  const metrics = await (await fetch(`${running.opsUrl}/metrics`)).text()
  expect(metrics).toContain('http_request_duration_seconds_count{route="orders.read",method="GET",status="403"} 1')
  expect(metrics).toContain('http_request_duration_seconds_count{route="none",method="GET",status="404"} 1')
  expect(metrics).not.toMatch(/tea-1|nowhere/)
})

test('each of several services in a process shows the figures of the process and its own requests only', async () => {
  await using one = await listen(sampleApp().app, anyPort)
  await using other = await listen(sampleApp().app, anyPort)
  await (await fetch(`${one.url}/nowhere`)).text()
  const counted = 'http_request_duration_seconds_count{route="none",method="GET",status="404"} 1'
  for (const [{ opsUrl }, isCounted] of [[one, true] as const, [other, false] as const]) {
    const metrics = await (await fetch(`${opsUrl}/metrics`)).text()
    expect(metrics).toMatch(/^process_cpu_seconds_total \d/m)
    expect(metrics.includes(counted)).toBe(isCounted)
  }
})
