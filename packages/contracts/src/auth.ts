import { Type, type Static } from 'typebox'
import { roles } from './access.ts'
import { event } from './event.ts'
import * as problems from './problems.ts'
import { route } from './route.ts'
import { Email, Id, IdParams, Language, Page, Strict, Time, Zone, pageQuery } from './shapes.ts'

export const AVATAR_BYTES_MAX = 2_000_000
export const PASSWORD_CHARACTERS_MIN = 15
export const PASSWORD_CHARACTERS_MAX = 256
/** How long a mailed six-digit code is good. Links live longer; their events say how long. */
export const CODE_LIFETIME_MINUTES = 10
export const avatarSizes = { small: 64, medium: 192, large: 512 } as const

const RoleName = Type.Enum(roles)
// The rule about strength is a problem of its own, so the schema only bounds what is hashed.
const Password = Type.String({ minLength: 1, maxLength: PASSWORD_CHARACTERS_MAX })
const Code = Type.String({ pattern: '^[0-9]{6}$' })
const MailedToken = Type.String({ minLength: 43, maxLength: 43, pattern: '^[A-Za-z0-9_-]{43}$' })
const RefreshToken = Type.String({ minLength: 43, maxLength: 128, pattern: '^[A-Za-z0-9_.-]+$' })
const PersonName = Type.String({ minLength: 1, maxLength: 100 })

/** Paths of the three sizes, or null while the user has no picture. */
export const Avatar = Type.Union([
  Type.Object({ small: Type.String(), medium: Type.String(), large: Type.String() }),
  Type.Null(),
])

export const Profile = Type.Object({
  id: Id,
  email: Email,
  name: PersonName,
  language: Language,
  zone: Type.Union([Zone, Type.Null()]),
  roles: Type.Array(RoleName),
  avatar: Avatar,
  createdAt: Time,
})
export type Profile = Static<typeof Profile>

export const SignedIn = Type.Object({
  accessToken: Type.String(),
  tokenType: Type.Literal('Bearer'),
  expiresIn: Type.Integer({ description: 'Seconds' }),
  refreshToken: Type.Optional(Type.String({ description: 'Absent for browsers, which get it as a cookie' })),
  user: Profile,
})
export type SignedIn = Static<typeof SignedIn>

export const Session = Type.Object({
  id: Id,
  device: Type.String(),
  address: Type.String(),
  createdAt: Time,
  lastSeenAt: Time,
  current: Type.Boolean(),
})
export type Session = Static<typeof Session>

export const User = Type.Object({
  id: Id,
  email: Email,
  name: PersonName,
  roles: Type.Array(RoleName),
  verified: Type.Boolean(),
  disabled: Type.Boolean(),
  createdAt: Time,
})
export type User = Static<typeof User>

const Accepted = Type.Object({ status: Type.Literal('accepted') })
const none = { content: 'none' } as const

// A browser says so and gets the refresh token as a cookie that its scripts cannot read.
const sessionHeaders = Type.Object({
  'x-session-transport': Type.Optional(Type.Union([Type.Literal('cookie'), Type.Literal('body')])),
})

