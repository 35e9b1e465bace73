import type { ServiceName } from '@saas/contracts'
import type { Logger } from 'pino'

/** What a span is told when it begins. */
export interface SpanOptions {
  readonly kind: 'server' | 'producer' | 'consumer'
  /** What caused it, as a W3C `traceparent`; a span without is the first of its trace. */
  readonly parent?: string | undefined
  /** Of a span without a parent: 32 hexadecimal digits, so that the trace is found under an id that is known elsewhere too. */
  readonly traceId?: string
  /** Names of the OpenTelemetry semantic conventions. */
  readonly attributes: Readonly<Record<string, string | number | boolean>>
}

/** Something that takes time, until it is ended. */
export interface Span {
  /** What it causes names this as its parent. */
  readonly traceParent: string
  /** Ends it, once. An `error` marks it as failed. */
  end(outcome?: { readonly error?: unknown; readonly attributes?: SpanOptions['attributes'] }): void
}

/** Where the spans of this process go. Disposing sends what is left. */
export interface Tracing extends AsyncDisposable {
  begin(name: string, options: SpanOptions): Span
}

export interface TracingOptions {
  readonly service: ServiceName
  /** Base URL of an OTLP/HTTP receiver, without `/v1/traces`. */
  readonly endpoint: string
  /** Share of traces that are kept, 0 to 1: by their id, so every service keeps the same ones whatever a client asks for. */
  readonly share: number
  readonly logger: Logger
}

/**
 * Begins to send spans; nothing waits for the receiver, and one that is down costs spans and a line in the log.
 *
 * The SDK is loaded here and not before: 60 ms and 12 MiB that a service without a receiver does not pay.
 */
export async function startTracing(options: TracingOptions): Promise<Tracing> {
  const { OtlpTracing } = await import('./otlp-tracing.ts')
  return new OtlpTracing(options)
}
