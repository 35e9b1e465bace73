import { setTimeout as wait } from 'node:timers/promises'
import { Outage, type Clock } from '@saas/config'
import type { MailSecret } from '@saas/contracts'
import { signUnsubscribe, STOP_DEADLINE_MS, type Logger } from '@saas/http'
import { addressDelayMs, retryDelayMs } from './backoff.ts'
import { isOptional, type Recipient } from './content.ts'
import type { ClaimedMail, Mails } from './mails.ts'
import { Composer, type Message, type Sender } from './message.ts'
import type { MailMetrics } from './metrics.ts'
import { DOMAIN_SENDING_MAX, Places } from './places.ts'
import type { Presence } from './presence.ts'
import { quietUntil, type QuietHours } from './quiet-hours.ts'
import { openSecret } from './secret.ts'
import type { Outcome, SmtpServers } from './smtp.ts'
import type { Templates } from './templates.ts'
import { viewOf, type Shop } from './view.ts'

/**
 * How many mails a replica holds for each that it may send at once, so that a place that becomes free is taken at once. No
 * more: what a killed replica holds lies still until its lease ends.
 */
const HAND_PER_PLACE = 3
/** With those whose outcome is being written: the database sets the pace when it is the slower one. */
const HAND_MAX = 500
const POLL_MS = 1_000
const UNTRIED_PAUSE_MS = 1_000
const FAILURE_PAUSE_MS = 2_000
const RECORD_RETRY_MS = 200
/** Clocks of replicas differ by up to a minute; a lease outlives that, and the sending itself, with room to spare. */
const CLOCK_ERROR_MS_MAX = 60_000
const LEASE_RESERVE_MS = 30_000

export interface CourierOptions {
  readonly mails: Mails
  readonly smtp: SmtpServers
  readonly templates: Templates
  readonly sender: Sender
  readonly shop: Shop
  readonly secretKey: Uint8Array
  /** While the other is being replaced. */
  readonly secretKeyAccepted: Uint8Array | undefined
  readonly quiet?: QuietHours | undefined
  /** The longest one attempt over all servers takes. */
  readonly sendTimeoutMs: number
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: MailMetrics
  readonly presence: Presence
  readonly random?: () => number
}

/**
 * Sends what is due: at once when nudged, and every second what is due by then. Any number of replicas may run; a row
 * lock and a lease decide whose a mail is. What a courier held that was killed is let go when the others find it silent, at the
 * latest when the lease ends.
 */
export class Courier implements AsyncDisposable {
  readonly #options: CourierOptions
  readonly #leaseMs: number
  readonly #places: Places
  readonly #composer: Composer
  readonly #claiming: Outage
  readonly #recording: Outage
  readonly #stopping = new AbortController()
  readonly #abandoned = new AbortController()
  /** What was claimed and not concluded, and how much of it has not been tried yet. */
  readonly #hand = new Set<Promise<void>>()
  #untried = 0
  #nudged = Promise.withResolvers<void>()
  #polled: Promise<void> | undefined
  #expiredAtMs = 0
  #running: Promise<void> | undefined
  #stopped: Promise<void> | undefined

