import type { Static, TOptional, TSchema } from 'typebox'
import { Type } from './schema.ts'
import { roles } from './access.ts'
import { event } from './event.ts'
import * as problems from './problems.ts'
import { route, type ServiceName } from './route.ts'
import { languages } from './languages.ts'
import {
  Id,
  IdParams,
  Page,
  Strict,
  Time,
  Zone,
  fallbackLanguage,
  pageQuery,
  type FallbackLanguage,
  type Language,
} from './shapes.ts'

/** What becomes of occurrences that nobody fired in time: the last one, all of them, or none. */
const catchUpPolicies = ['once', 'all', 'skip'] as const
export type CatchUp = (typeof catchUpPolicies)[number]

/** The most occurrences that `all` fires after an outage; older ones are left out. */
export const CATCH_UP_MAX = 100
const SCHEDULED_USERS_MAX = 1_000

const scheduleStates = ['active', 'paused', 'cancelled', 'done'] as const
export const scheduledKinds = ['daily-sales', 'new-products', 'announcement'] as const
export type ScheduledKind = (typeof scheduledKinds)[number]

const notBlank = { minLength: 1, pattern: '^$|\\S', description: 'Text that is not blank' }
const Announcement = {
  title: Type.String({ ...notBlank, maxLength: 70 }),
  text: Type.String({ ...notBlank, maxLength: 5_000 }),
}
type InLanguages<S extends TSchema> = Record<FallbackLanguage, S> &
  Record<Exclude<Language, FallbackLanguage>, TOptional<S>>

/** Whoever reads none of the languages it is in gets it in the fallback language, so that a new language breaks nobody's requests. */
function inLanguages<S extends TSchema>(words: S): InLanguages<S> {
  const properties = languages.map((language) => [
    language,
    language === fallbackLanguage ? words : Type.Optional(words),
  ])
  return Object.fromEntries(properties) as InLanguages<S>
}

const cron = Type.String({
  maxLength: 100,
  pattern: '^\\S+( \\S+){4}$',
  description: 'Minute, hour, day, month, weekday; at most once on a day',
  examples: ['0 7 * * 1'],
})
const at = Type.String({
  pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}$',
  description: 'Local date and time of a schedule that fires once',
  examples: ['2026-12-24T08:00'],
})
const zone = Type.Union([Zone, Type.Null()], { description: 'IANA zone; null: the zone of each user' })
const Name = Type.String({ minLength: 1, maxLength: 100 })
const Roles = Type.Union([Type.Array(Type.Enum(roles), { minItems: 1, maxItems: roles.length }), Type.Null()], {
  description: 'Who it is for; null: everybody with a verified address',
})

const terms = {
  name: Name,
  cron: Type.Optional(cron),
  at: Type.Optional(at),
  zone,
  catchUp: Type.Enum(catchUpPolicies),
  roles: Roles,
}

/** An announcement at a time or again and again; exactly one of `cron` and `at`. */
export const NewSchedule = Strict({
  ...terms,
  announcement: Strict(inLanguages(Strict(Announcement))),
})
export type NewSchedule = Static<typeof NewSchedule>

export const Schedule = Type.Object({
  id: Id,
  name: Name,
  kind: Type.Enum(scheduledKinds),
  origin: Type.Enum(['configuration', 'event', 'operator']),
  cron: Type.Union([cron, Type.Null()]),
  at: Type.Union([at, Type.Null()]),
  zone,
  catchUp: Type.Enum(catchUpPolicies),
  roles: Roles,
  status: Type.Enum(scheduleStates),
  nextAt: Type.Union([Time, Type.Null()], { description: 'The earliest in any zone; null while it is not active' }),
  lastFireAt: Type.Union([Time, Type.Null()]),
  mails: Type.Integer({ minimum: 0, description: 'Mails created by its firings so far' }),
  planning: Type.Boolean({ description: 'Mails of a firing are still being written' }),
  createdAt: Time,
})
export type Schedule = Static<typeof Schedule>

