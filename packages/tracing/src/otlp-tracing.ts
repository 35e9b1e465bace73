import { hostname } from 'node:os'
import {
  diag,
  DiagLogLevel,
  isSpanContextValid,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Context,
  type Span as SdkSpan,
  type Tracer,
} from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  BatchSpanProcessor,
  RandomIdGenerator,
  TraceIdRatioBasedSampler,
  TracerProvider,
  type IdGenerator,
} from '@opentelemetry/sdk-trace'
import type { Logger } from 'pino'
import type { Span, SpanOptions, Tracing, TracingOptions } from './tracing.ts'

const TRACE_PARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/
const EXPORT_TIMEOUT_MS = 5_000
const SHUTDOWN_TIMEOUT_MS = 2_000
const REPORT_INTERVAL_MS = 60_000

const kinds = { server: SpanKind.SERVER, producer: SpanKind.PRODUCER, consumer: SpanKind.CONSUMER }

/** Ids are random, but for the trace of a span that is told its own. */
class Ids implements IdGenerator {
  nextTraceId: string | undefined
  readonly #random = new RandomIdGenerator()

  generateTraceId(): string {
    const traceId = this.nextTraceId ?? this.#random.generateTraceId()
    this.nextTraceId = undefined
    return traceId
  }

  generateSpanId(): string {
    return this.#random.generateSpanId()
  }
}

/** Sends spans in batches by OTLP over HTTP, in JSON. `OTEL_EXPORTER_OTLP_HEADERS` and its like are the exporter's own. */
export class OtlpTracing implements Tracing {
  readonly #provider: TracerProvider
  readonly #tracer: Tracer
  readonly #ids = new Ids()

  constructor({ service, endpoint, share, logger }: TracingOptions) {
    reportTo(logger)
    const exporter = new OTLPTraceExporter({
      url: `${endpoint.replace(/\/$/, '')}/v1/traces`,
      timeoutMillis: EXPORT_TIMEOUT_MS,
    })
    this.#provider = new TracerProvider({
      resource: resourceFromAttributes({
        'service.name': service,
        'service.namespace': 'saas',
        'service.instance.id': hostname(),
      }),
      sampler: new TraceIdRatioBasedSampler(share),
      idGenerator: this.#ids,
      // Holds 2,048 spans at most; more are dropped.
      spanProcessors: [new BatchSpanProcessor({ exporter, scheduledDelayMillis: 1_000 })],
    })
    this.#tracer = this.#provider.getTracer('saas')
  }

  begin(name: string, { kind, parent, traceId, attributes }: SpanOptions): Span {
    const context = contextOf(parent)
    if (context === ROOT_CONTEXT) this.#ids.nextTraceId = traceId
    return new OtlpSpan(this.#tracer.startSpan(name, { kind: kinds[kind], attributes }, context))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, SHUTDOWN_TIMEOUT_MS)
    await Promise.race([this.#provider.shutdown(), late])
    clearTimeout(timer)
  }
}

class OtlpSpan implements Span {
  readonly traceParent: string
  readonly #span: SdkSpan

  constructor(span: SdkSpan) {
    this.#span = span
    const { traceId, spanId, traceFlags } = span.spanContext()
    this.traceParent = `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`
  }

  end({ error, attributes }: Parameters<Span['end']>[0] = {}): void {
    if (attributes !== undefined) this.#span.setAttributes(attributes)
    if (error !== undefined) {
      this.#span.setStatus({ code: SpanStatusCode.ERROR })
      if (error instanceof Error) this.#span.recordException(error)
    }
    this.#span.end()
  }
}

function contextOf(traceParent: string | undefined): Context {
  const [, traceId = '', spanId = '', flags = ''] = TRACE_PARENT.exec(traceParent ?? '') ?? []
  const spanContext = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true }
  return isSpanContextValid(spanContext) ? trace.setSpanContext(ROOT_CONTEXT, spanContext) : ROOT_CONTEXT
}

/** What the SDK complains of, once a minute at most: a receiver that is down would else fill the log. */
function reportTo(logger: Logger): void {
  let reportedAtMs = -Infinity
  let unreported = 0
  const report = (message: string): void => {
    if (performance.now() - reportedAtMs < REPORT_INTERVAL_MS) {
      unreported += 1
      return
    }
    logger.warn({ problem: message, unreported }, 'Spans are not delivered')
    reportedAtMs = performance.now()
    unreported = 0
  }
  const ignore = (): void => undefined
  const told = { error: report, warn: report, info: ignore, debug: ignore, verbose: ignore }
  diag.setLogger(told, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true })
}
