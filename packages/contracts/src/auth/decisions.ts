import { Type } from '../schema.ts'
import * as problems from '../problems.ts'
import { route } from '../route.ts'
import { none } from './shapes.ts'

export const decisionRoutes = {
  authn: route({
    id: 'auth.authn',
    service: 'auth',
    method: 'POST',
    path: '/authn',
    access: 'internal',
    summary: 'Who the caller is: 200 with the identity, or 401. For the edge.',
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
      'Whether the caller may use the route of the original request: 200 with an internal token, 401, 403 or 503. For the edge.',
    responses: { 200: none },
    problems: [problems.notSignedIn, problems.forbidden, problems.dependencyUnavailable],
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
}
