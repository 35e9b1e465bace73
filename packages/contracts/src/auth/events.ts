import type { Static } from 'typebox'
import { Type } from '../schema.ts'
import { event } from '../event.ts'
import { MailPreferences } from '../preferences.ts'
import { Email, Id, LanguageTag, Time, Zone } from '../shapes.ts'
import { factorChanges, factors, PersonName } from './shapes.ts'

const userId = '01977c1e-6a00-7000-8000-000000000001'
const Recipient = { userId: Id, email: Email, name: PersonName, language: LanguageTag }
const recipient = { userId, email: 'ada@example.com', name: 'Ada', language: 'en' }
/** Compact JWE (`dir`, `A256GCM`) under MAIL_SECRET_KEY of the JSON `MailSecret`. */
const Secret = Type.String({ maxLength: 4096, description: 'JWE of a MailSecret; only notifications can open it' })
const secret = 'eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..aXY.Y2lwaGVydGV4dA.dGFn'

/** What a mail may carry in clear only inside the mail itself. */
export const MailSecret = Type.Object({ code: Type.Optional(Type.String()), link: Type.Optional(Type.String()) })
export type MailSecret = Static<typeof MailSecret>

export const authEvents = {
  userChanged: event({
    subject: 'msg.auth.user.changed',
    aggregate: 'user',
    summary: 'A user’s state, in full, whenever any of it changed',
    data: Type.Object({
      ...Recipient,
      zone: Type.Union([Zone, Type.Null()]),
      roles: Type.Array(Type.String()),
      verified: Type.Boolean(),
      disabled: Type.Boolean(),
      preferences: Type.Optional(Type.Partial(MailPreferences)),
    }),
    example: {
      ...recipient,
      zone: 'Europe/Berlin',
      roles: ['customer'],
      verified: true,
      disabled: false,
      preferences: { announcement: false },
    },
  }),
  userDeleted: event({
    subject: 'msg.auth.user.deleted',
    aggregate: 'user',
    summary: 'An account was deleted for good: every service forgets what it keeps about the person',
    data: Type.Object({ userId: Id, deletedAt: Time }),
    example: { userId, deletedAt: '2026-01-01T12:00:00.000Z' },
  }),
  verificationRequested: event({
    subject: 'msg.auth.verification.requested',
    aggregate: 'user',
    summary: 'An address is to be proven by a mailed link and code',
    data: Type.Object({ ...Recipient, secret: Secret, expiresAt: Time }),
    example: { ...recipient, secret, expiresAt: '2026-01-01T12:00:00.000Z' },
  }),
  registrationRepeated: event({
    subject: 'msg.auth.registration.repeated',
    aggregate: 'user',
    summary: 'Somebody tried to register an address that already has an account',
    data: Type.Object(Recipient),
    example: recipient,
  }),
  loginCodeRequested: event({
    subject: 'msg.auth.login-code.requested',
    aggregate: 'user',
    summary: 'A user wants to sign in with a mailed code',
    data: Type.Object({ ...Recipient, secret: Secret, expiresAt: Time }),
    example: { ...recipient, secret, expiresAt: '2026-01-01T12:00:00.000Z' },
  }),
  passwordResetRequested: event({
    subject: 'msg.auth.password-reset.requested',
    aggregate: 'user',
    summary: 'A user wants to set a new password with a mailed link',
    data: Type.Object({ ...Recipient, secret: Secret, expiresAt: Time }),
    example: { ...recipient, secret, expiresAt: '2026-01-01T12:00:00.000Z' },
  }),
  passwordChanged: event({
    subject: 'msg.auth.password.changed',
    aggregate: 'user',
    summary: 'A password was changed or reset',
    data: Type.Object({ ...Recipient, changedAt: Time }),
    example: { ...recipient, changedAt: '2026-01-01T12:00:00.000Z' },
  }),
  exportRequested: event({
    subject: 'msg.auth.export.requested',
    aggregate: 'user',
    summary: 'A user wants a copy of everything stored about them; each service answers with its parts',
    data: Type.Object({ exportId: Id, userId: Id, requestedAt: Time }),
    example: {
      exportId: '01977c1e-6a00-7000-8000-0000000000e1',
      userId,
      requestedAt: '2026-01-01T12:00:00.000Z',
    },
  }),
  emailChangeRequested: event({
    subject: 'msg.auth.email-change.requested',
    aggregate: 'user',
    summary: 'A new address is to be proven by a mailed link and code; `email` is the new one',
    data: Type.Object({ ...Recipient, secret: Secret, expiresAt: Time }),
    example: { ...recipient, secret, expiresAt: '2026-01-01T12:00:00.000Z' },
  }),
  emailChanged: event({
    subject: 'msg.auth.email.changed',
    aggregate: 'user',
    summary: 'An address was replaced; `email` is the old one, and the link takes the change back until it expires',
    data: Type.Object({ ...Recipient, secret: Secret, changedAt: Time, expiresAt: Time }),
    example: {
      ...recipient,
      secret,
      changedAt: '2026-01-01T12:00:00.000Z',
      expiresAt: '2026-01-08T12:00:00.000Z',
    },
  }),
  factorChanged: event({
    subject: 'msg.auth.factor.changed',
    aggregate: 'user',
    summary: 'A way to sign in was added, removed, renewed or, for a recovery code, used up',
    data: Type.Object({
      ...Recipient,
      factor: Type.Enum(factors),
      change: Type.Enum(factorChanges),
      label: Type.Union([Type.String(), Type.Null()], {
        description: 'The name of the passkey or of the provider',
      }),
      changedAt: Time,
    }),
    example: {
      ...recipient,
      factor: 'passkey',
      change: 'added',
      label: 'My phone',
      changedAt: '2026-01-01T12:00:00.000Z',
    },
  }),
  secondFactorFailed: event({
    subject: 'msg.auth.second-factor.failed',
    aggregate: 'user',
    summary:
      'Somebody who knows the password sent several wrong codes in a row as the second factor; at most once a day',
    data: Type.Object({ ...Recipient, device: Type.String(), address: Type.String(), failedAt: Time }),
    example: {
      ...recipient,
      device: 'Firefox on Linux',
      address: '203.0.113.7',
      failedAt: '2026-01-01T12:00:00.000Z',
    },
  }),
  sessionOpened: event({
    subject: 'msg.auth.session.opened',
    aggregate: 'user',
    summary: 'A user signed in',
    data: Type.Object({
      ...Recipient,
      sessionId: Id,
      newDevice: Type.Boolean({
        description:
          'True if the user has had sessions before, but none from this kind of device; false for the very first',
      }),
      device: Type.String(),
      address: Type.String(),
      openedAt: Time,
    }),
    example: {
      ...recipient,
      sessionId: '01977c1e-6a00-7000-8000-0000000000aa',
      newDevice: true,
      device: 'Firefox on Linux',
      address: '203.0.113.7',
      openedAt: '2026-01-01T12:00:00.000Z',
    },
  }),
  sessionRevoked: event({
    subject: 'msg.auth.session.revoked',
    aggregate: 'user',
    summary: 'One session of a user, or (null) all of them, ended; a nudge to re-read the table',
    data: Type.Object({ userId: Id, sessionId: Type.Union([Id, Type.Null()]) }),
    example: { userId, sessionId: null },
  }),
}
