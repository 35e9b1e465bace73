/** The data of each server-sent event (HTML standard, section 9.2.6), as its lines arrive in pieces of any size. */
export async function* readEvents(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = ''
  let data: string[] = []
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    rest += text
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
}
