import type { Static } from 'typebox'
import { Type } from './schema.ts'
import { route, type ServiceName } from './route.ts'
import { Id, Page, Strict, Time, pageQuery } from './shapes.ts'

export const DeadLetter = Type.Object({
  id: Id,
  consumer: Type.String(),
  subject: Type.String(),
  messageId: Type.String(),
  reason: Type.String(),
  data: Type.Unknown(),
  createdAt: Time,
  replayedAt: Type.Union([Time, Type.Null()]),
})
export type DeadLetter = Static<typeof DeadLetter>

export const Lag = Type.Object({
  outboxPending: Type.Integer({ description: 'Rows not yet on the stream' }),
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
      summary: 'Messages that could not be applied, with the reason, newest first',
      query: Strict({ ...pageQuery }),
      responses: { 200: Page(DeadLetter) },
    }),
    replayDeadLetter: route({
      id: `${service}.replayDeadLetter`,
      service,
      method: 'POST',
      path: `/admin/${service}/dead-letter/{id}/replay`,
      access: 'admin',
      summary: 'Apply a dead letter again',
      params: Strict({ id: Id }),
      responses: { 200: DeadLetter },
      repeatable: true,
    }),
    getLag: route({
      id: `${service}.getLag`,
      service,
      method: 'GET',
      path: `/admin/${service}/lag`,
      access: 'admin',
      summary: 'How far the outbox and the consumers are behind',
      responses: { 200: Lag },
    }),
  }
}
