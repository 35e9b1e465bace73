import type { Static } from 'typebox'
import { Type } from './schema.ts'
import * as problems from './problems.ts'
import { route } from './route.ts'
import { scheduledKinds, scheduleRoutes } from './schedules.ts'
import { Id, Page, Strict, Time, pageQuery } from './shapes.ts'

export const mailKinds = [
  'verify-address',
  'already-registered',
  'login-code',
  'password-reset',
  'password-changed',
  'factor-changed',
  'second-factor-failed',
  'new-sign-in',
  'order-confirmed',
  'order-rejected',
  'order-cancelled',
  'email-change',
  'email-changed',
  'abandoned-cart',
  'low-stock',
  'digest',
  ...scheduledKinds,
] as const
export type MailKind = (typeof mailKinds)[number]

/** `cancelled`: an optional mail that lost its reason or its reader before it was sent. */
export const mailStates = ['due', 'sent', 'dead', 'cancelled'] as const

export const Mail = Type.Object({
  id: Id,
  kind: Type.Enum(mailKinds),
  status: Type.Enum(mailStates),
  userId: Id,
  email: Type.Union([Type.String(), Type.Null()], { description: 'Null while the address is not known yet' }),
  attempts: Type.Integer(),
  lastError: Type.Union([Type.String(), Type.Null()]),
  createdAt: Time,
  dueAt: Time,
  sentAt: Type.Union([Time, Type.Null()]),
})
export type Mail = Static<typeof Mail>

export const notificationsRoutes = {
  listMails: route({
    id: 'notifications.listMails',
    service: 'notifications',
    method: 'GET',
    path: '/admin/notifications/mail',
    access: 'admin',
    summary: 'Mails with their status, newest first',
    query: Strict({
      ...pageQuery,
      status: Type.Optional(Type.Enum(mailStates)),
      email: Type.Optional(Type.String({ minLength: 1, maxLength: 254 })),
    }),
    responses: { 200: Page(Mail) },
  }),
  resendMail: route({
    id: 'notifications.resendMail',
    service: 'notifications',
    method: 'POST',
    path: '/admin/notifications/mail/{id}/resend',
    access: 'admin',
    summary: 'Send a dead mail again; one that is already due or sent is returned unchanged',
    params: Strict({ id: Id }),
    responses: { 200: Mail },
    problems: [problems.mailNotResendable],
    repeatable: true,
  }),
  ...scheduleRoutes,
}
