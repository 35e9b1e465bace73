import { connect } from 'node:net'

/** What came back over one connection. */
export interface RawAnswer {
  /** Of the first answer; 0 when there was none. */
  readonly status: number
  /** Everything, as latin-1. */
  readonly text: string
}

/** Sends bytes as they are (a character is a byte) and reads until the connection is closed, by either side. */
export async function sendRaw(port: number, text: string, patienceMs: number): Promise<RawAnswer> {
  const { promise, resolve } = Promise.withResolvers<RawAnswer>()
  const chunks: Buffer[] = []
  const socket = connect(port, '127.0.0.1')
  const done = (): void => {
    clearTimeout(timer)
    socket.destroy()
    const received = Buffer.concat(chunks).toString('latin1')
    // What comes before the answer (100) says nothing yet.
    const final = /^(?:HTTP\/1\.1 1\d\d [^]*?\r\n\r\n)*HTTP\/1\.[01] (?<status>\d{3})/.exec(received)?.groups
    resolve({ status: Number(final?.['status'] ?? 0), text: received })
  }
  // The edge waits for what was announced and never came; we do not.
  const timer = setTimeout(done, patienceMs)
  socket.on('data', (chunk) => chunks.push(chunk))
  socket.on('end', done)
  socket.on('error', done)
  socket.write(text, 'latin1')
  return await promise
}
