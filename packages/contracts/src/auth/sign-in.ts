import { Type } from '../schema.ts'
import * as problems from '../problems.ts'
import { route } from '../route.ts'
import { Email, Strict } from '../shapes.ts'
import { registrationId } from './registration.ts'
import {
  Accepted,
  none,
  MailedCode,
  Password,
  RefreshToken,
  SecondFactorDue,
  SignedIn,
  sessionHeaders,
} from './shapes.ts'

export const signInRoutes = {
  login: route({
    id: 'auth.login',
    service: 'auth',
    method: 'POST',
    path: '/auth/login',
    access: 'anyone',
    summary: 'Sign in with a password or a mailed code; with a registration its code proves the address as well',
    headers: sessionHeaders,
    body: Type.Union([
      Strict({ email: Email, password: Password }),
      Strict({ email: Email, code: MailedCode, registrationId: Type.Optional(registrationId) }),
    ]),
    responses: { 200: Type.Union([SignedIn, SecondFactorDue]) },
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
    summary: 'Mail a code to sign in with: six digits, nine while somebody guesses at the address',
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
}
