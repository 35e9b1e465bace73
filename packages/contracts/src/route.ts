import type { Static, TObject, TSchema } from 'typebox'
import type { Access } from './access.ts'
import type { Problem } from './problem.ts'

export const serviceNames = ['auth', 'products', 'orders', 'notifications', 'frontend'] as const
export type ServiceName = (typeof serviceNames)[number]

/** One value for each service. */
export function byService<T>(valueOf: (service: ServiceName) => T): Record<ServiceName, T> {
  return Object.fromEntries(serviceNames.map((service) => [service, valueOf(service)])) as Record<ServiceName, T>
}

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** What stands in a response that is not JSON, or has no body. */
export interface OtherContent {
  readonly content: 'none' | 'text/html' | 'text/event-stream' | 'image/webp' | 'file'
}

/** One HTTP route: registered, authorised, documented, typed and routed at the edge from this description alone. */
export interface Route {
  /** `<service>.<handler>`; names the route in internal tokens (`rid`), logs and metrics. */
  readonly id: string
  readonly service: ServiceName
  readonly method: Method
  /** With `{name}` for one path segment, as in OpenAPI. */
  readonly path: string
  readonly access: Access
  readonly summary: string
  readonly params?: TObject
  readonly query?: TObject
  /** Lower-case names. Only those listed are typed; others pass unread. */
  readonly headers?: TObject
  /** JSON body. A route without `body` and `upload` refuses one. */
  readonly body?: TSchema
  /** A raw body of up to `bytesMax` bytes is streamed to the handler as `request.body`. */
  readonly upload?: { readonly mediaTypes: readonly string[]; readonly bytesMax: number }
  /** Moves any amount of data: the edge keeps none of it, and only standing still is limited, not the whole. */
  readonly transfer?: boolean
  readonly responses: Readonly<Record<number, TSchema | OtherContent>>
  /** Beyond those that any route can answer. */
  readonly problems?: readonly Problem[]
  /** Safe to repeat: the edge may try another replica after the first one died. GET, PUT and DELETE always are. */
  readonly repeatable?: boolean
  /** One release has it and the next may not: the edge asks other replicas before it answers 404. Only for GET routes. */
  readonly perRelease?: boolean
  /** The edge keeps a 200 answer for this long. Only for `anyone` GET routes without credentials. */
  readonly edgeCacheSeconds?: number
}

/** Keeps literal types, so that handlers and clients are typed by the description. */
export function route<const R extends Route>(definition: R): R {
  return definition
}

type Infer<S> = S extends TSchema ? Static<S> : undefined

export type ParamsOf<R extends Route> = Infer<R['params']>
export type QueryOf<R extends Route> = Infer<R['query']>
export type HeadersOf<R extends Route> = Infer<R['headers']>
export type BodyOf<R extends Route> = Infer<R['body']>

/** The union of `{status, body}` that the route may answer. */
export type AnswerOf<R extends Route> = {
  [S in keyof R['responses'] & number]: R['responses'][S] extends OtherContent
    ? { readonly status: S; readonly body?: undefined }
    : R['responses'][S] extends TSchema
      ? { readonly status: S; readonly body: Static<R['responses'][S]> }
      : never
}[keyof R['responses'] & number]

export function isOtherContent(response: TSchema | OtherContent): response is OtherContent {
  return 'content' in response
}

/** Of one path parameter, in characters: what is longer is no route, at the edge, in auth and in the services alike. */
export const PARAM_LENGTH_MAX = 512

/** `/order/{id}` as Fastify and find-my-way write it: `/order/:id`. */
export function colonPath(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ':$1')
}

/** `/order/{id}` with values put in, each percent-encoded. Throws a RangeError naming a missing one. */
export function fillPath(path: string, params: Readonly<Record<string, string | number>>): string {
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const value = params[name]
    if (value === undefined) throw new RangeError(`The path ${path} needs a value for ${name}.`)
    return encodeURIComponent(value)
  })
}
