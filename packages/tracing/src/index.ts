export { startTracing, type Span, type SpanOptions, type Tracing, type TracingOptions } from './tracing.ts'
