import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import { describe, expect, test } from 'vitest'
import { asyncapi } from '../src/asyncapi.ts'
import {
  allEvents,
  allProblems,
  allRoutes,
  isAllowed,
  needs,
  publishedBy,
  serviceNames,
  type Role,
} from '../src/index.ts'
import { openapi } from '../src/openapi.ts'

const ajv = new Ajv2020({ strict: false, allErrors: true })
formats.default(ajv)

describe('routes', () => {
  test('each route has an id of its own that begins with its service', () => {
    const ids = allRoutes.map((route) => route.id)
    expect(new Set(ids).size).toBe(ids.length)
    for (const route of allRoutes) expect(route.id.split('.')[0]).toBe(route.service)
  })

  test('no two routes answer the same method and path', () => {
    const shapes = allRoutes.map((route) => `${route.method} ${route.path.replaceAll(/\{\w+\}/g, '{}')}`)
    expect(shapes.filter((shape, index) => shapes.indexOf(shape) !== index)).toEqual([])
  })

  test('each name in a path has a schema and each schema a name in the path', () => {
    for (const route of allRoutes.filter(({ params }) => params !== undefined)) {
      const named = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      expect(Object.keys(route.params?.['properties'] ?? {}), route.id).toEqual(named)
    }
    for (const route of allRoutes.filter(({ service }) => service !== 'frontend')) {
      expect(route.path.includes('{'), route.id).toBe(route.params !== undefined)
    }
  })

  test('every request object refuses unknown fields', () => {
    for (const route of allRoutes) {
      for (const schema of [route.params, route.query, route.body]) {
        for (const object of objectsIn(schema)) expect(object, route.id).toHaveProperty('additionalProperties', false)
      }
    }
  })

  test('the form of every text that is asked for is told in words', () => {
    for (const route of allRoutes) {
      for (const schema of [route.params, route.query, route.headers, route.body]) {
        for (const text of formsIn(schema)) expect(text, route.id).toHaveProperty('description')
      }
    }
  })

  test('only routes for anyone that read are kept by the edge', () => {
    for (const route of allRoutes.filter(({ edgeCacheSeconds }) => edgeCacheSeconds !== undefined)) {
      expect([route.access, route.method], route.id).toEqual(['anyone', 'GET'])
    }
  })

  test('nothing that is internal is reachable by any role', () => {
    const everyRole: Role[] = ['customer', 'manager', 'admin']
    expect(isAllowed('internal', everyRole)).toBe(false)
  })

  test('a role that is not known grants nothing', () => {
    expect(isAllowed('products:write', ['root', '__proto__', 'constructor'])).toBe(false)
    expect(isAllowed('products:write', ['manager'])).toBe(true)
    expect(isAllowed('admin', ['manager'])).toBe(false)
    expect(isAllowed('user', undefined)).toBe(false)
  })
})

test('every schema is made by one maker: those of two do not tell each other what is optional', async () => {
  const directory = fileURLToPath(new URL('../src/', import.meta.url))
  const files = (await readdir(directory, { recursive: true })).filter((name) => name.endsWith('.ts'))
  expect(files.length).toBeGreaterThan(20)
  for (const name of files) {
    expect(await readFile(directory + name, 'utf8'), name).not.toMatch(/^import (?!type )[^\n]*'typebox'/m)
  }
})

describe('events', () => {
  test('each example is valid', () => {
    for (const event of allEvents.values()) {
      const validate = ajv.compile(event.data)
      expect(validate(event.example) || ajv.errorsText(validate.errors), event.subject).toBe(true)
    }
  })

  test('an event tolerates fields that a newer version added', () => {
    for (const event of allEvents.values()) {
      expect(ajv.validate(event.data, { ...(event.example as object), added: 1 }), event.subject).toBe(true)
    }
  })

  test('subjects are `msg.<publisher>.<noun>.<verb>` of a known service', () => {
    for (const event of allEvents.values()) {
      expect(event.subject).toMatch(/^msg\.[a-z]+\.[a-z-]+\.[a-z-]+$/)
      expect(serviceNames).toContain(event.publishedBy)
    }
    for (const service of serviceNames) {
      for (const event of publishedBy(service)) expect(event.subject.split('.')[1]).toBe(service)
      for (const event of needs[service].consumes) expect(allEvents.get(event.subject)).toBe(event)
    }
  })
})

describe('problems', () => {
  test('each has a name of its own and a page type', () => {
    const names = allProblems.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    for (const problem of allProblems) expect(problem.type).toBe(`/problems/${problem.name}`)
  })

  test('each problem that a route names is listed', () => {
    for (const problem of allRoutes.flatMap((route) => route.problems ?? [])) expect(allProblems).toContain(problem)
  })
})

describe('documents', () => {
  test('OpenAPI shows each route of the edge once and hides internal ones', () => {
    const { paths } = openapi() as { paths: Record<string, Record<string, { operationId: string }>> }
    const shown = Object.values(paths).flatMap((operations) => Object.values(operations).map((o) => o.operationId))
    const expected = allRoutes.filter(({ access, service }) => access !== 'internal' && service !== 'frontend')
    expect(shown.sort()).toEqual(expected.map(({ id }) => id.replace('.', '_')).sort())
    expect(Object.keys(paths)).not.toContain('/authz')
  })

  test('AsyncAPI resolves each reference', () => {
    const document = asyncapi() as { channels: object; components: { messages: object } }
    const text = JSON.stringify(document)
    for (const [, kind, name] of text.matchAll(/#\/(channels|components\/messages)\/([^"]+)/g)) {
      expect(kind === 'channels' ? document.channels : document.components.messages).toHaveProperty([name ?? ''])
    }
  })
})

/** The texts of a schema that must have some form. */
function formsIn(schema: unknown): object[] {
  if (typeof schema !== 'object' || schema === null) return []
  const nested = Object.values(schema).flatMap((value) => formsIn(value))
  return 'pattern' in schema && typeof schema.pattern === 'string' ? [schema, ...nested] : nested
}

function objectsIn(schema: unknown): object[] {
  if (typeof schema !== 'object' || schema === null) return []
  const nested = Object.values(schema).flatMap((value) => objectsIn(value))
  return 'type' in schema && schema.type === 'object' ? [schema, ...nested] : nested
}
