import type { Static } from 'typebox'
import { Type } from '../schema.ts'
import { route } from '../route.ts'
import { Id, Page, Strict, Time, pageQuery } from '../shapes.ts'

/** What the audit log of accounts tells apart. */
export const auditActions = [
  'sign-in',
  'sign-in-failed',
  'roles-changed',
  'disabled',
  'enabled',
  'bootstrapped',
  'password-changed',
  'factor-added',
  'factor-removed',
  'email-changed',
  'email-restored',
  'data-exported',
  'account-deleted',
] as const
export type AuditAction = (typeof auditActions)[number]

export const AuditEntry = Type.Object({
  id: Id,
  at: Time,
  action: Type.Enum(auditActions),
  accountId: Type.Union([Id, Type.Null()], { description: 'The account it is about; null if there is none' }),
  account: Type.Union([Type.String(), Type.Null()], {
    description: 'Their current address; null once the account is deleted',
  }),
  byId: Type.Union([Id, Type.Null()], { description: 'Who did it; null if nobody was signed in' }),
  by: Type.Union([Type.String(), Type.Null()]),
  network: Type.Union([Type.String(), Type.Null()], { description: 'An IPv4 address or an IPv6 /64' }),
  device: Type.Union([Type.String(), Type.Null()]),
  detail: Type.Record(Type.String(), Type.Unknown()),
})
export type AuditEntry = Static<typeof AuditEntry>

export const auditRoutes = {
  listAudit: route({
    id: 'auth.listAudit',
    service: 'auth',
    method: 'GET',
    path: '/auth/audit',
    access: 'admin',
    summary: 'Who did what to which account, newest first',
    query: Strict({
      ...pageQuery,
      action: Type.Optional(Type.Enum(auditActions)),
      accountId: Type.Optional(Id),
      byId: Type.Optional(Id),
      from: Type.Optional(Time),
      until: Type.Optional(Time),
    }),
    responses: { 200: Page(AuditEntry) },
  }),
}
