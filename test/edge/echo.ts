import { once } from 'node:events'
import { Agent, createServer, request as ask, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What reached a service. */
export interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

/** Stands where a service would, and keeps what reaches it: test equipment, no copy of a part of ours. */
export class Echo implements AsyncDisposable {
  readonly seen: Seen[] = []
  /** What the edge asked, when this stands in auth's place. */
  readonly questions: Omit<Seen, 'body'>[] = []
  /** Of all bodies so far, finished or not. */
  bytesReceived = 0
  /** How a request is answered, when not by its own description. */
  answer: ((seen: Seen, response: ServerResponse, request: IncomingMessage) => void) | undefined
  #server: Server | undefined
  #port = 0
  /** Where the edge's questions go, when this stands in auth's place: to the real auth. */
  readonly #asked: string | undefined
  readonly #agent = new Agent({ keepAlive: true })

  private constructor(asked?: string) {
    this.#asked = asked
  }

  static async start(asked?: string): Promise<Echo> {
    const echo = new Echo(asked)
    await echo.listen()
    return echo
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`
  }

  /** Begins to listen: on the same port again after `kill`. */
  async listen(): Promise<void> {
    this.#server = createServer((request, response) => {
      // Only the edge asks: it passes nobody else's header of this name.
      if (this.#asked !== undefined && isQuestion(request)) {
        this.#passOn(request, response, this.#asked)
        return
      }
      let body = ''
      request.setEncoding('utf8')
      request.on('data', (chunk: string) => {
        body += chunk
        this.bytesReceived += chunk.length
      })
      request.on('end', () => {
        const { method = '', url = '', headers } = request
        const seen = { method, url, headers, body }
        this.seen.push(seen)
        if (this.answer === undefined) {
          response.setHeader('content-type', 'application/json')
          response.end(JSON.stringify({ url, served: this.seen.length }))
        } else {
          this.answer(seen, response, request)
        }
      })
    })
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
  }

  #passOn(request: IncomingMessage, response: ServerResponse, address: string): void {
    // As they came: what is said twice has to be said twice to auth.
    const { method = '', url = '', headersDistinct } = request
    this.questions.push({ method, url, headers: headersDistinct })
    const headers = Object.fromEntries(
      Object.entries(headersDistinct).map(([name, values = []]) => [name, values.length === 1 ? values[0] : values]),
    )
    const onward = ask(`http://${address}${url}`, { method, headers, agent: this.#agent }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers)
      answer.pipe(response)
    })
    onward.on('error', () => response.destroy())
    request.pipe(onward)
  }

  /** Goes as a killed process goes: its connections are cut, its port refuses. */
  async kill(): Promise<void> {
    const server = this.#server
    if (server === undefined) return
    this.#server = undefined
    const closed = once(server, 'close')
    this.#agent.destroy()
    server.close()
    server.closeAllConnections()
    await closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
  }
}

/** As nginx asks, or as Caddy does, which leaves the query. */
function isQuestion({ url, headers }: IncomingMessage): boolean {
  return url?.split('?', 1)[0] === '/authz' && ('x-original-uri' in headers || 'x-forwarded-uri' in headers)
}
