import type { Clock } from '@saas/config'
import type { Logger } from '@saas/http'
import { singleLine } from './address.ts'
import { Circuit } from './circuit.ts'
import type { Message } from './message.ts'
import { SmtpPool, type NotAccepted } from './smtp-pool.ts'

/** How many mails a replica sends at once, over as many connections to each server. */
export const SENDING_MAX = 10

/** What became of one attempt. The words are the server's own where it said any. */
export type Outcome =
  | { readonly result: 'accepted'; readonly words: string }
  /** Permanently, and because of the mail: another attempt would get the same answer. */
  | { readonly result: 'refused'; readonly words: string }
  /** For the time being: because of the mail (greylisting, a full mailbox) or of every server. */
  | { readonly result: 'failed'; readonly words: string }
  /** Nothing was tried: every server is out of use. */
  | { readonly result: 'untried'; readonly words: string }

interface Server {
  readonly name: string
  readonly pool: SmtpPool
  readonly circuit: Circuit
}

export interface SmtpOptions {
  readonly urls: readonly string[]
  /** For connecting, and for each answer before the mail itself. */
  readonly connectTimeoutMs: number
  /** For one attempt at one server, from connecting to its last answer. */
  readonly sendTimeoutMs: number
  readonly clock: Clock
  readonly logger: Logger
  /** Told of each attempt at a server and what came of it. */
  readonly onAttempt?: (server: string, outcome: string, seconds: number) => void
}

/** The mail servers, in the order in which they are preferred. */
export class SmtpServers implements Disposable {
  readonly #servers: readonly Server[]
  readonly #options: SmtpOptions

  constructor(options: SmtpOptions) {
    this.#options = options
    this.#servers = options.urls.map((url) => ({
      name: new URL(url).host,
      pool: new SmtpPool({ url, ...options }),
      circuit: new Circuit(),
    }))
  }

  /** How many mails may be under way now: none while every server is out of use, one to see whether one is back. */
  capacity(): number {
    const now = this.#options.clock.now()
    const states = new Set(this.#servers.map(({ circuit }) => circuit.state(now)))
    if (states.has('closed')) return SENDING_MAX
    return states.has('half-open') ? 1 : 0
  }

  /**
   * Sends to the first server that takes it. The next one is asked only while nothing of the mail was handed over: a
   * server that was cut after that may have accepted it.
   */
  async send(message: Message): Promise<Outcome> {
    let words: string | undefined
    for (const server of this.#servers) {
      if (!server.circuit.enter(this.#options.clock.now())) continue
      const attempt = await this.#attempt(server, message)
      if (attempt.result !== 'server-failed') return attempt
      words = attempt.words
      if (attempt.isHandedOver) break
    }
    if (words !== undefined) return { result: 'failed', words }
    return { result: 'untried', words: 'every mail server is out of use after repeated failures' }
  }

  async #attempt(server: Server, message: Message): Promise<Outcome | ServerFailure> {
    const { clock, logger, onAttempt } = this.#options
    const startedAt = performance.now()
    const wasOpen = server.circuit.state(clock.now()) !== 'closed'
    const outcome = await server.pool.send(message).then(
      (words): Outcome => ({ result: 'accepted', words }),
      (error: unknown) => classify(error as NotAccepted),
    )
    onAttempt?.(server.name, outcome.result, (performance.now() - startedAt) / 1_000)
    if (outcome.result === 'server-failed') {
      server.circuit.failed(clock.now())
      const isOpen = server.circuit.state(clock.now()) === 'open'
      logger.warn({ server: server.name, problem: outcome.words, isOpen }, 'A mail server failed')
    } else {
      server.circuit.succeeded()
      if (wasOpen) logger.info({ server: server.name }, 'A mail server is back')
    }
    return outcome
  }

  [Symbol.dispose](): void {
    for (const { pool } of this.#servers) pool[Symbol.dispose]()
  }
}

interface ServerFailure {
  readonly result: 'server-failed'
  readonly words: string
  readonly isHandedOver: boolean
}

// The server wants a sign-in or encryption first: our configuration is wrong, not the mail.
const sessionRefusals: ReadonlySet<number> = new Set([421, 530, 534, 535, 538])

/** Tells what concerns the mail, which another attempt cannot help or time may, from what concerns the server. */
function classify({ cause, isHandedOver }: NotAccepted): Outcome | ServerFailure {
  const { code, command, response, responseCode, permanent, message } = cause
  const words = singleLine(response ?? message)
  const concernsMail = code === 'EENVELOPE' || code === 'EMESSAGE'
  // Nodemailer's own refusal; what the server said without a code is no answer.
  if (concernsMail && responseCode === undefined && response === undefined) return { result: 'refused', words }
  // Who sends is the same for all mails.
  if (concernsMail && command !== 'MAIL FROM' && responseCode !== undefined && !sessionRefusals.has(responseCode)) {
    return { result: permanent === true ? 'refused' : 'failed', words }
  }
  return { result: 'server-failed', words, isHandedOver: isHandedOver && responseCode === undefined }
}
