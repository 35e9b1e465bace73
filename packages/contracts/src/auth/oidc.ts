import { Type } from '../schema.ts'
import * as problems from '../problems.ts'
import { route } from '../route.ts'
import { IdParams } from '../shapes.ts'
import { none, Provider, ProviderAnswer, ProviderParams, SecondFactorDue, sessionHeaders, SignedIn } from './shapes.ts'

const Departure = Type.Object({ url: Type.String({ description: 'Where to send the browser' }) })

export const oidcRoutes = {
  listProviders: route({
    id: 'auth.listProviders',
    service: 'auth',
    method: 'GET',
    path: '/auth/oidc',
    access: 'anyone',
    summary: 'The OpenID providers that somebody can sign in with',
    responses: { 200: Type.Object({ items: Type.Array(Provider) }) },
  }),
  departToProvider: route({
    id: 'auth.departToProvider',
    service: 'auth',
    method: 'POST',
    path: '/auth/oidc/{provider}',
    access: 'anyone',
    summary: 'Start signing in with a provider; a cookie binds it to this browser',
    params: ProviderParams,
    responses: { 200: Departure },
    problems: [problems.tooManyRequests, problems.dependencyUnavailable],
  }),
  returnFromProvider: route({
    id: 'auth.returnFromProvider',
    service: 'auth',
    method: 'POST',
    path: '/auth/oidc/{provider}/callback',
    access: 'anyone',
    summary: 'Sign in with what the provider sent the browser back with',
    params: ProviderParams,
    headers: sessionHeaders,
    body: ProviderAnswer,
    responses: { 200: Type.Union([SignedIn, SecondFactorDue]) },
    problems: [
      problems.wrongToken,
      problems.providerRefused,
      problems.identityNotLinked,
      problems.identitiesFull,
      problems.accountDisabled,
      problems.forbidden,
      problems.dependencyUnavailable,
    ],
  }),
  departToLink: route({
    id: 'auth.departToLink',
    service: 'auth',
    method: 'POST',
    path: '/auth/oidc/{provider}/link',
    access: 'user',
    summary: 'Start linking an account at a provider to the caller’s; needs a recent sign-in',
    params: ProviderParams,
    responses: { 200: Departure },
    problems: [problems.reauthenticationRequired, problems.tooManyRequests, problems.dependencyUnavailable],
  }),
  returnToLink: route({
    id: 'auth.returnToLink',
    service: 'auth',
    method: 'POST',
    path: '/auth/oidc/{provider}/link/callback',
    access: 'user',
    summary: 'Link the account at the provider that the browser came back with',
    params: ProviderParams,
    body: ProviderAnswer,
    responses: { 204: none },
    problems: [
      problems.wrongToken,
      problems.providerRefused,
      problems.identityTaken,
      problems.identitiesFull,
      problems.reauthenticationRequired,
      problems.forbidden,
      problems.dependencyUnavailable,
    ],
  }),
  unlinkIdentity: route({
    id: 'auth.unlinkIdentity',
    service: 'auth',
    method: 'DELETE',
    path: '/auth/identities/{id}',
    access: 'user',
    summary: 'Unlink an account at a provider; needs a recent sign-in and ends every other session',
    params: IdParams,
    responses: { 204: none },
    problems: [problems.reauthenticationRequired],
  }),
}
