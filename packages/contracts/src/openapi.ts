import type { TObject, TSchema } from 'typebox'
import { permissionsByRole, type Access, type Permission, type Role } from './access.ts'
import { allRoutes } from './catalogue.ts'
import { ProblemBody, type Problem } from './problem.ts'
import * as problems from './problems.ts'
import { isOtherContent, type OtherContent, type Route } from './route.ts'

type Json = { readonly [key: string]: unknown }

/**
 * The OpenAPI 3.1 document of every route that the edge serves, without the front end's pages and files.
 * TypeBox schemas are JSON Schema 2020-12, which is what OpenAPI 3.1 uses, so they stand in it as they are.
 */
export function openapi(): Json {
  const shown = allRoutes.filter((route) => route.access !== 'internal' && route.service !== 'frontend')
  const paths: Record<string, Record<string, Json>> = {}
  for (const route of shown) {
    const operations = (paths[route.path] ??= {})
    operations[route.method.toLowerCase()] = operation(route)
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'saas',
      version: '1',
      description:
        'Everything goes through the edge. Send the access token as `Authorization: Bearer …`. Errors are problem+json (RFC 9457), whose `type` has a page.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    tags: [...new Set(shown.map((route) => route.service))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
      schemas: { Problem: withoutId(ProblemBody) },
    },
  }
}

function operation(route: Route): Json {
  const parameters = [
    ...parametersIn('path', route.params),
    ...parametersIn('query', route.query),
    ...parametersIn('header', route.headers),
  ]
  return {
    operationId: route.id.replace('.', '_'),
    tags: [route.service],
    summary: route.summary,
    description: whoMayCall(route.access),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...requestBody(route),
    responses: { ...successes(route), ...failures(route) },
    security: route.access === 'anyone' ? [] : [{ bearer: [] }],
  }
}

function whoMayCall(access: Access): string {
  if (access === 'anyone') return 'For anyone; credentials are ignored.'
  if (access === 'user') return 'For any signed-in user.'
  const names = Object.entries(permissionsByRole)
    .filter(([, granted]) => granted.includes(access as Permission))
    .map(([role]) => role as Role)
  return `For ${names.join(' and ')}.`
}

function parametersIn(place: 'path' | 'query' | 'header', schema: TObject | undefined): Json[] {
  if (schema === undefined) return []
  const required = new Set<string>((schema as { required?: string[] }).required)
  return Object.entries(schema.properties as Record<string, TSchema>).map(([name, value]) => ({
    name,
    in: place,
    required: place === 'path' || required.has(name),
    schema: value,
  }))
}

function requestBody(route: Route): Json {
  if (route.body !== undefined) {
    return { requestBody: { required: true, content: { 'application/json': { schema: route.body } } } }
  }
  if (route.upload === undefined) return {}
  const binary = { schema: { type: 'string', format: 'binary', maxLength: route.upload.bytesMax } }
  return {
    requestBody: { required: true, content: Object.fromEntries(route.upload.mediaTypes.map((type) => [type, binary])) },
  }
}

function successes(route: Route): Json {
  return Object.fromEntries(
    Object.entries(route.responses).map(([status, response]) => [
      status,
      { description: descriptionOf(Number(status)), ...content(response) },
    ]),
  )
}

function content(response: TSchema | OtherContent): Json {
  if (!isOtherContent(response)) return { content: { 'application/json': { schema: response } } }
  if (response.content === 'none') return {}
  return { content: { [response.content === 'file' ? 'application/octet-stream' : response.content]: {} } }
}

function descriptionOf(status: number): string {
  const descriptions: Record<number, string> = {
    200: 'Done',
    201: 'Created',
    202: 'Accepted',
    204: 'Done, no content',
    304: 'Not modified',
  }
  return descriptions[status] ?? String(status)
}

function failures(route: Route): Json {
  const possible: Problem[] = [...(route.problems ?? []), problems.dependencyUnavailable]
  if (route.body ?? route.params ?? route.query) possible.push(problems.invalidRequest)
  if (route.params !== undefined) possible.push(problems.notFound)
  if (route.access !== 'anyone') possible.push(problems.notSignedIn)
  if (route.access !== 'anyone' && route.access !== 'user') possible.push(problems.forbidden)
  const byStatus = new Map<number, Set<string>>()
  for (const { status, title, name } of possible) {
    byStatus.set(status, (byStatus.get(status) ?? new Set()).add(`${title} (\`${name}\`)`))
  }
  return Object.fromEntries(
    [...byStatus]
      .sort(([a], [b]) => a - b)
      .map(([status, titles]) => [
        status,
        {
          description: [...titles].join('; '),
          content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
        },
      ]),
  )
}

function withoutId(schema: TSchema): Json {
  const { $id: _, ...rest } = schema as Json
  return rest
}
