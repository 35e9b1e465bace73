import { allRoutes, type Route } from '@saas/contracts'
import { describe, expect, test } from 'vitest'
import { startedAuth } from './fixtures.ts'
import { isCanonical, Policy } from '../src/policy.ts'

const policy = new Policy(allRoutes)

/** Paths that look like routes, and like attempts to look like one. */
function* variants(): Generator<string> {
  const pieces = [
    '',
    '/',
    '/x',
    '/.',
    '/..',
    '/%2e',
    '//',
    '/x/',
    ';x',
    '%00',
    '%2f',
    '\\',
    '?x=1',
    '#x',
    '.',
    '~',
    ',',
  ]
  for (const { path } of allRoutes) {
    const filled = path.replaceAll(/\{\w+\}/g, '01977c1e-6a00-7000-8000-000000000001')
    for (const piece of pieces) {
      yield filled + piece
      yield piece + filled
    }
    yield filled.toUpperCase()
    yield filled.replace('/', '/%')
    yield filled.slice(0, -1)
    yield encodeURIComponent(filled)
  }
}

describe('the policy', () => {
  test('finds for each route its own path and no other', () => {
    for (const route of allRoutes) {
      const filled = route.path.replaceAll(/\{\w+\}/g, 'x')
      expect([route.id, policy.routeOf(route.method, filled)?.id]).toEqual([route.id, route.id])
    }
  })

  test('finds the route that the service itself would run, for whatever path', async () => {
    await using auth = await startedAuth()
    let found = 0
    for (const path of variants()) {
      for (const method of ['GET', 'PUT', 'DELETE'] as const) {
        const route = policy.routeOf(method, path)
        if (route?.service !== 'auth') continue
        found += 1
        await auth.app.inject({ method, url: path })
        const line = auth.log.lines.findLast(({ message }) => message === 'request served')
        expect([method, path, line?.['route']]).toEqual([method, path, route.id])
      }
    }
    expect(found).toBeGreaterThan(50)
  })

  test('knows no route for a path that is not canonical', () => {
    const found: Route[] = []
    for (const path of variants()) {
      const bare = path.split('?')[0] ?? ''
      if (isCanonical(bare)) continue
      const route = policy.routeOf('GET', path)
      if (route !== undefined) found.push(route)
    }
    expect(found).toEqual([])
  })
})
