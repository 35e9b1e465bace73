import { fillPath, type AnswerOf, type BodyOf, type HeadersOf, type ParamsOf, type ProblemBody } from '@saas/contracts'
import type { FieldError, QueryOf, Route } from '@saas/contracts'

/** Longer than the longest `Prefer: wait`, so that the server's own limits speak first. */
const ANSWER_TIMEOUT_MS = 45_000

type Part<K extends string, V> = [V] extends [undefined]
  ? unknown
  : Record<string, never> extends V
    ? { readonly [P in K]?: V }
    : { readonly [P in K]: V }

type Sparse<T> = T extends object ? { readonly [K in keyof T]: T[K] | undefined } : T

/** What a call of `R` needs, as the contract says. `query` fields that are undefined are not sent. */
export type Input<R extends Route> = Part<'params', ParamsOf<R>> &
  Part<'query', Sparse<QueryOf<R>>> &
  Part<'headers', HeadersOf<R>> &
  Part<'body', BodyOf<R>> &
  (R extends { readonly upload: object } ? { readonly upload: Blob } : unknown) & { readonly signal?: AbortSignal }

/** The browser answers 304 from its own cache, so scripts never see one. */
export type Answered<R extends Route> = Exclude<AnswerOf<R>, { readonly status: 304 }> & { readonly headers: Headers }

/** A problem+json answer. */
export class Refused extends Error {
  readonly status: number
  /** The last segment of the problem's `type`. */
  readonly problem: string
  readonly detail: string | undefined
  readonly fields: readonly FieldError[]
  readonly retryAfterSeconds: number | undefined

  constructor(response: Response, body: Partial<ProblemBody>) {
    super(body.title ?? `${response.status} ${response.statusText}`)
    this.status = response.status
    this.problem = body.type?.split('/').at(-1) ?? ''
    this.detail = body.detail
    this.fields = body.errors ?? []
    const retryAfter = Number(response.headers.get('retry-after') ?? Number.NaN)
    this.retryAfterSeconds = Number.isFinite(retryAfter) ? retryAfter : undefined
  }
}

/** No answer came: the network, the edge or the time-out. Whether the request was carried out is not known. */
export class Unanswered extends Error {}

/** True when trying again later may help and nothing is known to be wrong with the request. */
export function isTemporary(error: unknown): boolean {
  return error instanceof Unanswered || (error instanceof Refused && (error.status >= 500 || error.status === 429))
}

interface AnyInput {
  readonly params?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>
  readonly headers?: Readonly<Record<string, string | undefined>>
  readonly body?: unknown
  readonly upload?: Blob
  readonly signal?: AbortSignal
}

/**
 * Sends one request and answers its response when the status is below 400.
 * Throws Refused, Unanswered, or the signal's own reason.
 */
export async function send<R extends Route>(route: R, input: Input<R>, accessToken?: string): Promise<Response> {
  const { params = {}, query = {}, headers: given = {}, body, upload, signal } = input as AnyInput
  const headers = new Headers({ accept: 'application/json, text/event-stream' })
  for (const [name, value] of Object.entries(given)) if (value !== undefined) headers.set(name, value)
  if (body !== undefined) headers.set('content-type', 'application/json')
  if (upload !== undefined) headers.set('content-type', upload.type === '' ? 'application/octet-stream' : upload.type)
  if (accessToken !== undefined) headers.set('authorization', `Bearer ${accessToken}`)
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, String(value))
  const path = fillPath(route.path, params) + (search.size === 0 ? '' : `?${search}`)

  // An event stream ends by itself after a minute, a file takes as long as it is; everything else has a limit of ours.
  const streams = Object.values(route.responses).some(
    (shape) => 'content' in shape && shape.content === 'text/event-stream',
  )
  const limits = [
    ...(signal === undefined ? [] : [signal]),
    ...(streams || route.transfer === true ? [] : [AbortSignal.timeout(ANSWER_TIMEOUT_MS)]),
  ]
  let response: Response
  try {
    response = await fetch(path, {
      method: route.method,
      headers,
      body: upload ?? (body === undefined ? null : JSON.stringify(body)),
      signal: AbortSignal.any(limits),
    })
  } catch (error) {
    signal?.throwIfAborted()
    throw new Unanswered('No answer came.', { cause: error })
  }
  if (response.status < 400) return response
  throw new Refused(response, await problemOf(response))
}

export async function problemOf(response: Response): Promise<Partial<ProblemBody>> {
  try {
    return (await response.json()) as Partial<ProblemBody>
  } catch {
    return {}
  }
}

/** The typed form of a response that `send` answered. */
export async function answerOf<R extends Route>(response: Response): Promise<Answered<R>> {
  const isJson = response.headers.get('content-type')?.includes('json') === true
  try {
    const body: unknown = isJson ? await response.json() : undefined
    return { status: response.status, body, headers: response.headers } as unknown as Answered<R>
  } catch (error) {
    throw new Unanswered('The answer broke off.', { cause: error })
  }
}
