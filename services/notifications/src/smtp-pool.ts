import type { Duplex, Readable } from 'node:stream'
import SMTPConnection, { type SMTPConnectionOptions } from 'nodemailer/lib/smtp-connection'
import { parseConnectionUrl } from 'nodemailer/lib/shared'
import type { Message } from './message.ts'

const CONNECTION_MAILS_MAX = 1_000
const END_OF_MAIL = Buffer.from('.\r\n')
/** Servers end connections that lie idle, and sometimes in the moment in which one is used. */
const STALE_CONNECTION_RETRIES_MAX = 1

/** What nodemailer says of a failure. */
export interface SmtpError extends Error {
  readonly code?: string
  readonly command?: string
  readonly response?: string
  readonly responseCode?: number
  readonly permanent?: boolean
}

/** A mail that was not accepted, as far as anybody knows. */
export class NotAccepted extends Error {
  override readonly cause: SmtpError
  /** The server asked for the mail itself, so it may have all of it. */
  readonly isHandedOver: boolean

  constructor(cause: SmtpError, isHandedOver: boolean) {
    super(cause.message)
    this.cause = cause
    this.isHandedOver = isHandedOver
  }
}

export interface SmtpPoolOptions {
  /** `smtp:` or `smtps:`, with user, password and nodemailer's settings as query. */
  readonly url: string
  /** For connecting, and for each answer before the mail itself. */
  readonly connectTimeoutMs: number
  /** For one mail, from connecting to the server's last answer. */
  readonly sendTimeoutMs: number
}

/**
 * Connections to one server, each with one mail at a time. It opens one whenever none is free: who calls it decides how many
 * mails are under way.
 *
 * Nodemailer's connections speak the protocol, pipelined where the server can (RFC 2920). Its own pool made the mail anew
 * from streams: 560 µs of CPU for a finished mail of 8 kB instead of 230, and 1,500 when it was composed there as well.
 */
export class SmtpPool implements Disposable {
  readonly #options: SmtpPoolOptions
  readonly #idle = new Set<Session>()
  readonly #all = new Set<Session>()
  #isClosed = false

  constructor(options: SmtpPoolOptions) {
    this.#options = options
  }

  /**
   * Resolves to the server's words when it accepted the mail.
   *
   * @throws {NotAccepted} when it refused, failed or was late.
   */
  async send(message: Message): Promise<string> {
    for (let retries = 0; ; retries += 1) {
      const session = this.#take()
      const wasUsed = session.mails > 0
      try {
        return await session.send(message)
      } catch (error) {
        const { isHandedOver, cause } = error as NotAccepted
        if (!wasUsed || isHandedOver || !isConnectionEnd(cause) || retries === STALE_CONNECTION_RETRIES_MAX) throw error
      } finally {
        void this.#giveBack(session)
      }
    }
  }

  [Symbol.dispose](): void {
    this.#isClosed = true
    for (const session of this.#all) session.close()
  }

  #take(): Session {
    for (const session of this.#idle) {
      this.#idle.delete(session)
      if (session.isUsable) return session
      this.#all.delete(session)
    }
    const session = new Session(this.#options)
    this.#all.add(session)
    return session
  }

  /** Who sent is told at once; only the connection waits until it can be used again. */
  async #giveBack(session: Session): Promise<void> {
    await session.cleared
    if (session.isUsable && session.mails < CONNECTION_MAILS_MAX && !this.#isClosed) {
      this.#idle.add(session)
      return
    }
    session.close()
    this.#all.delete(session)
  }
}

/** The server said that it closes the connection, or just did. */
function isConnectionEnd({ code, responseCode }: SmtpError): boolean {
  return responseCode === 421 || (responseCode === undefined && (code === 'ECONNECTION' || code === 'ESOCKET'))
}