export const authRoutes = {
  register: route({
    id: 'auth.register',
    service: 'auth',
    method: 'POST',
    path: '/auth/register',
    access: 'anyone',
    summary: 'Register an address; the answer is the same whether it is known or not',
    body: Strict({
      email: Email,
      password: Password,
      name: PersonName,
      language: Type.Optional(Language),
      zone: Type.Optional(Zone),
    }),
    responses: { 202: Accepted },
    problems: [problems.weakPassword, problems.tooManyRequests],
  }),
  verify: route({
    id: 'auth.verify',
    service: 'auth',
    method: 'POST',
    path: '/auth/verify',
    access: 'anyone',
    summary: 'Prove an address with the mailed token or code',
    body: Type.Union([Strict({ token: MailedToken }), Strict({ email: Email, code: Code })]),
    responses: { 200: Type.Object({ status: Type.Literal('verified') }) },
    problems: [problems.wrongToken, problems.tooManyRequests],
  }),
  resendVerification: route({
    id: 'auth.resendVerification',
    service: 'auth',
    method: 'POST',
    path: '/auth/verify/resend',
    access: 'anyone',
    summary: 'Mail a new verification link and code; the old ones stop working',
    body: Strict({ email: Email }),
    responses: { 202: Accepted },
    problems: [problems.tooManyRequests],
  }),
  login: route({
    id: 'auth.login',
    service: 'auth',
    method: 'POST',
    path: '/auth/login',
    access: 'anyone',
    summary: 'Sign in with a password or a mailed code',
    headers: sessionHeaders,
    body: Type.Union([Strict({ email: Email, password: Password }), Strict({ email: Email, code: Code })]),
    responses: { 200: SignedIn },
    problems: [
      problems.wrongCredentials,
      problems.addressNotVerified,
      problems.accountDisabled,
      problems.tooManyRequests,
    ],
  }),
  requestLoginCode: route({
    id: 'auth.requestLoginCode',
    service: 'auth',
    method: 'POST',
    path: '/auth/login/code',
    access: 'anyone',
    summary: 'Mail a six-digit code to sign in with',
    body: Strict({ email: Email }),
    responses: { 202: Accepted },
    problems: [problems.tooManyRequests],
  }),
  refresh: route({
    id: 'auth.refresh',
    service: 'auth',
    method: 'POST',
    path: '/auth/refresh',
    access: 'anyone',
    summary: 'Exchange a refresh token (body, or cookie from the shop’s own origin) for the next pair',
    body: Strict({ refreshToken: Type.Optional(RefreshToken) }),
    responses: { 200: SignedIn },
    problems: [problems.notSignedIn, problems.forbidden],
    // The direct parent stays good for a while, so a repeated exchange logs nobody out.
    repeatable: true,
  }),
  logout: route({
    id: 'auth.logout',
    service: 'auth',
    method: 'POST',
    path: '/auth/logout',
    access: 'anyone',
    summary: 'End the session of a refresh token (body or cookie)',
    body: Strict({ refreshToken: Type.Optional(RefreshToken) }),
    responses: { 204: none },
    problems: [problems.forbidden],
    repeatable: true,
  }),
  forgotPassword: route({
    id: 'auth.forgotPassword',
    service: 'auth',
    method: 'POST',
    path: '/auth/password/forgot',
    access: 'anyone',
    summary: 'Mail a link to set a new password',
    body: Strict({ email: Email }),
    responses: { 202: Accepted },
    problems: [problems.tooManyRequests],
  }),
  resetPassword: route({
    id: 'auth.resetPassword',
    service: 'auth',
    method: 'POST',
    path: '/auth/password/reset',
    access: 'anyone',
    summary: 'Set a new password with the mailed token; ends every session',
    body: Strict({ token: MailedToken, password: Password }),
    responses: { 204: none },
    problems: [problems.wrongToken, problems.weakPassword, problems.tooManyRequests],
  }),
  changePassword: route({
    id: 'auth.changePassword',
    service: 'auth',
    method: 'PUT',
    path: '/auth/password',
    access: 'user',
    summary: 'Change the password; ends every other session',
    body: Strict({ currentPassword: Password, newPassword: Password }),
    responses: { 204: none },
    problems: [problems.wrongCredentials, problems.weakPassword, problems.tooManyRequests],
  }),
  bootstrap: route({
    id: 'auth.bootstrap',
    service: 'auth',
    method: 'POST',
    path: '/auth/bootstrap',
    access: 'anyone',
    summary: 'Make the first administrator, once, with the operator’s bootstrap token',
    body: Strict({
      bootstrapToken: Type.String({ minLength: 1, maxLength: 256 }),
      email: Email,
      password: Password,
      name: PersonName,
    }),
    responses: { 201: User },
    problems: [problems.wrongCredentials, problems.weakPassword, problems.bootstrapClosed, problems.tooManyRequests],
  }),
  listSessions: route({
    id: 'auth.listSessions',
    service: 'auth',
    method: 'GET',
    path: '/auth/sessions',
    access: 'user',
    summary: 'The caller’s live sessions, newest first',
    responses: { 200: Page(Session) },
  }),
  revokeOtherSessions: route({
    id: 'auth.revokeOtherSessions',
    service: 'auth',
    method: 'DELETE',
    path: '/auth/sessions',
    access: 'user',
    summary: 'End all of the caller’s sessions but this one',
    responses: { 204: none },
  }),
  revokeSession: route({
    id: 'auth.revokeSession',
    service: 'auth',
    method: 'DELETE',
    path: '/auth/sessions/{id}',
    access: 'user',
    summary: 'End one of the caller’s sessions',
    params: IdParams,
    responses: { 204: none },
  }),
  getProfile: route({
    id: 'auth.getProfile',
    service: 'auth',
    method: 'GET',
    path: '/profile',
    access: 'user',
    summary: 'The caller’s profile',
    responses: { 200: Profile },
  }),
  changeProfile: route({
    id: 'auth.changeProfile',
    service: 'auth',
    method: 'PATCH',
    path: '/profile',
    access: 'user',
    summary: 'Change name, language or time zone',
    body: Strict({
      name: Type.Optional(PersonName),
      language: Type.Optional(Language),
      zone: Type.Optional(Type.Union([Zone, Type.Null()])),
    }),
    responses: { 200: Profile },
  }),
  putAvatar: route({
    id: 'auth.putAvatar',
    service: 'auth',
    method: 'PUT',
    path: '/profile/avatar',
    access: 'user',
    summary: 'Set the profile picture: PNG, JPEG, WebP or GIF of at most 2 MB',
    upload: {
      mediaTypes: ['image/png', 'image/jpeg', 'image/webp', 'image/gif', 'application/octet-stream'],
      bytesMax: AVATAR_BYTES_MAX,
    },
    responses: { 200: Profile },
    problems: [
      problems.imageNotAccepted,
      problems.bodyTooLarge,
      problems.unsupportedMediaType,
      problems.tooManyRequests,
    ],
  }),
  deleteAvatar: route({
    id: 'auth.deleteAvatar',
    service: 'auth',
    method: 'DELETE',
    path: '/profile/avatar',
    access: 'user',
    summary: 'Remove the profile picture',
    responses: { 200: Profile },
  }),
  getAvatar: route({
    id: 'auth.getAvatar',
    service: 'auth',
    method: 'GET',
    path: '/avatar/{key}',
    access: 'anyone',
    summary: 'A profile picture by its random key; immutable',
    params: Strict({ key: Type.String({ pattern: '^[A-Za-z0-9_-]{22}-(small|medium|large)$' }) }),
    responses: { 200: { content: 'image/webp' } },
  }),
  jwks: route({
    id: 'auth.jwks',
    service: 'auth',
    method: 'GET',
    path: '/.well-known/jwks.json',
    access: 'anyone',
    summary: 'The public keys that access tokens are signed with (RFC 7517)',
    responses: { 200: Type.Object({ keys: Type.Array(Type.Record(Type.String(), Type.String())) }) },
  }),
  listUsers: route({
    id: 'auth.listUsers',
    service: 'auth',
    method: 'GET',
    path: '/auth/users',
    access: 'admin',
    summary: 'All users, newest first',
    query: Strict({ ...pageQuery, q: Type.Optional(Type.String({ minLength: 1, maxLength: 254 })) }),
    responses: { 200: Page(User) },
  }),
  setRoles: route({
    id: 'auth.setRoles',
    service: 'auth',
    method: 'PUT',
    path: '/auth/users/{id}/roles',
    access: 'admin',
    summary: 'Set a user’s roles',
    params: IdParams,
    body: Strict({ roles: Type.Array(RoleName, { minItems: 1, maxItems: roles.length, uniqueItems: true }) }),
    responses: { 200: User },
    problems: [problems.lastAdministrator],
  }),
  setDisabled: route({
    id: 'auth.setDisabled',
    service: 'auth',
    method: 'PUT',
    path: '/auth/users/{id}/disabled',
    access: 'admin',
    summary: 'Shut a user out, or let them in again',
    params: IdParams,
    body: Strict({ disabled: Type.Boolean() }),
    responses: { 200: User },
    problems: [problems.lastAdministrator],
  }),
  authn: route({
    id: 'auth.authn',
    service: 'auth',
    method: 'POST',
    path: '/authn',
    access: 'internal',
    summary: 'Who is calling: 200 with the identity, or 401. For the edge.',
    responses: { 200: none },
    problems: [problems.notSignedIn],
  }),
  authz: route({
    id: 'auth.authz',
    service: 'auth',
    method: 'POST',
    path: '/authz',
    access: 'internal',
    summary:
      'May the caller use the original request’s route: 200 with an internal token, 401, 403 or 503. For the edge.',
    responses: { 200: none },
    problems: [problems.notSignedIn, problems.forbidden, problems.dependencyUnavailable],
  }),
}