  constructor(options: CourierOptions) {
    this.#options = options
    this.#leaseMs = options.sendTimeoutMs + CLOCK_ERROR_MS_MAX + LEASE_RESERVE_MS
    this.#composer = new Composer(options.sender)
    this.#places = new Places(() => options.smtp.capacity())
    this.#claiming = new Outage(options.logger, {
      begun: 'Mails could not be claimed',
      over: 'Mails are claimed again',
    })
    this.#recording = new Outage(options.logger, {
      begun: 'What became of mails could not be recorded yet',
      over: 'What becomes of mails is recorded again',
    })
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Says that a mail may be due: it is looked for now instead of within a second. */
  nudge(): void {
    this.#nudged.resolve()
  }

  /** Claims nothing more, gives back what waits, and finishes what is being sent by the deadline; the same promise for every caller. */
  async stop(): Promise<void> {
    this.#stopped ??= this.#finish()
    await this.#stopped
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #finish(): Promise<void> {
    const finished = new AbortController()
    const late = wait(STOP_DEADLINE_MS, undefined, { signal: finished.signal }).catch(() => undefined)
    this.#stopping.abort()
    this.#places.close()
    await this.#running
    await Promise.race([Promise.all(this.#hand), late])
    finished.abort()
    this.#abandoned.abort()
  }

  async #run(): Promise<void> {
    const { clock } = this.#options
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        await this.#sendDue()
        this.#claiming.worked()
        // Nudges come with every mail; the sleep that the last of them cut short serves on.
        this.#polled ??= clock
          .sleep(POLL_MS, signal)
          .catch(() => undefined)
          .finally(() => (this.#polled = undefined))
        await Promise.race([this.#nudged.promise, this.#polled])
      } catch (error) {
        this.#claiming.failed(error)
        // After an outage whoever holds a mail that was accepted records it first; only then others look for work.
        await wait(FAILURE_PAUSE_MS, undefined, { signal }).catch(() => undefined)
      }
    }
  }

  /** Takes what is due into hand, until nothing is or the hand is full. */
  async #sendDue(): Promise<void> {
    const { mails, smtp, clock, presence } = this.#options
    this.#nudged = Promise.withResolvers()
    await this.#expire()
    while (!this.#stopping.signal.aborted) {
      const handMax = smtp.capacity() * HAND_PER_PLACE
      // More are claimed when half of them are gone: a claim costs as much for one mail as for twenty.
      if (!presence.isFresh || handMax === 0 || this.#untried > handMax / 2 || this.#hand.size > HAND_MAX) return
      const room = handMax - this.#untried
      const now = clock.now()
      const leaseEndsAt = new Date(now.getTime() + this.#leaseMs)
      const claimed = await mails.claim(presence.id, room, this.#places.fullDomains(), now, leaseEndsAt)
      for (const mail of claimed) this.#take(mail, now)
      if (claimed.length < Math.min(room, DOMAIN_SENDING_MAX)) return
    }
  }

  #take(mail: ClaimedMail, claimedAt: Date): void {
    this.#untried += 1
    const taken = this.#deliver(mail, claimedAt)
      .catch((error: unknown) =>
        this.#options.logger.error({ err: error, mailId: mail.id }, 'A mail was left to its lease'),
      )
      .finally(() => {
        this.#hand.delete(taken)
        this.nudge()
      })
    this.#hand.add(taken)
  }

  async #deliver(mail: ClaimedMail, claimedAt: Date): Promise<void> {
    const conclude = await this.#decide(mail, claimedAt).finally(() => {
      this.#untried -= 1
      this.nudge()
    })
    await conclude()
  }

  /** Sends it, or finds out why not. Resolves to the writing down of what came of it. */
  async #decide(mail: ClaimedMail, claimedAt: Date): Promise<() => Promise<void>> {
    const { mails, clock, quiet } = this.#options
    const { recipient, withdrawn, content, zone } = mail
    if (withdrawn !== undefined) return async () => await this.#cancel(mail, withdrawn)
    if (recipient === undefined) return async () => await this.#waitForAddress(mail, clock.now())
    const heldUntil = isOptional(content.kind) ? quietUntil(quiet, zone, clock.now()) : undefined
    if (heldUntil !== undefined) {
      return async () => await this.#record(() => mails.waitUntil(mail, heldUntil, 'waits for the end of quiet hours'))
    }
    const domain = domainOf(recipient.email)
    if (!(await this.#places.enter(domain, LEASE_RESERVE_MS))) {
      return async () => await this.#conclude(mail, recipient, { result: 'untried', words: 'waits for a place' })
    }
    try {
      const outcome = await this.#attempt(mail, recipient, claimedAt)
      return async () => await this.#conclude(mail, recipient, outcome)
    } finally {
      this.#places.leave(domain)
    }
  }

  async #attempt(mail: ClaimedMail, recipient: Recipient, claimedAt: Date): Promise<Outcome> {
    const { clock, secretKey, secretKeyAccepted, smtp, presence } = this.#options
    const now = clock.now()
    let secret: MailSecret | undefined
    try {
      secret = mail.secret === undefined ? undefined : await openSecret(mail.secret, secretKey, secretKeyAccepted)
    } catch (error) {
      // A wrong MAIL_SECRET_KEY can be put right; until then, or until the code expires, the mail is kept.
      return { result: 'failed', words: `the secret cannot be opened: ${messageOfError(error)}` }
    }
    let message
    try {
      message = this.#compose(mail, recipient, secret, now)
    } catch (error) {
      return { result: 'refused', words: `the mail cannot be made: ${messageOfError(error)}` }
    }
    // A process that was stopped in between must not send what by now may be another's.
    if (!presence.isFresh || clock.now().getTime() - claimedAt.getTime() > LEASE_RESERVE_MS) {
      return { result: 'untried', words: 'was held for too long' }
    }
    return await smtp.send(message)
  }

  #compose(mail: ClaimedMail, recipient: Recipient, secret: MailSecret | undefined, now: Date): Message {
    const { templates, shop, secretKey } = this.#options
    const { content, zone, expiresAt, userId } = mail
    const { kind } = content
    const unsubscribeToken = isOptional(kind) ? signUnsubscribe({ userId, kind }, secretKey) : undefined
    const language = templates.languageOf(content, recipient.language)
    const view = viewOf({ content, recipient, language, zone, secret, expiresAt, unsubscribeToken }, shop, now)
    const rendered = templates.render(kind, language, view)
    const url = unsubscribeToken === undefined ? undefined : `${shop.url}/auth/unsubscribe/${unsubscribeToken}`
    return this.#composer.compose(mail.id, recipient.email, rendered, now, url)
  }

  async #conclude(mail: ClaimedMail, recipient: Recipient, outcome: Outcome): Promise<void> {
    const { mails, clock, logger, metrics } = this.#options
    const { kind } = mail.content
    const line = { mailId: mail.id, kind, attempts: mail.attempts, traceParent: mail.traceParent }
    const now = clock.now()
    switch (outcome.result) {
      case 'accepted': {
        const waitedMs = now.getTime() - mail.createdAt.getTime()
        await this.#record(() => mails.markSent(mail, recipient, now))
        metrics.count(kind, 'sent')
        metrics.observeWait(kind, waitedMs / 1_000)
        logger.info({ ...line, waitedMs }, 'Mail sent')
        return
      }
      case 'refused':
        await this.#bury(mail, outcome.words, now)
        logger.warn({ ...line, words: outcome.words }, 'Mail refused for good')
        return
      case 'failed':
        await this.#putOff(mail, outcome.words, now)
        logger.info({ ...line, words: outcome.words }, 'Mail not sent yet')
        return
      case 'untried': {
        const dueAt = new Date(now.getTime() + UNTRIED_PAUSE_MS)
        await this.#record(() => mails.waitUntil(mail, dueAt, outcome.words))
      }
    }
  }

  async #cancel(mail: ClaimedMail, words: string): Promise<void> {
    const { mails, clock, metrics } = this.#options
    await this.#record(() => mails.markCancelled(mail, words, clock.now()))
    metrics.count(mail.content.kind, 'cancelled')
  }

  async #bury(mail: ClaimedMail, words: string, now: Date): Promise<void> {
    await this.#record(() => this.#options.mails.markDead(mail, words, now))
    this.#options.metrics.count(mail.content.kind, 'dead')
  }

  /** Tries again later; at the end of the 48 hours once more, then never. */
  async #putOff(mail: ClaimedMail, words: string, now: Date): Promise<void> {
    const { mails, metrics, random = Math.random } = this.#options
    metrics.count(mail.content.kind, 'failed')
    if (now >= mail.givesUpAt) return await this.#bury(mail, `given up after 48 hours: ${words}`, now)
    const dueAt = new Date(Math.min(now.getTime() + retryDelayMs(mail.attempts, random()), mail.givesUpAt.getTime()))
    await this.#record(() => mails.retryAt(mail, dueAt, words))
  }

  async #waitForAddress(mail: ClaimedMail, now: Date): Promise<void> {
    const { mails } = this.#options
    if (now >= mail.givesUpAt) return await this.#bury(mail, 'the user was never heard of', now)
    const dueAt = new Date(now.getTime() + addressDelayMs(now.getTime() - mail.createdAt.getTime()))
    await this.#record(() => mails.waitUntil(mail, dueAt, 'waits for the address of the user'))
  }

  /** Once a poll: nudges come with every mail that was sent. */
  async #expire(): Promise<void> {
    const { mails, clock, metrics } = this.#options
    const now = clock.now()
    if (Math.abs(now.getTime() - this.#expiredAtMs) < POLL_MS) return
    for (const kind of await mails.expire(now)) metrics.count(kind, 'dead')
    this.#expiredAtMs = now.getTime()
  }

  /** What became of a mail is written however long it takes: forgetting it would send the mail again. */
  async #record(write: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        await write()
        this.#recording.worked()
        return
      } catch (error) {
        if (this.#abandoned.signal.aborted) throw error
        this.#recording.failed(error)
        await wait(RECORD_RETRY_MS)
      }
    }
  }
}

function messageOfError(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function domainOf(email: string): string {
  return email.slice(email.lastIndexOf('@') + 1).toLowerCase()
}
