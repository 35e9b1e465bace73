import { pages, type authRoutes, type DataExport, type Profile, type QueryOf } from '@saas/contracts'
import type { Handlers, Identity } from '@saas/http'
import type { Request } from './request.ts'
import type { Accounts } from './accounts.ts'
import { profileOf } from './account.ts'
import type { Administration } from './administration.ts'
import { pictureHeaders, type Crop } from '@saas/pictures'
import type { AccountDeletion } from './account-deletion.ts'
import type { Audit } from './audit.ts'
import type { Avatars } from './avatars.ts'
import { clientOf, type Client } from './client.ts'
import { factorHandlers, type FactorParts } from './factors/routes.ts'
import type { DataExports } from './data-export.ts'
import type { EmailChanges } from './email-change.ts'
import type { Gate } from './gate.ts'
import type { Passwords } from './passwords.ts'
import type { Preferences } from './preferences.ts'
import type { Registrations } from './registration.ts'
import { refreshed } from './refreshed.ts'
import { isByCookie } from './session-transport.ts'
import type { Sessions } from './sessions.ts'
import type { SignIn } from './sign-in.ts'
import type { SigningKeys } from './signing-keys.ts'

const accepted = { status: 202, body: { status: 'accepted' } } as const
const verified = { status: 200, body: { status: 'verified' } } as const
const done = { status: 204 } as const

/** What the handlers call. */
export interface AuthParts extends FactorParts {
  readonly accounts: Accounts
  readonly administration: Administration
  readonly audit: Audit
  readonly avatars: Avatars
  readonly dataExports: DataExports
  readonly deletion: AccountDeletion
  readonly emailChanges: EmailChanges
  readonly gate: Gate
  readonly passwords: Passwords
  readonly preferences: Preferences
  readonly registrations: Registrations
  readonly sessions: Sessions
  readonly signIn: SignIn
  readonly signingKeys: SigningKeys
  readonly trustedHops: number
}

