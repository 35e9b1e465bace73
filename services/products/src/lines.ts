/** A line as it came, without its line feed; `text` is undefined when it was too long to be kept. */
export interface Line {
  readonly number: number
  readonly text: Buffer | undefined
}

const LINE_FEED = 10

/**
 * The lines of a stream, those of one chunk at a time. No more than one chunk and one line of `bytesMax` are held; what
 * a line has beyond that is dropped as it comes.
 */
export async function* readLines(chunks: AsyncIterable<Buffer>, bytesMax: number): AsyncGenerator<Line[]> {
  let number = 0
  let parts: Buffer[] = []
  let bytes = 0
  const add = (part: Buffer): void => {
    bytes += part.length
    if (bytes <= bytesMax) parts.push(part)
    else parts = []
  }
  const finish = (): Line => {
    number += 1
    const line = { number, text: bytes > bytesMax ? undefined : Buffer.concat(parts) }
    parts = []
    bytes = 0
    return line
  }
  for await (const chunk of chunks) {
    const lines: Line[] = []
    let start = 0
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, start)) {
      add(chunk.subarray(start, end))
      lines.push(finish())
      start = end + 1
    }
    // A copy: a view would keep the whole chunk.
    if (start < chunk.length) add(Buffer.from(chunk.subarray(start)))
    if (lines.length > 0) yield lines
  }
  if (bytes > 0) yield [finish()]
}
