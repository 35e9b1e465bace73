import { colonPath, isAllowed, isOtherContent, problems, ProblemError, Type, type Route } from '@saas/contracts'
import type {
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  FastifySchema,
  HTTPMethods,
  onRequestHookHandler,
} from 'fastify'
import { Readable } from 'node:stream'
import type { App } from './app.ts'
import { boundedStream, hasBody, refuseContentCoding } from './body.ts'
import type { Answer, AnswerExtras, Call, Handler, Handlers } from './call.ts'
import type { Identity } from './identity.ts'
import { INTERNAL_TOKEN_HEADER, verifyInternalToken } from './internal-token.ts'
import { RouteCall } from './route-call.ts'
import { URL_LENGTH_MAX } from './limits.ts'
import type { Tracing } from '@saas/tracing'
import { traceParentOf } from './request-headers.ts'
import { refusedText } from './strict-json.ts'
import { beginTransfer } from './transfer.ts'

const INTERNAL_METHODS: HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']
const NO_QUERY = Type.Object({}, { additionalProperties: false })

/**
 * Registers every route of `routes` with its handler.
 *
 * Before a handler runs, the internal token was verified for this service and this route, the contract's access was
 * checked against the token's roles, and params, query, headers and body were validated without dropping anything. A
 * request without a token is served only where access is `anyone` (or `internal`: those routes are never reachable
 * through the edge). What a handler answers is reduced to the fields of the contract's response schema.
 */
export function registerRoutes<
  Routes extends Readonly<Record<string, Route>>,
  // A parameter of its own, because only then a handler that takes no argument keeps its literal status.
  Given extends Handlers<Routes>,
>(app: App, routes: Routes, handlers: Given & { readonly [K in Exclude<keyof Given, keyof Routes>]: never }): void {
  for (const [name, route] of Object.entries(routes)) {
    registerRoute(app, route, handlers[name as keyof Given] as unknown as Handler<Route>)
  }
}

/** Registers one route; for routes that are not in a record, such as the front end's pages. */
export function registerRoute<const R extends Route>(app: App, route: R, handler: Handler<R>): void {
  if (route.service !== app.service) throw new Error(`${route.id} is not a route of ${app.service}`)
  if (route.upload === undefined) {
    addRoute(app, app.fastify, route, handler as unknown as Handler<Route>)
    return
  }
  const { mediaTypes, bytesMax } = route.upload
  // Parsers belong to a scope, so that no other route accepts these media types.
  void app.fastify.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser([...mediaTypes], (request, payload, done) => {
      done(null, boundedStream(payload, request.headers['content-length'], bytesMax))
    })
    addRoute(app, scope, route, handler as unknown as Handler<Route>)
  })
}

function addRoute(app: App, scope: FastifyInstance, route: Route, handler: Handler<Route>): void {
  const isStream = Object.values(route.responses).some(
    (response) => isOtherContent(response) && response.content === 'text/event-stream',
  )
  const isTransfer = route.transfer === true
  const isLong = isStream || isTransfer
  scope.route({
    method: route.access === 'internal' ? INTERNAL_METHODS : route.method,
    url: colonPath(route.path),
    schema: fastifySchema(route),
    config: { route },
    onRequest: admit(app, route),
    handler: async (request, reply) => {
      const call = new RouteCall(request, reply, isLong ? app.stopping.signal : undefined)
      if (!isLong) app.deadlines.add(call)
      if (isTransfer) beginTransfer(request, reply)
      try {
        return send(await handler(call as unknown as Call<Route>), reply)
      } finally {
        app.deadlines.delete(call)
        if (request.body instanceof Readable) request.body.destroy()
      }
    },
  })
}

function fastifySchema(route: Route): FastifySchema {
  const isStrict = route.service !== 'frontend' && route.access !== 'internal'
  const response = Object.fromEntries(Object.entries(route.responses).filter(([, content]) => !isOtherContent(content)))
  return {
    ...(route.params === undefined ? {} : { params: route.params }),
    ...(route.query === undefined && !isStrict ? {} : { querystring: route.query ?? NO_QUERY }),
    ...(route.headers === undefined ? {} : { headers: route.headers }),
    ...(route.body === undefined ? {} : { body: route.body }),
    response,
  }
}

