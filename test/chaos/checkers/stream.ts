import type { TestBus } from '@saas/testing'

const STREAM = 'messages'
const FETCH_MAX = 1_000
const FETCH_EXPIRES_MS = 2_000

/** Marks what a test published itself: the checkers of order and origin leave it out. */
export const INJECTED_HEADER = 'chaos-injected'

/** A message as it lies in the stream. */
export interface StreamMessage {
  readonly sequence: number
  readonly subject: string
  readonly id: string
  readonly isInjected: boolean
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Reads the whole stream from its first message. A stream that is not there holds nothing. */
export async function readStream(bus: TestBus): Promise<StreamMessage[]> {
  const manager = await bus.manager()
  const info = await manager.streams.info(STREAM).catch(() => undefined)
  if (info === undefined || info.state.messages === 0) return []
  const consumer = await manager.jetstream().consumers.get(STREAM)
  const messages: StreamMessage[] = []
  for (let left = info.state.messages; left > 0;) {
    const batch = await consumer.fetch({ max_messages: Math.min(left, FETCH_MAX), expires: FETCH_EXPIRES_MS })
    let count = 0
    for await (const message of batch) {
      count += 1
      left = message.info.pending
      const headers = Object.fromEntries(
        [...(message.headers ?? [])].map(([name, values]) => [name, values.at(-1) ?? '']),
      )
      messages.push({
        sequence: message.seq,
        subject: message.subject,
        id: headers['ce-id'] ?? '',
        isInjected: headers[INJECTED_HEADER] !== undefined,
        headers,
        body: message.string(),
      })
    }
    if (count === 0) throw new Error(`The stream has ${left} messages more and gives none`)
  }
  return messages
}
