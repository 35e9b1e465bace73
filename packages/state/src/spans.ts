import type { Span, Tracing } from '@saas/tracing'
import type { OutgoingRow } from './codec.ts'
import type { Message } from './message.ts'
import type { Publication } from './publisher.ts'

const SYSTEM = { 'messaging.system': 'nats' }

/** A span for each row that is published, which its message names as what caused it. */
export class PublishSpans {
  /** The rows as they are sent. */
  readonly rows: readonly OutgoingRow[]
  readonly #spans = new Map<string, Span>()

  constructor(tracing: Tracing | undefined, rows: readonly OutgoingRow[]) {
    this.rows = tracing === undefined ? rows : rows.map((row) => this.#begin(tracing, row))
  }

  /** What was not acknowledged failed, or was left for the next pass when nothing did: it is published again, in another span. */
  end({ acknowledged, failure }: Publication): void {
    if (this.#spans.size === 0) return
    for (const { id, sequence } of acknowledged) {
      this.#spans.get(id)?.end({ attributes: { 'messaging.nats.stream_sequence': sequence } })
      this.#spans.delete(id)
    }
    if (failure !== undefined) for (const span of this.#spans.values()) span.end({ error: failure })
    this.#spans.clear()
  }

  #begin(tracing: Tracing, row: OutgoingRow): OutgoingRow {
    const span = tracing.begin(`send ${row.subject}`, {
      kind: 'producer',
      parent: row.trace_parent ?? undefined,
      attributes: {
        ...SYSTEM,
        'messaging.operation.type': 'send',
        'messaging.destination.name': row.subject,
        'messaging.message.id': row.id,
      },
    })
    this.#spans.set(row.id, span)
    return { ...row, trace_parent: span.traceParent }
  }
}

/** Applies messages in a span each, which events that they cause name as their cause. */
export async function withApplySpans<T>(
  tracing: Tracing,
  durable: string,
  messages: readonly Message[],
  apply: (messages: readonly Message[]) => Promise<T>,
): Promise<T> {
  const spans = messages.map((message) =>
    tracing.begin(`process ${message.subject}`, {
      kind: 'consumer',
      parent: message.traceParent,
      attributes: {
        ...SYSTEM,
        'messaging.operation.type': 'process',
        'messaging.destination.name': message.subject,
        'messaging.message.id': message.id,
        'messaging.consumer.group.name': durable,
        'messaging.batch.message_count': messages.length,
      },
    }),
  )
  try {
    const result = await apply(messages.map((message, n) => ({ ...message, traceParent: spans[n]?.traceParent })))
    for (const span of spans) span.end()
    return result
  } catch (error) {
    for (const span of spans) span.end({ error })
    throw error
  }
}
