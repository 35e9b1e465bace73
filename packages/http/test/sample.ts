import { systemClock, type Clock } from '@saas/config'
import { problem, problems, ProblemError, route } from '@saas/contracts'
import { Time, Type } from '@saas/contracts'
import {
  createApp,
  createLogger,
  registerRoutes,
  signInternalToken,
  streamEvents,
  type App,
  type AppOptions,
} from '../src/index.ts'

export const key = new Uint8Array(32).fill(7)
export const now = new Date('2026-01-01T12:00:00Z')
const clock: Clock = { ...systemClock, now: () => now }
export const userId = '01977c1e-6a00-7000-8000-000000000001'

export const soldOut = problem({ name: 'sold-out', title: 'Sold out', status: 409, explanation: 'None are left.' })

const Strict = <P extends Parameters<typeof Type.Object>[0]>(properties: P) =>
  Type.Object(properties, { additionalProperties: false })
const Thing = Type.Object({ id: Type.String(), note: Type.Optional(Type.String()) })
const service = 'orders'

export const sampleRoutes = {
  look: route({
    id: 'orders.look',
    service,
    method: 'GET',
    path: '/look',
    access: 'anyone',
    summary: '',
    query: Strict({
      limit: Type.Optional(Type.Integer({ maximum: 100 })),
      all: Type.Optional(Type.Boolean()),
      at: Type.Optional(Time),
    }),
    responses: { 200: Type.Object({ limit: Type.Optional(Type.Integer()), all: Type.Optional(Type.Boolean()) }) },
  }),
  read: route({
    id: 'orders.read',
    service,
    method: 'GET',
    path: '/thing/{id}',
    access: 'user',
    summary: '',
    params: Strict({ id: Type.String({ maxLength: 40 }) }),
    responses: { 200: Thing },
  }),
  make: route({
    id: 'orders.make',
    service,
    method: 'POST',
    path: '/thing',
    access: 'anyone',
    summary: '',
    body: Strict({
      name: Type.Optional(Type.Unknown()),
      note: Type.Optional(Type.Union([Type.String(), Type.Null()])),
      count: Type.Optional(Type.Integer({ not: { const: 0 } })),
      lines: Type.Optional(Type.Array(Strict({ id: Type.String(), size: Type.Optional(Type.Enum(['s', 'l'])) }))),
      who: Type.Optional(
        Type.Union([Strict({ token: Type.String() }), Strict({ email: Type.String(), code: Type.String() })]),
      ),
    }),
    responses: { 201: Thing },
  }),
  remove: route({
    id: 'orders.remove',
    service,
    method: 'DELETE',
    path: '/thing/{id}',
    access: 'admin',
    summary: '',
    responses: { 204: { content: 'none' } },
  }),
  fail: route({
    id: 'orders.fail',
    service,
    method: 'POST',
    path: '/fail/{how}',
    access: 'anyone',
    summary: '',
    params: Strict({ how: Type.String() }),
    responses: { 200: Thing },
  }),
  wait: route({
    id: 'orders.wait',
    service,
    method: 'POST',
    path: '/wait',
    access: 'anyone',
    summary: '',
    responses: { 200: Thing },
  }),
  upload: route({
    id: 'orders.upload',
    service,
    method: 'PUT',
    path: '/upload',
    access: 'anyone',
    summary: '',
    upload: { mediaTypes: ['image/png'], bytesMax: 1000 },
    responses: { 200: Type.Object({ bytes: Type.Integer() }) },
  }),
  watch: route({
    id: 'orders.watch',
    service,
    method: 'GET',
    path: '/watch',
    access: 'anyone',
    summary: '',
    responses: { 200: { content: 'text/event-stream' } },
  }),
  decide: route({
    id: 'orders.decide',
    service,
    method: 'POST',
    path: '/decide',
    access: 'internal',
    summary: '',
    responses: { 200: { content: 'none' } },
  }),
}

export interface SampleApp {
  readonly app: App
  /** Names of the handlers that ran; `left` when a client had gone away before `wait` went on. */
  readonly served: string[]
  /** Parsed log lines. */
  readonly lines: Record<string, unknown>[]
  /** Lets the handlers of `wait` go on. */
  readonly release: () => void
}

/** A service of routes that exist for these tests only, on everything real services use. */
export function sampleApp(
  options: Partial<Pick<AppOptions, 'checks' | 'optionalChecks' | 'shortcut'>> = {},
): SampleApp {
  const served: string[] = []
  const lines: Record<string, unknown>[] = []
  const released = Promise.withResolvers<void>()
  const logger = createLogger('orders', 'info', {
    write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>),
  })
  const app = createApp({
    service,
    routes: sampleRoutes,
    logger,
    clock,
    internalTokenKeys: [key],
    checks: {},
    ...options,
  })
  registerRoutes(app, sampleRoutes, {
    look: ({ query }) => ({ status: 200, body: query }),
    read: ({ params, identity }) => {
      served.push('read')
      return { status: 200, body: { id: params.id, note: identity.userId, secret: 'not in the contract' } }
    },
    make: ({ body }) => {
      served.push('make')
      return {
        status: 201,
        body: { id: String(body.count ?? '') },
        headers: { location: '/thing/1' },
        cookies: ['a=1', 'b=2'],
      }
    },
    remove: () => {
      served.push('remove')
      return { status: 204 }
    },
    fail: ({ params }) => {
      if (params.how === 'declared')
        throw new ProblemError(soldOut, { detail: 'No more tea.', headers: { 'x-left': '0' } })
      const cause = new Error('connect postgres://orders:hunter2@db failed')
      if (params.how === 'outage') throw new ProblemError(problems.dependencyUnavailable, { cause })
      throw cause
    },
    wait: async (call) => {
      served.push('wait')
      await released.promise
      if (call.signal.aborted) served.push('left')
      return { status: 200, body: { id: 'waited' } }
    },
    upload: async ({ body }) => {
      let bytes = 0
      for await (const chunk of body) bytes += (chunk as Buffer).length
      return { status: 200, body: { bytes } }
    },
    watch: async (call) => {
      const { signal } = call
      async function* events() {
        yield { event: 'order', data: { status: 'pending' } }
        await new Promise((resolve) => {
          signal.addEventListener('abort', resolve, { once: true })
        })
      }
      return streamEvents(call, events())
    },
    decide: () => ({ status: 200, headers: { 'x-internal-token': 't' } }),
  })
  return { app, served, lines, release: released.resolve }
}

export function tokenFor(
  routeId: string,
  claims: { audience?: string; roles?: string[]; at?: Date; key?: Uint8Array } = {},
): string {
  return signInternalToken(
    { audience: claims.audience ?? service, userId, roles: claims.roles ?? ['customer'], sessionId: userId, routeId },
    claims.key ?? key,
    claims.at ?? now,
  )
}
