export { startTracing, type Span, type Tracing } from './tracing.ts'
