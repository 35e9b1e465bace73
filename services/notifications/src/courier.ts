import { setTimeout as wait } from 'node:timers/promises'
import type { Clock } from '@saas/config'
import type { MailSecret } from '@saas/contracts'
import type { Logger } from '@saas/http'
import { addressDelayMs, retryDelayMs } from './backoff.ts'
import type { Recipient } from './content.ts'
import type { ClaimedMail, Mails } from './mails.ts'
import { messageOf, type Sender } from './message.ts'
import { openSecret } from './secret.ts'
import type { Outcome, SmtpServers } from './smtp.ts'
import type { Templates } from './templates.ts'
import { viewOf, type Shop } from './view.ts'

const POLL_MS = 1_000
const FAILURE_PAUSE_MS = 2_000
const RECORD_RETRY_MS = 200
/** Clocks of replicas differ by up to a minute; a lease outlives that, and the sending itself, with room to spare. */
const CLOCK_ERROR_MS_MAX = 60_000
const LEASE_RESERVE_MS = 30_000
/** Kubernetes kills after 30 seconds. */
const STOP_MS_MAX = 25_000

export interface CourierOptions {
  readonly mails: Mails
  readonly smtp: SmtpServers
  readonly templates: Templates
  readonly sender: Sender
  readonly shop: Shop
  readonly secretKey: Uint8Array
  /** The longest one attempt over all servers takes. */
  readonly sendTimeoutMs: number
  readonly clock: Clock
  readonly logger: Logger
  readonly random?: () => number
}

/**
 * Sends what is due: at once when nudged, and every second what is due by then. Any number of replicas may run; a row
 * lock and a lease decide whose a mail is. A courier that was killed holds its mails until the lease ends.
 */
export class Courier implements AsyncDisposable {
  readonly #options: CourierOptions
  readonly #leaseMs: number
  readonly #stopping = new AbortController()
  readonly #abandoned = new AbortController()
  readonly #sending = new Set<Promise<void>>()
  #nudged = Promise.withResolvers<void>()
  #expiredAtMs = 0
  #running: Promise<void> | undefined

  constructor(options: CourierOptions) {
    this.#options = options
    this.#leaseMs = options.sendTimeoutMs + CLOCK_ERROR_MS_MAX + LEASE_RESERVE_MS
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Says that a mail may be due: it is looked for now instead of within a second. */
  nudge(): void {
    this.#nudged.resolve()
  }

  /** Claims nothing more and finishes what is being sent. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    await this.#running
    const finished = new AbortController()
    const late = wait(STOP_MS_MAX, undefined, { signal: finished.signal }).catch(() => undefined)
    await Promise.race([Promise.all(this.#sending), late])
    finished.abort()
    this.#abandoned.abort()
  }

  async #run(): Promise<void> {
    const { clock, logger } = this.#options
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        await this.#sendDue()
        const polled = clock.sleep(POLL_MS, signal).catch(() => undefined)
        await Promise.race([this.#nudged.promise, polled])
      } catch (error) {
        logger.warn({ err: error }, 'Mails could not be claimed')
        // After an outage whoever holds a mail that was accepted records it first; only then others look for work.
        await wait(FAILURE_PAUSE_MS, undefined, { signal }).catch(() => undefined)
      }
    }
  }

  /** Starts sending as many mails as there are free places, each at once: none is claimed to wait. */
  async #sendDue(): Promise<void> {
    const { mails, smtp, clock } = this.#options
    this.#nudged = Promise.withResolvers()
    await this.#expire()
    for (;;) {
      const free = smtp.capacity() - this.#sending.size
      if (free <= 0 || this.#stopping.signal.aborted) return
      const now = clock.now()
      const claimed = await mails.claim(free, now, new Date(now.getTime() + this.#leaseMs))
      for (const mail of claimed) this.#send(mail, now)
      if (claimed.length < free) return
    }
  }

  #send(mail: ClaimedMail, claimedAt: Date): void {
    const sending = this.#deliver(mail, claimedAt)
      .catch((error: unknown) =>
        this.#options.logger.error({ err: error, mailId: mail.id }, 'A mail was left to its lease'),
      )
      .finally(() => {
        this.#sending.delete(sending)
        this.nudge()
      })
    this.#sending.add(sending)
  }

  async #deliver(mail: ClaimedMail, claimedAt: Date): Promise<void> {
    const { mails, clock, secretKey } = this.#options
    const now = clock.now()
    if (mail.recipient === undefined) return await this.#waitForAddress(mail, now)
    let secret: MailSecret | undefined
    try {
      secret = mail.secret === undefined ? undefined : await openSecret(mail.secret, secretKey)
    } catch (error) {
      // A wrong MAIL_SECRET_KEY can be put right; until then, or until the code expires, the mail is kept.
      return await this.#putOff(mail, `the secret cannot be opened: ${messageOfError(error)}`)
    }
    let message
    try {
      message = this.#compose(mail, mail.recipient, secret, now)
    } catch (error) {
      return await this.#record(() => mails.markDead(mail, `the mail cannot be made: ${messageOfError(error)}`))
    }
    // A process that was stopped in between must not send what by now may be another's.
    if (clock.now().getTime() - claimedAt.getTime() > LEASE_RESERVE_MS) return
    await this.#conclude(mail, mail.recipient, await this.#options.smtp.send(message))
  }

  #compose(mail: ClaimedMail, recipient: Recipient, secret: MailSecret | undefined, now: Date) {
    const { templates, shop, sender } = this.#options
    const { content, zone, expiresAt } = mail
    const view = viewOf({ content, recipient, zone, secret, expiresAt }, shop, now)
    const rendered = templates.render(content.kind, recipient.language, view)
    return messageOf(mail.id, recipient.email, rendered, sender, now)
  }

