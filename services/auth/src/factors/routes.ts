import type { authRoutes } from '@saas/contracts'
import type { Handlers } from '@saas/http'
import type { Client } from '../client.ts'
import type { Request } from '../request.ts'
import { isByCookie, type SessionTransport } from '../session-transport.ts'
import type { Departure, ProviderSignIn } from '../oidc/provider-sign-in.ts'
import type { Caller } from './factor-changes.ts'
import type { FactorReset } from './factor-reset.ts'
import type { Factors } from './factors.ts'
import type { PasskeySignIn } from './passkey-sign-in.ts'
import type { PendingSignIns } from './pending-sign-ins.ts'
import type { Reauthentication } from './reauthentication.ts'

const done = { status: 204 } as const
const unstored = { 'cache-control': 'no-store' } as const

type FactorRoutes = Pick<
  typeof authRoutes,
  | 'passSecondFactor'
  | 'reauthenticate'
  | 'listFactors'
  | 'proposeTotp'
  | 'confirmTotp'
  | 'removeTotp'
  | 'renewRecoveryCodes'
  | 'offerPasskeySignIn'
  | 'signInWithPasskey'
  | 'offerPasskeyAsFactor'
  | 'offerPasskeyAsProof'
  | 'offerPasskey'
  | 'addPasskey'
  | 'renamePasskey'
  | 'removePasskey'
  | 'resetFactors'
  | 'listProviders'
  | 'departToProvider'
  | 'returnFromProvider'
  | 'departToLink'
  | 'returnToLink'
  | 'unlinkIdentity'
>

/** What the handlers of these routes call. */
export interface FactorParts {
  readonly factors: Factors
  readonly factorReset: FactorReset
  readonly passkeySignIn: PasskeySignIn
  readonly pendingSignIns: PendingSignIns
  readonly providerSignIn: ProviderSignIn
  readonly reauthentication: Reauthentication
  readonly transport: SessionTransport
}

/** The routes of second factors. */
export function factorHandlers(
  { factors, factorReset, passkeySignIn, pendingSignIns, providerSignIn, reauthentication, transport }: FactorParts,
  client: (request: Request) => Client,
): Handlers<FactorRoutes> {
  return {
    passSecondFactor: async ({ body, headers, request, traceParent }) => {
      const { mfaToken, ...proof } = body
      return transport.signedIn(
        await pendingSignIns.pass(mfaToken, proof, client(request), traceParent),
        isByCookie(headers),
      )
    },
    reauthenticate: async ({ body, identity, request, traceParent }) => {
      await reauthentication.prove(callerOf(identity, traceParent), body, client(request))
      return done
    },
    listFactors: async ({ identity }) => ({ status: 200, body: await factors.list(identity.userId) }),
    proposeTotp: async ({ identity, traceParent }) => ({
      status: 200,
      body: await factors.proposeTotp(callerOf(identity, traceParent)),
      headers: unstored,
    }),
    confirmTotp: async ({ body, identity, request, traceParent }) => ({
      status: 200,
      body: { recoveryCodes: await factors.confirmTotp(callerOf(identity, traceParent), body.code, client(request)) },
      headers: unstored,
    }),
    removeTotp: async ({ identity, traceParent }) => {
      await factors.removeTotp(callerOf(identity, traceParent))
      return done
    },
    renewRecoveryCodes: async ({ identity, traceParent }) => ({
      status: 200,
      body: { recoveryCodes: await factors.renewRecoveryCodes(callerOf(identity, traceParent)) },
      headers: unstored,
    }),
    offerPasskeySignIn: async ({ request }) => offered(await passkeySignIn.options(client(request))),
    signInWithPasskey: async ({ body, headers, request, traceParent }) =>
      transport.signedIn(await passkeySignIn.signIn(body.passkey, client(request), traceParent), isByCookie(headers)),
    offerPasskeyAsFactor: async ({ body, request }) => {
      const accountId = await pendingSignIns.accountOf(body.mfaToken)
      return offered(await factors.offerAssertion('second-factor', accountId, client(request)))
    },
    offerPasskeyAsProof: async ({ identity, request }) =>
      offered(await factors.offerAssertion('reauthentication', identity.userId, client(request))),
    offerPasskey: async ({ identity, request, traceParent }) =>
      offered(await factors.offerPasskey(callerOf(identity, traceParent), client(request))),
    addPasskey: async ({ body, identity, traceParent }) => ({
      status: 201,
      body: await factors.addPasskey(callerOf(identity, traceParent), body),
      headers: unstored,
    }),
    renamePasskey: async ({ body, identity, params }) => ({
      status: 200,
      body: await factors.renamePasskey(identity.userId, params.id, body.name),
    }),
    removePasskey: async ({ identity, params, traceParent }) => {
      await factors.removePasskey(callerOf(identity, traceParent), params.id)
      return done
    },
    resetFactors: async ({ identity, params, traceParent }) => {
      await factorReset.reset(params.id, identity.userId, traceParent)
      return done
    },
    listProviders: () => ({ status: 200, body: { items: providerSignIn.providers } }),
    departToProvider: async ({ params, request }) =>
      departed(await providerSignIn.depart(params.provider, client(request))),
    returnFromProvider: async ({ body, headers, params, request, traceParent }) => {
      const { cookie } = request.headers
      const outcome = await providerSignIn.arrive(params.provider, body, cookie, client(request), traceParent)
      const answer = transport.outcome(outcome, isByCookie(headers))
      const cookies = 'cookies' in answer ? (answer.cookies ?? []) : []
      return { ...answer, cookies: [...cookies, providerSignIn.forgotten] }
    },
    departToLink: async ({ identity, params, request, traceParent }) =>
      departed(await providerSignIn.departToLink(params.provider, callerOf(identity, traceParent), client(request))),
    returnToLink: async ({ body, identity, params, request, traceParent }) => {
      await providerSignIn.link(params.provider, body, request.headers.cookie, callerOf(identity, traceParent))
      return { ...done, cookies: [providerSignIn.forgotten] }
    },
    unlinkIdentity: async ({ identity, params, traceParent }) => {
      await providerSignIn.unlink(params.id, callerOf(identity, traceParent))
      return done
    },
  }
}

function callerOf(identity: { readonly userId: string; readonly sessionId: string }, traceParent: string): Caller {
  return { userId: identity.userId, sessionId: identity.sessionId, traceParent }
}

function offered(options: unknown): { status: 200; body: { options: unknown }; headers: typeof unstored } {
  return { status: 200, body: { options }, headers: unstored }
}

function departed({ url, cookie }: Departure) {
  return { status: 200, body: { url }, headers: unstored, cookies: [cookie] } as const
}
