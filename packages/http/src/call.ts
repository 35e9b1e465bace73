import type { AnswerOf, BodyOf, HeadersOf, ParamsOf, QueryOf, Route } from '@saas/contracts'
import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import type { Readable } from 'node:stream'
import type { Identity } from './identity.ts'

/** One request to route `R`, already authorised and validated. */
export interface Call<R extends Route> {
  readonly params: ParamsOf<R>
  readonly query: QueryOf<R>
  readonly headers: HeadersOf<R>
  /** The validated JSON, or for an `upload` route the raw stream, which fails beyond the contract's limit. */
  readonly body: R extends { readonly upload: object } ? Readable : BodyOf<R>
  /** Always there but on `anyone` and `internal` routes. */
  readonly identity: R['access'] extends 'anyone' | 'internal' ? Identity | undefined : Identity
  readonly requestId: string
  /** W3C trace context of the request, to be stored with what it causes. */
  readonly traceParent: string
  /** Aborted when the client went away or the time-out struck; on event streams also when the service stops. */
  readonly signal: AbortSignal
  readonly log: FastifyBaseLogger
  readonly request: FastifyRequest
  /** For handlers that stream and answer `'sent'`. */
  readonly reply: FastifyReply
}

/** What may accompany any answer. */
export interface AnswerExtras {
  readonly headers?: Readonly<Record<string, string>>
  /** Whole `Set-Cookie` values. */
  readonly cookies?: readonly string[]
}

/** One of the contract's answers, or `'sent'` when the handler wrote to `reply` itself. */
export type Answer<R extends Route> = (AnswerOf<R> & AnswerExtras) | 'sent'

export type Handler<R extends Route> = (call: Call<R>) => Promise<Answer<R>> | Answer<R>

/** Exactly one handler a route: a missing or a surplus one does not compile. */
export type Handlers<Routes extends Readonly<Record<string, Route>>> = {
  readonly [K in keyof Routes]: Handler<Routes[K]>
}
