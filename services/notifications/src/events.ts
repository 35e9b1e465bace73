import {
  authEvents,
  CODE_LIFETIME_MINUTES,
  ordersEvents,
  productsEvents,
  scheduleEvents,
  type Event,
  type MailKind,
} from '@saas/contracts'
import type { MessageOf, Transaction } from '@saas/state'
import type { Content, FactsByKind, Recipient } from './content.ts'
import { applyCarts } from './carts.ts'
import { applyLowStock } from './digests.ts'
import { exportMails } from './mail-export.ts'
import { insertMails, type NewMail } from './mails.ts'
import { applyProducts, applySales } from './projections.ts'
import { applyUserChanges, applyUserDeletions } from './recipients.ts'
import { applyScheduleCancellations, applyScheduleRequests } from './schedule-requests.ts'

const MINUTE_MS = 60_000

const userEvents = [authEvents.userChanged] as const
const deletionEvents = [authEvents.userDeleted] as const
const exportRequests = [authEvents.exportRequested] as const
const productEvents = [
  productsEvents.productCreated,
  productsEvents.productChanged,
  productsEvents.productDeleted,
] as const
const saleEvents = [ordersEvents.orderConfirmed, ordersEvents.orderCancelled] as const
const cartEvents = [ordersEvents.cartChanged] as const
const stockEvents = [productsEvents.stockRanLow] as const
const requestEvents = [
  scheduleEvents.authScheduleRequested,
  scheduleEvents.productsScheduleRequested,
  scheduleEvents.ordersScheduleRequested,
] as const
const cancellationEvents = [
  scheduleEvents.authScheduleCancelled,
  scheduleEvents.productsScheduleCancelled,
  scheduleEvents.ordersScheduleCancelled,
] as const
const mailEvents = [
  authEvents.verificationRequested,
  authEvents.registrationRepeated,
  authEvents.loginCodeRequested,
  authEvents.passwordResetRequested,
  authEvents.passwordChanged,
  authEvents.factorChanged,
  authEvents.secondFactorFailed,
  authEvents.sessionOpened,
  authEvents.emailChangeRequested,
  authEvents.emailChanged,
  ordersEvents.orderConfirmed,
  ordersEvents.orderRejected,
  ordersEvents.orderCancelled,
] as const

/** Everything the durable consumer applies. */
export const consumedEvents = [
  ...userEvents,
  ...deletionEvents,
  ...exportRequests,
  ...mailEvents,
  ...productEvents,
  ...cartEvents,
  ...stockEvents,
  ...requestEvents,
  ...cancellationEvents,
] as const

export type Consumed = MessageOf<(typeof consumedEvents)[number]>
type Mailing = MessageOf<(typeof mailEvents)[number]>

/**
 * Applies a batch inside the transaction that holds its inbox rows: what is known of users and products goes by version,
 * mails and schedules never do. Returns the kinds of the mails that were written.
 */
export async function applyEvents(
  tx: Transaction,
  messages: readonly Consumed[],
  { now, cartReminderMs }: { readonly now: Date; readonly cartReminderMs: number },
): Promise<MailKind[]> {
  await applyUserChanges(tx, those(messages, userEvents), now)
  await applyProducts(tx, those(messages, productEvents))
  await applySales(tx, those(messages, saleEvents))
  await applyCarts(tx, those(messages, cartEvents), cartReminderMs)
  await applyScheduleRequests(tx, those(messages, requestEvents), now)
  await applyScheduleCancellations(tx, those(messages, cancellationEvents), now)
  const warnings = await applyLowStock(tx, those(messages, stockEvents), now)
  const mails = those(messages, mailEvents)
    .map(mailOf)
    .filter((mail) => mail !== undefined)
  const written = await insertMails(tx, [...warnings, ...mails], now)
  await exportMails(tx, those(messages, exportRequests))
  // Last, so that nothing that came with it outlives it.
  await applyUserDeletions(tx, those(messages, deletionEvents), now)
  return written
}

/** The messages of these events. */
function those<E extends Event>(messages: readonly Consumed[], events: readonly E[]): MessageOf<E>[] {
  const subjects = new Set<string>(events.map(({ subject }) => subject))
  // The subject decides what a message is; the codec has checked its data against that event.
  return messages.filter(({ subject }) => subjects.has(subject)) as unknown as MessageOf<E>[]
}

