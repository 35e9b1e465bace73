import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { SMTPServer, type SMTPServerSession } from 'smtp-server'

/** A mail that the server answered for with 250. */
export interface AcceptedMail {
  readonly to: string
  readonly raw: string
  /** With quoted-printable undone. */
  readonly decoded: string
  readonly messageId: string
}

/** What the server does with a recipient's mail. */
export type Behaviour =
  | 'accept'
  /** Takes the whole mail and never answers. */
  | 'hang'
  /** Takes the whole mail and cuts the connection instead of answering. */
  | 'cut'
  | { readonly recipientCode: number; readonly words: string }
  | { readonly dataCode: number; readonly words: string }

interface SinkOptions {
  readonly port?: number
  /** Decides for each mail that is offered; `attempt` counts from 1 for each recipient. */
  readonly behave?: (to: string, attempt: number) => Behaviour | Promise<Behaviour>
  /** Accepts connections and says nothing. */
  readonly isSilent?: boolean
  /** Asks who is there, and takes mails of whoever has one of these passwords. */
  readonly passwords?: ReadonlySet<string>
}

/** A real SMTP server that a test makes behave badly. */
export class SmtpSink implements AsyncDisposable {
  readonly accepted: AcceptedMail[] = []
  connections = 0
  behave: NonNullable<SinkOptions['behave']>
  readonly #attempts = new Map<string, number>()
  readonly #server: SMTPServer
  #port = 0

  private constructor({ behave = () => 'accept', isSilent = false, passwords }: SinkOptions) {
    this.behave = behave
    this.#server = new SMTPServer({
      authOptional: passwords === undefined,
      allowInsecureAuth: true,
      disabledCommands: passwords === undefined ? ['STARTTLS', 'AUTH'] : ['STARTTLS'],
      disableReverseLookup: true,
      closeTimeout: 50,
      onConnect: (_session, done) => {
        this.connections += 1
        if (!isSilent) done()
      },
      onAuth: ({ username, password }, _session, done) => {
        if (passwords?.has(password ?? '') === true) done(null, { user: username })
        else done(new Error('535 5.7.8 Wrong password'))
      },
      onRcptTo: (address, _session, done) => {
        const attempt = (this.#attempts.get(address.address) ?? 0) + 1
        this.#attempts.set(address.address, attempt)
        void this.#answerRecipient(address.address, attempt, done)
      },
      onData: (stream, session, done) => {
        const chunks: Buffer[] = []
        stream.on('data', (chunk: Buffer) => chunks.push(chunk))
        stream.on('end', () => {
          void this.#answer(Buffer.concat(chunks).toString('utf8'), session, done)
        })
      },
    })
    this.#server.on('error', () => undefined)
  }

  static async start(options: SinkOptions = {}): Promise<SmtpSink> {
    const sink = new SmtpSink(options)
    const listener = sink.#server.listen(options.port ?? 0, '127.0.0.1')
    await once(listener, 'listening')
    sink.#port = (listener.address() as AddressInfo).port
    return sink
  }

  get port(): number {
    return this.#port
  }

  get url(): string {
    return `smtp://127.0.0.1:${this.#port}`
  }

  /** How often a mail to this address was offered. */
  attempts(to: string): number {
    return this.#attempts.get(to) ?? 0
  }

  acceptedFor(to: string): AcceptedMail[] {
    return this.accepted.filter((mail) => mail.to === to)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#server.connections) socketOf(connection).destroy()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#server.close(() => resolve())
    await promise
  }

  async #answerRecipient(to: string, attempt: number, done: (error?: Error) => void): Promise<void> {
    const behaviour = await this.behave(to, attempt)
    const isRefused = typeof behaviour === 'object' && 'recipientCode' in behaviour
    done(isRefused ? Object.assign(new Error(behaviour.words), { responseCode: behaviour.recipientCode }) : undefined)
  }

  async #answer(raw: string, session: SMTPServerSession, done: (error?: Error) => void): Promise<void> {
    const to = session.envelope.rcptTo[0]?.address ?? ''
    const behaviour = await this.behave(to, this.attempts(to))
    if (behaviour === 'hang') return
    if (behaviour === 'cut') {
      for (const connection of this.#server.connections) {
        if (sessionIdOf(connection) === session.id) socketOf(connection).destroy()
      }
      return
    }
    if (typeof behaviour === 'object' && 'dataCode' in behaviour) {
      return done(Object.assign(new Error(behaviour.words), { responseCode: behaviour.dataCode }))
    }
    this.accepted.push({ to, raw, decoded: decodeMail(raw), messageId: /^Message-ID: (.+)$/im.exec(raw)?.[1] ?? '' })
    done()
  }
}

// The library's own connection objects are the only way to cut one.
function socketOf(connection: unknown): Socket {
  return (connection as { _socket: Socket })._socket
}

function sessionIdOf(connection: unknown): string {
  return (connection as { id: string }).id
}

/** Undoes quoted-printable. */
export function decodeMail(raw: string): string {
  const bytes = raw
    .replaceAll('=\r\n', '')
    .replaceAll(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
