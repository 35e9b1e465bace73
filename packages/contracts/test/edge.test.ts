import { Type } from '../src/schema.ts'
import { describe, expect, test } from 'vitest'
import { edgeLocations, edgeRequestHeaders, edgeRoutes, edgeUpstreams } from '../src/edge.ts'
import { allRoutes, PARAM_LENGTH_MAX, route, type Route } from '../src/index.ts'

const plain: Route = route({
  id: 'orders.a',
  service: 'orders',
  method: 'GET',
  path: '/a/{id}',
  access: 'user',
  summary: '',
  responses: { 200: { content: 'none' } },
})

describe('the edge', () => {
  test('knows every route but the internal ones', () => {
    const text = edgeRoutes(allRoutes)
    for (const { id, access } of allRoutes) expect(text.includes(` ${id};`), id).toBe(access !== 'internal')
  })

  test('matches paths with regard to case, and a name before a parameter', () => {
    const text = edgeRoutes([plain, { ...plain, id: 'orders.b', path: '/a/b' }])
    // Plain keys are found before any pattern is tried, and without regard to case.
    expect(text).toContain(`'small GET /a/b' orders.b;`)
    expect(text).toContain(String.raw`'~^\w+ GET /a/[^/]{1,${PARAM_LENGTH_MAX}}$' orders.a;`)
    expect(text).toContain("'~[A-Z]' mixed;")
    expect(() => edgeRoutes([{ ...plain, path: '/A/b' }])).toThrow('capital letter')
  })

  test('has no location that catches a path beyond its own', () => {
    for (const [, head] of edgeLocations(allRoutes).matchAll(/^ *location (.*) \{$/gm)) {
      expect(head).toMatch(/^(= \/\S*|\^~ \/\S*\/|~ '\^\/\S+\$'|@\w+)$/)
    }
  })

  test('asks auth in every location that leads to a service, and returns nothing there', () => {
    const locations = edgeLocations(allRoutes).split(/(?=^ *location )/m)
    const leading = locations.filter((location) => location.includes('proxy_pass'))
    expect(leading.length).toBeGreaterThan(50)
    for (const location of leading) {
      expect(location).toContain('include forward.conf;')
      expect(location).not.toMatch(/\b(return|rewrite|if)\b/)
    }
  })

  test('forwards no header that says who somebody is', () => {
    expect(edgeRequestHeaders(allRoutes)).not.toMatch(/cookie|authorization|internal|user-id/i)
    const forged = { ...plain, headers: Type.Object({ 'x-internal-token': Type.String() }) }
    expect(() => edgeRequestHeaders([forged])).toThrow('never forwards x-internal-token')
  })

  test('refuses a path that two services claim', () => {
    expect(() => edgeLocations([plain, { ...plain, method: 'PUT', service: 'products' }])).toThrow(
      'orders and products',
    )
    expect(() => edgeLocations([plain, { ...plain, path: '/a/{id}/b', service: 'products' }])).toThrow(
      'several services',
    )
  })

  test('has a line for each try, in turns, and puts no replica aside', () => {
    const upstreams = {
      auth: ['a:1'],
      products: ['p:1'],
      orders: ['o:1', 'o:2'],
      notifications: ['n:1'],
      frontend: ['f:1'],
    }
    const environment = {
      listen: ['80'],
      upstreams,
      publicUrl: 'https://shop.example',
      trustedHops: 2,
      accessLog: '/dev/stdout',
    }
    const text = edgeUpstreams(environment)
    expect(text.match(/server p:1 max_fails=0;/g)).toHaveLength(8)
    expect(Array.from(text.matchAll(/server (o:\d) max_fails=0;/g), ([, address]) => address)).toEqual(
      Array.from({ length: 4 }, () => ['o:1', 'o:2']).flat(),
    )
    expect(text).toContain('default https;')
    expect(text).not.toContain('development;')
  })
})
