import type { Route } from '@saas/contracts'
import { once } from 'node:events'
import type { Call } from './call.ts'
import { EVENT_STREAM_HEARTBEAT_MS } from './limits.ts'

/** One server-sent event; `data` is sent as JSON. */
export interface ServerSentEvent {
  readonly event?: string
  readonly id?: string
  readonly data: unknown
}

/**
 * Answers with server-sent events until `events` ends, the client goes away or the service stops; hand `call.signal`
 * to whatever `events` waits on, because it is aborted in the last two cases. A slow reader slows the source down.
 *
 * Return what it resolves to from the handler: `'sent'`.
 */
export async function streamEvents<R extends Route>(
  call: Call<R>,
  events: AsyncIterable<ServerSentEvent>,
): Promise<'sent'> {
  const { reply, signal, requestId } = call
  reply.hijack()
  const { raw } = reply
  raw.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
    'x-request-id': requestId,
    // The stream ends its connection, so that a client and a stopping service need not guess who closes it.
    connection: 'close',
  })
  raw.flushHeaders()
  const heartbeat = setInterval(() => raw.write(':\n\n'), EVENT_STREAM_HEARTBEAT_MS)
  try {
    for await (const event of events) {
      if (signal.aborted) break
      if (!raw.write(formatEvent(event))) await once(raw, 'drain', { signal })
    }
  } catch (error) {
    if (!signal.aborted) call.request.failure = error
  } finally {
    clearInterval(heartbeat)
    raw.end()
  }
  return 'sent'
}

function formatEvent(event: ServerSentEvent): string {
  const fields = [
    ...(event.event === undefined ? [] : [`event: ${event.event}`]),
    ...(event.id === undefined ? [] : [`id: ${event.id}`]),
    `data: ${JSON.stringify(event.data)}`,
  ]
  return `${fields.join('\n')}\n\n`
}