export const scheduleRoutes = {
  listSchedules: route({
    id: 'notifications.listSchedules',
    service: 'notifications',
    method: 'GET',
    path: '/admin/notifications/schedule',
    access: 'admin',
    summary: 'Schedules with their next times, newest first',
    query: Strict({ ...pageQuery }),
    responses: { 200: Page(Schedule) },
  }),
  getSchedule: route({
    id: 'notifications.getSchedule',
    service: 'notifications',
    method: 'GET',
    path: '/admin/notifications/schedule/{id}',
    access: 'admin',
    summary: 'One schedule',
    params: IdParams,
    responses: { 200: Schedule },
  }),
  putSchedule: route({
    id: 'notifications.putSchedule',
    service: 'notifications',
    method: 'PUT',
    path: '/admin/notifications/schedule/{id}',
    access: 'admin',
    summary: 'Schedule an announcement under an id that the caller chooses; repeating the call schedules nothing twice',
    params: IdParams,
    body: NewSchedule,
    responses: { 200: Schedule, 201: Schedule },
    problems: [problems.scheduleTaken],
  }),
  changeSchedule: route({
    id: 'notifications.changeSchedule',
    service: 'notifications',
    method: 'PATCH',
    path: '/admin/notifications/schedule/{id}',
    access: 'admin',
    summary: 'Pause or resume a schedule; firings missed while it is paused are not made up',
    params: IdParams,
    body: Strict({ status: Type.Enum(['active', 'paused']) }),
    responses: { 200: Schedule },
    problems: [problems.scheduleEnded],
    repeatable: true,
  }),
  cancelSchedule: route({
    id: 'notifications.cancelSchedule',
    service: 'notifications',
    method: 'DELETE',
    path: '/admin/notifications/schedule/{id}',
    access: 'admin',
    summary: 'Cancel a schedule for good; a one-time schedule only before it is due',
    params: IdParams,
    responses: { 200: Schedule },
    problems: [problems.scheduleEnded],
  }),
}

// Additive within its version, like every event: no object in it refuses unknown fields.
const RequestedAnnouncement = Type.Object(inLanguages(Type.Object(Announcement)))

/** Any service that keeps state may ask for a schedule; nobody else hears of it. */
function scheduleRequested<const P extends Exclude<ServiceName, 'notifications' | 'frontend'>>(publisher: P) {
  return event({
    subject: `msg.${publisher}.schedule.requested` as const,
    aggregate: 'schedule',
    summary: 'An announcement is to be mailed at a certain time, or repeatedly; one id is one schedule',
    data: Type.Object({
      ...terms,
      scheduleId: Id,
      userIds: Type.Union([Type.Array(Id, { minItems: 1, maxItems: SCHEDULED_USERS_MAX }), Type.Null()], {
        description: 'Only these users; null: all',
      }),
      announcement: RequestedAnnouncement,
    }),
    example: {
      scheduleId: '01977c1e-6a00-7000-8000-000000000030',
      name: 'Summer sale',
      at: '2026-06-01T09:00',
      zone: null,
      catchUp: 'once' as const,
      roles: null,
      userIds: null,
      announcement: {
        en: { title: 'The summer sale begins', text: 'From today, all teas cost a fifth less.\n\nUntil Sunday.' },
        de: {
          title: 'Der Sommerverkauf beginnt',
          text: 'Ab heute kosten alle Tees ein Fünftel weniger.\n\nBis Sonntag.',
        },
      },
    },
  })
}

/** Takes back what the same service asked for; until it is due, if it fires once. */
function scheduleCancelled<const P extends Exclude<ServiceName, 'notifications' | 'frontend'>>(publisher: P) {
  return event({
    subject: `msg.${publisher}.schedule.cancelled` as const,
    aggregate: 'schedule',
    summary: 'A schedule that this service requested is cancelled',
    data: Type.Object({ scheduleId: Id, cancelledAt: Time }),
    example: { scheduleId: '01977c1e-6a00-7000-8000-000000000030', cancelledAt: '2026-05-31T12:00:00.000Z' },
  })
}

export const scheduleEvents = {
  authScheduleRequested: scheduleRequested('auth'),
  productsScheduleRequested: scheduleRequested('products'),
  ordersScheduleRequested: scheduleRequested('orders'),
  authScheduleCancelled: scheduleCancelled('auth'),
  productsScheduleCancelled: scheduleCancelled('products'),
  ordersScheduleCancelled: scheduleCancelled('orders'),
}