const userId = '01977c1e-6a00-7000-8000-000000000001'
const Recipient = { userId: Id, email: Email, name: PersonName, language: Language }
const recipient = { userId, email: 'ada@example.com', name: 'Ada', language: 'en' as const }
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
    }),
    example: { ...recipient, zone: 'Europe/Berlin', roles: ['customer'], verified: true, disabled: false },
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
    summary: 'Somebody tried to register an address that has an account already',
    data: Type.Object(Recipient),
    example: recipient,
  }),
  loginCodeRequested: event({
    subject: 'msg.auth.login-code.requested',
    aggregate: 'user',
    summary: 'A user wants to sign in by a mailed code',
    data: Type.Object({ ...Recipient, secret: Secret, expiresAt: Time }),
    example: { ...recipient, secret, expiresAt: '2026-01-01T12:00:00.000Z' },
  }),
  passwordResetRequested: event({
    subject: 'msg.auth.password-reset.requested',
    aggregate: 'user',
    summary: 'A user wants to set a new password by a mailed link',
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
  sessionOpened: event({
    subject: 'msg.auth.session.opened',
    aggregate: 'user',
    summary: 'A user signed in',
    data: Type.Object({
      ...Recipient,
      sessionId: Id,
      newDevice: Type.Boolean({
        description:
          'The user has had sessions before, none of them from this kind of device; false for the very first',
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
    summary: 'One session of a user, or all (null), ended; a nudge to re-read the table',
    data: Type.Object({ userId: Id, sessionId: Type.Union([Id, Type.Null()]) }),
    example: { userId, sessionId: null },
  }),
}