  async #conclude(mail: ClaimedMail, recipient: Recipient, outcome: Outcome): Promise<void> {
    const { mails, clock, logger } = this.#options
    const line = { mailId: mail.id, kind: mail.content.kind, attempts: mail.attempts, traceParent: mail.traceParent }
    switch (outcome.result) {
      case 'accepted':
        await this.#record(() => mails.markSent(mail, recipient, clock.now()))
        logger.info({ ...line, waitedMs: clock.now().getTime() - mail.createdAt.getTime() }, 'Mail sent')
        return
      case 'refused':
        await this.#record(() => mails.markDead(mail, outcome.words))
        logger.warn({ ...line, words: outcome.words }, 'Mail refused for good')
        return
      case 'failed':
        await this.#putOff(mail, outcome.words)
        logger.info({ ...line, words: outcome.words }, 'Mail not sent yet')
    }
  }

  /** Tries again later; at the end of the 48 hours once more, then never. */
  async #putOff(mail: ClaimedMail, reason: string): Promise<void> {
    const { mails, clock, random = Math.random } = this.#options
    const now = clock.now()
    if (now >= mail.givesUpAt)
      return await this.#record(() => mails.markDead(mail, `given up after 48 hours: ${reason}`))
    const dueAt = new Date(Math.min(now.getTime() + retryDelayMs(mail.attempts, random()), mail.givesUpAt.getTime()))
    await this.#record(() => mails.retryAt(mail, dueAt, reason))
  }

  async #waitForAddress(mail: ClaimedMail, now: Date): Promise<void> {
    const { mails } = this.#options
    if (now >= mail.givesUpAt) return await this.#record(() => mails.markDead(mail, 'the user was never heard of'))
    const dueAt = new Date(now.getTime() + addressDelayMs(now.getTime() - mail.createdAt.getTime()))
    await this.#record(() => mails.waitUntil(mail, dueAt, 'waits for the address of the user'))
  }

  /** Once a poll: nudges come with every mail that was sent. */
  async #expire(): Promise<void> {
    const { mails, clock } = this.#options
    const now = clock.now()
    if (Math.abs(now.getTime() - this.#expiredAtMs) < POLL_MS) return
    await mails.expire(now)
    this.#expiredAtMs = now.getTime()
  }

  /** What became of a mail is written however long it takes: forgetting it would send the mail again. */
  async #record(write: () => Promise<void>): Promise<void> {
    for (let failures = 0; ; failures += 1) {
      try {
        return await write()
      } catch (error) {
        if (this.#abandoned.signal.aborted) throw error
        if (failures === 0) this.#options.logger.warn({ err: error }, 'What became of a mail could not be recorded yet')
        await wait(RECORD_RETRY_MS)
      }
    }
  }
}

function messageOfError(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
