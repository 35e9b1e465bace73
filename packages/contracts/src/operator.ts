import type { Static } from 'typebox'
import * as problems from './problems.ts'
import { Type } from './schema.ts'
import { route, type ServiceName } from './route.ts'
import { Id, IdParams, Page, Strict, Time, pageQuery } from './shapes.ts'

/** `open`: neither replayed nor dismissed yet. */
export const deadLetterStatuses = ['open', 'ended'] as const
export type DeadLetterStatus = (typeof deadLetterStatuses)[number]

export const DISMISSAL_REASON_LENGTH_MAX = 500

export const DeadLetter = Type.Object({
  id: Id,
  consumer: Type.String(),
  subject: Type.String(),
  messageId: Type.String(),
  reason: Type.String(),
  data: Type.Unknown({
    description:
      'The body as JSON, or as text if it is not JSON or is nested deeper than 32 levels; if it is cut, only its beginning',
  }),
  bytes: Type.Integer({ description: 'Size of the whole body' }),
  cut: Type.Boolean({ description: 'Whether the body is longer than the 16,384 bytes that are shown' }),
  createdAt: Time,
  replayedAt: Type.Union([Time, Type.Null()]),
  dismissal: Type.Union([Type.Object({ at: Time, by: Id, reason: Type.String() }), Type.Null()]),
})
export type DeadLetter = Static<typeof DeadLetter>

/** Of an outbox that is longer only this is known: it is asked for at each scrape. */
export const OUTBOX_ROWS_COUNTED_MAX = 100_000

export const Lag = Type.Object({
  outboxPending: Type.Integer({
    description: `Rows not yet published to the stream, counted up to ${OUTBOX_ROWS_COUNTED_MAX + 1}`,
  }),
  stream: Type.Object({ messages: Type.Integer(), bytes: Type.Integer(), bytesMax: Type.Integer() }),
  consumers: Type.Array(
    Type.Object({
      durable: Type.String(),
      pending: Type.Integer({ description: 'Messages not yet delivered' }),
      unacknowledged: Type.Integer(),
      redelivered: Type.Integer(),
    }),
  ),
})
export type Lag = Static<typeof Lag>

/** The operator routes that every service with a database has. */
export function operatorRoutes<const S extends Exclude<ServiceName, 'frontend'>>(service: S) {
  return {
    listDeadLetters: route({
      id: `${service}.listDeadLetters`,
      service,
      method: 'GET',
      path: `/admin/${service}/dead-letter`,
      access: 'admin',
      summary:
        'Messages that could not be applied, with the reason, newest first; deleted 30 days after they were replayed or dismissed',
      query: Strict({ ...pageQuery, status: Type.Optional(Type.Enum(deadLetterStatuses)) }),
      responses: { 200: Page(DeadLetter) },
    }),
    replayDeadLetter: route({
      id: `${service}.replayDeadLetter`,
      service,
      method: 'POST',
      path: `/admin/${service}/dead-letter/{id}/replay`,
      access: 'admin',
      summary: 'Apply a dead letter again; without `replayedAt` in the answer it still cannot be applied',
      params: IdParams,
      responses: { 200: DeadLetter },
      problems: [problems.deadLetterEnded],
      repeatable: true,
    }),
    dismissDeadLetter: route({
      id: `${service}.dismissDeadLetter`,
      service,
      method: 'POST',
      path: `/admin/${service}/dead-letter/{id}/dismiss`,
      access: 'admin',
      summary: 'Dismiss a dead letter without applying it; one that is already dismissed keeps its first reason',
      params: IdParams,
      body: Strict({ reason: Type.String({ minLength: 1, maxLength: DISMISSAL_REASON_LENGTH_MAX }) }),
      responses: { 200: DeadLetter },
      problems: [problems.deadLetterEnded],
      repeatable: true,
    }),
    reopenDeadLetter: route({
      id: `${service}.reopenDeadLetter`,
      service,
      method: 'POST',
      path: `/admin/${service}/dead-letter/{id}/reopen`,
      access: 'admin',
      summary: 'Undo the dismissal of a dead letter',
      params: IdParams,
      responses: { 200: DeadLetter },
      problems: [problems.deadLetterEnded],
      repeatable: true,
    }),
    getLag: route({
      id: `${service}.getLag`,
      service,
      method: 'GET',
      path: `/admin/${service}/lag`,
      access: 'admin',
      summary: 'How far behind the outbox and the consumers are',
      responses: { 200: Lag },
    }),
  }
}