/** Decides, before the body is read, whether the request may go on. */
function admit(app: App, route: Route): onRequestHookHandler {
  const refusesBody = route.body === undefined && route.upload === undefined
  return (request, _reply, done) => {
    request.contract = route
    request.traceParent = traceParentOf(request.headers.traceparent, request.id)
    if (app.tracing !== undefined && route.id !== app.shortcut?.route.id) beginSpan(app.tracing, route, request)
    try {
      refuseBadUrl(request)
      request.caller = authorise(app, route, request)
      if (refusesBody && hasBody(request)) {
        throw new ProblemError(problems.invalidRequest, { detail: 'This route takes no body.' })
      }
      if (hasBody(request)) refuseContentCoding(request)
      // Without either Fastify parses nothing, and hands on nothing.
      if (route.upload !== undefined && request.headers['content-type'] === undefined && !hasBody(request)) {
        throw new ProblemError(problems.invalidRequest, { detail: 'This route takes a file as its body.' })
      }
      done()
    } catch (error) {
      done(error as Error)
    }
  }
}

/** A trace that begins here has the digits of the request id, so that it and the log lines find each other. */
function beginSpan(tracing: Tracing, route: Route, request: FastifyRequest): void {
  const isContinued = request.headers.traceparent === request.traceParent
  request.span = tracing.begin(`${route.method} ${route.path}`, {
    kind: 'server',
    ...(isContinued ? { parent: request.traceParent } : { traceId: request.id.replaceAll('-', '') }),
    attributes: { 'http.request.method': route.method, 'http.route': route.path, 'saas.route': route.id },
  })
  request.traceParent = request.span.traceParent
}

function authorise(app: App, route: Route, request: FastifyRequest): Identity | undefined {
  if (route.access === 'internal') return undefined
  const token = request.headers[INTERNAL_TOKEN_HEADER]
  if (token === undefined) {
    if (route.access === 'anyone') return undefined
    throw refuse(request, 'missing')
  }
  const verdict =
    typeof token === 'string'
      ? verifyInternalToken(token, app.internalTokenKeys, app.service, app.clock.now())
      : ({ refused: 'malformed' } as const)
  if ('refused' in verdict) throw refuse(request, verdict.refused)
  const { userId, roles, sessionId, routeId } = verdict.claims
  if (routeId !== route.id) throw refuse(request, 'route')
  if (!isAllowed(route.access, roles)) throw refuse(request, 'roles')
  return { userId, roles, sessionId }
}

/** The client learns nothing about why; the log does. */
function refuse(request: FastifyRequest, reason: string): ProblemError {
  request.log.warn({ route: request.contract?.id, reason }, 'internal token refused')
  return new ProblemError(problems.forbidden)
}

function refuseBadUrl(request: FastifyRequest): void {
  const { url } = request
  if (url.length > URL_LENGTH_MAX) {
    throw new ProblemError(problems.invalidRequest, { detail: `The URL is longer than ${URL_LENGTH_MAX} characters.` })
  }
  if (!url.includes('%')) return
  for (const [part, values] of [
    ['params', request.params],
    ['query', request.query],
  ] as const) {
    for (const [name, value] of Object.entries(values as Record<string, unknown>)) {
      for (const text of Array.isArray(value) ? value : [value]) {
        const detail = refusedText(String(text)) ?? refusedText(name)
        if (detail === undefined) continue
        throw new ProblemError(problems.invalidRequest, { errors: [{ pointer: `/${part}/${name}`, detail }] })
      }
    }
  }
}

function send(answer: Answer<Route>, reply: FastifyReply): FastifyReply {
  if (answer === 'sent') return reply
  const { status, body, headers, cookies } = answer as { status: number; body?: unknown } & AnswerExtras
  // The time-out struck first.
  if (reply.sent) return reply
  reply.code(status)
  if (headers !== undefined) reply.headers(headers)
  if (cookies !== undefined) for (const cookie of cookies) reply.header('set-cookie', cookie)
  return reply.send(body)
}
