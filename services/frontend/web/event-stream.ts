/** The data of each server-sent event (HTML standard, section 9.2.6), as its lines arrive in pieces of any size; `hear` is called at each piece. */
export async function* readEvents(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  hear: () => void = () => undefined,
): AsyncGenerator<string> {
  // Safari reads streams, and does not iterate over them.
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  let data: string[] = []
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      hear()
      rest += part.value
      // A line may end in CR, LF or both; a CR at the very end waits for what follows it.
      const lines = rest.split(/\r\n|\n|\r(?!$)/)
      rest = lines.pop() ?? ''
      for (const line of lines) {
        if (line === '') {
          if (data.length > 0) yield data.join('\n')
          data = []
        } else if (line.startsWith('data:')) {
          data.push(line.slice(line.startsWith('data: ') ? 6 : 5))
        }
      }
    }
  } finally {
    // Whoever has heard enough ends the request too; a stream that broke has said so above.
    reader.cancel().catch(() => undefined)
  }
}