/** One connection, from the greeting to its end. */
class Session {
  readonly #connection: SMTPConnection
  readonly #options: SmtpPoolOptions
  readonly #auth: { user: string; pass: string } | undefined
  #isSignedIn = false
  /** Resolved when the server has forgotten a mail that it refused, or the connection is closed. */
  cleared: Promise<void> = Promise.resolve()
  mails = 0

  constructor(options: SmtpPoolOptions) {
    const { url, connectTimeoutMs, sendTimeoutMs } = options
    const settings = parseConnectionUrl(url) as SMTPConnectionOptions & { auth?: { user: string; pass: string } }
    this.#options = options
    this.#auth = settings.auth
    this.#connection = new SMTPConnection({
      ...settings,
      dnsTimeout: connectTimeoutMs,
      connectionTimeout: connectTimeoutMs,
      greetingTimeout: connectTimeoutMs,
      socketTimeout: sendTimeoutMs,
    })
    // Whoever waits is told by a call back; an idle connection that ends is noticed when it is to be used.
    this.#connection.on('error', () => undefined)
  }

  get isUsable(): boolean {
    return this.#isSignedIn && !this.#connection.destroyed
  }

  close(): void {
    this.#connection.close()
  }

  async send(message: Message): Promise<string> {
    const progress = { isHandedOver: false }
    const late = Promise.withResolvers<never>()
    const timer = setTimeout(() => {
      this.close()
      late.reject(Object.assign(new Error('The mail server is late'), { code: 'ETIMEDOUT' }))
    }, this.#options.sendTimeoutMs)
    try {
      return await Promise.race([this.#sendInTime(message, progress), late.promise])
    } catch (error) {
      throw new NotAccepted(error as SmtpError, progress.isHandedOver)
    } finally {
      clearTimeout(timer)
    }
  }

  async #sendInTime(message: Message, progress: { isHandedOver: boolean }): Promise<string> {
    if (!this.#isSignedIn) await this.#signIn()
    this.mails += 1
    try {
      return await this.#transfer(message, progress)
    } catch (error) {
      // The server refused this mail; the connection is as good as before once it has forgotten it.
      const { code, responseCode } = error as SmtpError
      if ((code === 'EENVELOPE' || code === 'EMESSAGE') && responseCode !== 421) this.cleared = this.#reset()
      else this.close()
      throw error
    }
  }

  async #signIn(): Promise<void> {
    const connection = this.#connection
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    connection.once('error', reject)
    connection.once('end', () => reject(Object.assign(new Error('Connection closed'), { code: 'ECONNECTION' })))
    connection.connect((error) => {
      if (error) return reject(error)
      const auth = this.#auth
      if (auth === undefined || !connection.allowsAuth) return resolve()
      connection.login({ user: auth.user, credentials: auth }, (refusal) => (refusal ? reject(refusal) : resolve()))
    })
    try {
      await promise
      this.#isSignedIn = true
    } catch (error) {
      this.close()
      throw error
    } finally {
      connection.removeListener('error', reject)
    }
  }

  async #transfer({ envelope, raw }: Message, progress: { isHandedOver: boolean }): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    // All that is asked of a stream here is to be piped, and that happens when the server asked for the mail. The mail goes out at
    // the other end of nodemailer's stream, past its search for dots and bare line ends in each byte: it has none.
    const body = {
      pipe: (stream: Duplex) => {
        progress.isHandedOver = true
        stream.push(raw)
        stream.push(END_OF_MAIL)
        stream.push(null)
        return stream
      },
    }
    this.#connection.send({ from: envelope.from, to: [...envelope.to] }, body as unknown as Readable, (error, info) => {
      if (error) reject(error)
      else resolve(info.response)
    })
    return await promise
  }

  /** Never fails: a server that does not answer to it loses the connection. */
  async #reset(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const late = setTimeout(() => this.close(), this.#options.connectTimeoutMs)
    this.#connection.once('end', resolve)
    this.#connection.reset((error) => {
      if (error) this.close()
      resolve()
    })
    await promise
    clearTimeout(late)
    this.#connection.removeListener('end', resolve)
  }
}