/** The one mail an event promises, or none. */
function mailOf(message: Mailing): NewMail | undefined {
  const { id, traceParent } = message
  switch (message.subject) {
    case authEvents.verificationRequested.subject: {
      const codeExpiresAt = new Date(message.time.getTime() + CODE_LIFETIME_MINUTES * MINUTE_MS).toISOString()
      const content: Content = { kind: 'verify-address', facts: { codeExpiresAt } }
      return { ...sealed(content, message.data), naturalKey: `verify-address:${id}`, traceParent }
    }
    case authEvents.emailChangeRequested.subject: {
      const codeExpiresAt = new Date(message.time.getTime() + CODE_LIFETIME_MINUTES * MINUTE_MS).toISOString()
      const content: Content = { kind: 'email-change', facts: { codeExpiresAt } }
      return { ...sealed(content, message.data), naturalKey: `email-change:${id}`, traceParent }
    }
    case authEvents.emailChanged.subject: {
      const content: Content = { kind: 'email-changed', facts: { changedAt: message.data.changedAt } }
      return { ...sealed(content, message.data), naturalKey: `email-changed:${id}`, traceParent }
    }
    case authEvents.loginCodeRequested.subject:
      return { ...sealed({ kind: 'login-code', facts: {} }, message.data), naturalKey: `login-code:${id}`, traceParent }
    case authEvents.passwordResetRequested.subject:
      return {
        ...sealed({ kind: 'password-reset', facts: {} }, message.data),
        naturalKey: `password-reset:${id}`,
        traceParent,
      }
    case authEvents.registrationRepeated.subject:
      return {
        ...plain({ kind: 'already-registered', facts: {} }, message.data),
        naturalKey: `already-registered:${id}`,
        traceParent,
      }
    case authEvents.passwordChanged.subject: {
      const { changedAt } = message.data
      return {
        ...plain({ kind: 'password-changed', facts: { changedAt } }, message.data),
        naturalKey: `password-changed:${id}`,
        traceParent,
      }
    }
    case authEvents.factorChanged.subject: {
      const { factor, change, label, changedAt } = message.data
      const content: Content = { kind: 'factor-changed', facts: { factor, change, label, changedAt } }
      return { ...plain(content, message.data), naturalKey: `factor-changed:${id}`, traceParent }
    }
    case authEvents.secondFactorFailed.subject: {
      const { device, address, failedAt } = message.data
      const content: Content = { kind: 'second-factor-failed', facts: { device, address, failedAt } }
      return { ...plain(content, message.data), naturalKey: `second-factor-failed:${id}`, traceParent }
    }
    case authEvents.sessionOpened.subject: {
      const { newDevice, sessionId, device, address, openedAt } = message.data
      // A mail for every sign-in is one that nobody reads; the very first is not a new device (see decision 0042).
      if (!newDevice) return undefined
      const content: Content = { kind: 'new-sign-in', facts: { device, address, openedAt } }
      return { ...plain(content, message.data), naturalKey: `new-sign-in:${sessionId}`, traceParent }
    }
    default:
      return { ...orderMailOf(message), traceParent }
  }
}

type Ordering = MessageOf<(typeof ordersEvents)['orderConfirmed' | 'orderRejected' | 'orderCancelled']>

/** An order is confirmed, rejected and cancelled at most once each, so its id is the key however the event is published. */
function orderMailOf(message: Ordering): Omit<NewMail, 'traceParent'> {
  const { orderId, userId, lines, total } = message.data
  const facts = { orderId, lines, total }
  const content = orderContentOf(message, facts)
  return {
    content,
    userId,
    recipient: undefined,
    secret: undefined,
    expiresAt: undefined,
    naturalKey: `${content.kind}:${orderId}`,
  }
}

function orderContentOf(message: Ordering, facts: FactsByKind['order-confirmed']): Content {
  const { subject } = message
  if (subject === ordersEvents.orderConfirmed.subject) return { kind: 'order-confirmed', facts }
  if (subject === ordersEvents.orderCancelled.subject) return { kind: 'order-cancelled', facts }
  return { kind: 'order-rejected', facts: { ...facts, reason: message.data.reason } }
}

function plain(content: Content, data: Recipient & { userId: string }): Omit<NewMail, 'naturalKey' | 'traceParent'> {
  const { userId, email, name, language } = data
  return { content, userId, recipient: { email, name, language }, secret: undefined, expiresAt: undefined }
}

function sealed(
  content: Content,
  data: Recipient & { userId: string; secret: string; expiresAt: string },
): Omit<NewMail, 'naturalKey' | 'traceParent'> {
  return { ...plain(content, data), secret: data.secret, expiresAt: new Date(data.expiresAt) }
}