/** Each route of the contract and the domain call it is. */
export function authHandlers(parts: AuthParts): Handlers<typeof authRoutes> {
  const {
    accounts,
    administration,
    audit,
    avatars,
    dataExports,
    deletion,
    emailChanges,
    gate,
    passwords,
    preferences,
  } = parts
  const { registrations, sessions, signIn, transport } = parts
  const client = (request: Request): Client => clientOf(request, parts.trustedHops)
  const actor = ({ userId }: Identity, request: Request) => ({ byId: userId, client: client(request) })
  return {
    register: async ({ body, request, traceParent }) => {
      await registrations.register(body, client(request), traceParent)
      return accepted
    },
    verify: async ({ body, request, traceParent }) => {
      if ('token' in body) await registrations.verifyByToken(body.token, client(request), traceParent)
      else await registrations.verifyByCode(body, client(request), traceParent)
      return verified
    },
    resendVerification: async ({ body, request, traceParent }) => {
      await registrations.requestMail('verify', body.email, client(request), traceParent, body.registrationId)
      return accepted
    },
    login: async ({ body, headers, request, traceParent }) => {
      const outcome =
        'code' in body
          ? await signIn.byCode(body, client(request), traceParent)
          : await signIn.byPassword(body.email, body.password, client(request), traceParent)
      return transport.outcome(outcome, isByCookie(headers))
    },
    requestLoginCode: async ({ body, request, traceParent }) => {
      await registrations.requestMail('sign-in-code', body.email, client(request), traceParent)
      return accepted
    },
    refresh: async ({ body, request, traceParent }) =>
      await refreshed(sessions, transport, request, body.refreshToken, client(request), traceParent),
    logout: async ({ body, request, traceParent }) => {
      const presented = transport.presented(request, body.refreshToken)
      if (presented !== undefined) await sessions.logout(presented.token, traceParent)
      return presented?.byCookie === true ? { ...done, cookies: [transport.forgotten] } : done
    },
    forgotPassword: async ({ body, request, traceParent }) => {
      await registrations.requestMail('reset', body.email, client(request), traceParent)
      return accepted
    },
    resetPassword: async ({ body, request, traceParent }) => {
      await passwords.reset(body.token, body.password, client(request), traceParent)
      return done
    },
    changePassword: async ({ body, identity, request, traceParent }) => {
      await passwords.change(identity, body, client(request), traceParent)
      return done
    },
    changeEmail: async ({ body, identity, request, traceParent }) => {
      await emailChanges.request(identity.userId, identity.sessionId, body, client(request), traceParent)
      return accepted
    },
    confirmEmail: async ({ body, identity, request, traceParent }) =>
      profile(await emailChanges.confirm(identity, body, client(request), traceParent)),
    undoEmail: async ({ body, request, traceParent }) => {
      await emailChanges.undo(body.token, client(request), traceParent)
      return done
    },
    bootstrap: async ({ body, request, traceParent }) => ({
      status: 201,
      body: await administration.bootstrap(body, client(request), traceParent),
    }),
    listSessions: async ({ identity }) => ({
      status: 200,
      body: { items: await sessions.list(identity.userId, identity.sessionId), next: null },
    }),
    revokeOtherSessions: async ({ identity, traceParent }) => {
      await sessions.revokeOthers(identity.userId, identity.sessionId, traceParent)
      return done
    },
    revokeSession: async ({ identity, params, traceParent }) => {
      await sessions.revoke(identity.userId, params.id, traceParent)
      return done
    },
    getProfile: async ({ identity }) => profile(profileOf(await accounts.byId(identity.userId))),
    changeProfile: async ({ body, identity, request, traceParent }) =>
      profile(profileOf(await accounts.changeProfile(identity.userId, body, client(request), traceParent))),
    deleteProfile: async ({ body, identity, request, traceParent }) => {
      await deletion.delete(identity, body, client(request), traceParent)
      return { ...done, cookies: [transport.forgotten] }
    },
    exportProfile: async ({ identity, request, signal, traceParent }) =>
      exported(await dataExports.obtain(identity, client(request), traceParent, signal)),
    getPreferences: async ({ identity }) => ({ status: 200, body: await preferences.of(identity.userId) }),
    changePreferences: async ({ body, identity, request, traceParent }) => ({
      status: 200,
      body: await preferences.change(identity.userId, body, client(request), traceParent),
    }),
    unsubscribe: async ({ body, params, traceParent }) => ({
      status: 200,
      body: { kind: await preferences.unsubscribe(params.token, body, traceParent) },
    }),
    showUnsubscribe: ({ params }) => ({
      status: 303,
      headers: { location: `${pages.unsubscribe}#${params.token}` },
    }),
    putAvatar: async ({ body, identity, query, request }) =>
      profile(profileOf(await avatars.put(identity.userId, body, client(request), cropOf(query)))),
    deleteAvatar: async ({ identity }) => profile(profileOf(await avatars.remove(identity.userId))),
    getAvatar: async ({ params, reply }) => {
      const { stream, size } = await avatars.get(params.key)
      void reply.headers({ ...pictureHeaders, 'content-length': String(size) }).send(stream)
      return 'sent' as const
    },
    jwks: () => ({
      status: 200,
      body: parts.signingKeys.jwks,
      headers: { 'cache-control': 'public, max-age=300' },
    }),
    listAudit: async ({ query }) => ({ status: 200, body: await audit.list(query) }),
    listUsers: async ({ query }) => ({ status: 200, body: await administration.listUsers(query) }),
    setRoles: async ({ body, identity, params, request, traceParent }) => ({
      status: 200,
      body: await administration.setRoles(params.id, body.roles, actor(identity, request), traceParent),
    }),
    setDisabled: async ({ body, identity, params, request, traceParent }) => ({
      status: 200,
      body: await administration.setDisabled(params.id, body.disabled, actor(identity, request), traceParent),
    }),
    ...factorHandlers(parts, client),
    authn: ({ request, reply }) => gate.authenticate(request, reply),
    authz: ({ request, reply }) => gate.authorise(request, reply),
  }
}

function profile(body: Profile): { status: 200; body: Profile; headers: Record<string, string> } {
  return { status: 200, body, headers: { 'cache-control': 'no-store' } }
}

/** Without a size there is no square to cut out. */
function cropOf({ left = 0, top = 0, size }: QueryOf<typeof authRoutes.putAvatar>): Crop | undefined {
  return size === undefined ? undefined : { left, top, size }
}

function exported(body: DataExport | undefined) {
  const headers = { 'cache-control': 'no-store' }
  if (body === undefined) {
    return { status: 202, body: { status: 'pending' }, headers: { ...headers, 'retry-after': '2' } } as const
  }
  const disposition = 'attachment; filename="account.json"'
  return { status: 200, body, headers: { ...headers, 'content-disposition': disposition } } as const
}
