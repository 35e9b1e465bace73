import { connect, type Socket } from 'node:net'

export interface Answered {
  readonly status: number
  readonly milliseconds: number
  readonly bytes: number
}

export interface LoadConnectionOptions {
  /** The next request as it goes over the wire, one byte a character; `undefined` at the end. */
  readonly next: () => string | undefined
  readonly answered: (answer: Answered) => void
  readonly broken: () => void
}

const HEADER_END = Buffer.from('\r\n\r\n')
const LENGTH = /\r\ncontent-length: *(\d+)/i
const CLOSES = /\r\nconnection: *close/i
const CHUNKED = /\r\ntransfer-encoding: *chunked/i
const LAST_CHUNK = Buffer.from('\r\n0\r\n\r\n')
const READ_BYTES = 16 * 1024

/**
 * One kept connection that has one request under way at a time. It reads of an answer what it must to find its end: the load
 * generator shares the machine with what it measures, so each microsecond it spends is taken from there.
 */
export class LoadConnection {
  readonly done: Promise<void>
  readonly #url: URL
  readonly #options: LoadConnectionOptions
  readonly #finish: () => void
  #socket: Socket
  #request: string | undefined
  #isAwaiting = false
  #sentAtMs = 0
  #received: Buffer | undefined

  constructor(url: URL, options: LoadConnectionOptions) {
    this.#url = url
    this.#options = options
    const { promise, resolve } = Promise.withResolvers<void>()
    this.done = promise
    this.#finish = resolve
    this.#socket = this.#connect()
    this.#sendNext()
  }

  #connect(): Socket {
    // Read into the same bytes again and again: an answer costs the generator no memory that it must collect.
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES)
    const socket = connect({
      host: this.#url.hostname,
      port: Number(this.#url.port),
      noDelay: true,
      onread: {
        buffer,
        callback: (length) => {
          this.#read(buffer.subarray(0, length))
          return true
        },
      },
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      if (socket !== this.#socket) return
      this.#received = undefined
      if (this.#isAwaiting) this.#options.broken()
      if (this.#request === undefined) return
      this.#socket = this.#connect()
      // What was under way is not sent again: nobody knows what became of it.
      if (this.#isAwaiting) this.#sendNext()
    })
    return socket
  }

  #sendNext(): void {
    this.#request = this.#options.next()
    this.#isAwaiting = this.#request !== undefined
    if (this.#request === undefined) {
      this.#socket.destroy()
      this.#finish()
      return
    }
    // A server that wants to end the connection after an answer is given a new one, not a request on the old.
    if (this.#socket.destroyed || !this.#socket.writable) this.#socket = this.#connect()
    this.#sentAtMs = performance.now()
    this.#socket.write(this.#request, 'latin1')
  }

  /** A new connection for what comes next; the old one ends unheard. */
  #leave(): void {
    const old = this.#socket
    this.#isAwaiting = false
    this.#socket = this.#connect()
    old.destroy()
  }

  #read(chunk: Buffer): void {
    const received = this.#received === undefined ? chunk : Buffer.concat([this.#received, chunk])
    const end = received.indexOf(HEADER_END)
    const head = end === -1 ? '' : received.toString('latin1', 0, end)
    const length = end === -1 ? undefined : answerLength(received, head)
    if (length === undefined || received.length < length) {
      this.#received = received === chunk ? Buffer.from(chunk) : received
      return
    }
    this.#received = undefined
    // "HTTP/1.1 200": the digits stand at a fixed place.
    const status = ((received[9] ?? 0) - 48) * 100 + ((received[10] ?? 0) - 48) * 10 + ((received[11] ?? 0) - 48)
    // nginx ends a connection after so many requests, and says so.
    if (CLOSES.test(head)) this.#leave()
    this.#options.answered({ status, milliseconds: performance.now() - this.#sentAtMs, bytes: length })
    this.#sendNext()
  }
}

/** Bytes of the whole answer, as far as that can be told yet. */
function answerLength(received: Buffer, head: string): number | undefined {
  const bodyAt = head.length + HEADER_END.length
  const length = LENGTH.exec(head)?.[1]
  if (length !== undefined) return bodyAt + Number(length)
  if (!CHUNKED.test(head)) return bodyAt
  return received.subarray(-LAST_CHUNK.length).equals(LAST_CHUNK) ? received.length : undefined
}
