import type { Readable } from 'node:stream'

/** What goes through a pipe at once: something that is JSON, and bytes. */
export interface Frame {
  readonly head: unknown
  readonly body: Buffer
}

/** The lengths of head and body. */
const LENGTHS_BYTES = 8
const BODY_LENGTH_AT = 4

/** A frame as bytes: two lengths, the head as JSON, the body. */
export function frame(head: unknown, body: readonly Buffer[] = []): Buffer {
  const json = Buffer.from(JSON.stringify(head))
  const lengths = Buffer.alloc(LENGTHS_BYTES)
  lengths.writeUInt32BE(json.length)
  lengths.writeUInt32BE(
    body.reduce((bytes, part) => bytes + part.length, 0),
    BODY_LENGTH_AT,
  )
  return Buffer.concat([lengths, json, ...body])
}

/** The frames of a stream until it ends; what is left of one that is not whole is dropped. @throws {Error} for one that says it is longer than `bytesMax`. */
export async function* frames(stream: Readable, bytesMax: number): AsyncGenerator<Frame, void> {
  let parts: Buffer[] = []
  let bytes = 0
  let expected = LENGTHS_BYTES
  for await (const part of stream as AsyncIterable<Buffer>) {
    parts.push(part)
    bytes += part.length
    while (bytes >= expected) {
      const whole = Buffer.concat(parts)
      const headEnd = LENGTHS_BYTES + whole.readUInt32BE()
      const end = headEnd + whole.readUInt32BE(BODY_LENGTH_AT)
      if (end > bytesMax) throw new Error('A frame is longer than it may be')
      if (bytes >= end) {
        yield { head: JSON.parse(whole.toString('utf8', LENGTHS_BYTES, headEnd)), body: whole.subarray(headEnd, end) }
      }
      const rest = bytes >= end ? whole.subarray(end) : whole
      expected = bytes >= end ? LENGTHS_BYTES : end
      parts = [rest]
      bytes = rest.length
    }
  }
}
