import { Type } from '../schema.ts'
import * as problems from '../problems.ts'
import { route } from '../route.ts'
import { Email, Id, Language, Strict, Zone } from '../shapes.ts'
import { Accepted, Code, Password, PersonName, MailedToken, User } from './shapes.ts'

// Who registers makes it up, and by it the code, and a new mail, are for that registration and nobody else's of the address.
export const registrationId = Type.String({
  ...Id,
  description: 'UUIDv7 made by the client; one id is one registration',
})

export const registrationRoutes = {
  register: route({
    id: 'auth.register',
    service: 'auth',
    method: 'POST',
    path: '/auth/register',
    access: 'anyone',
    summary: 'Register an address, with a password or without; the answer is the same whether it is known or not',
    body: Strict({
      email: Email,
      password: Type.Optional({ ...Password, description: 'Left out, codes by mail sign in until one is set' }),
      name: Type.Optional({
        ...PersonName,
        description: 'What stands before the `@` of the address, when it is left out',
      }),
      language: Type.Optional({ ...Language, description: 'What `Accept-Language` asks for, when it is left out' }),
      zone: Type.Optional(Zone),
      registrationId: Type.Optional(registrationId),
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
    body: Type.Union([
      Strict({ token: MailedToken }),
      Strict({ email: Email, code: Code, registrationId: Type.Optional(registrationId) }),
    ]),
    responses: { 200: Type.Object({ status: Type.Literal('verified') }) },
    problems: [problems.wrongToken, problems.tooManyRequests],
  }),
  resendVerification: route({
    id: 'auth.resendVerification',
    service: 'auth',
    method: 'POST',
    path: '/auth/verify/resend',
    access: 'anyone',
    summary:
      'Mail a new verification link and code; without a registration they prove the address and bring no password',
    body: Strict({ email: Email, registrationId: Type.Optional(registrationId) }),
    responses: { 202: Accepted },
    problems: [problems.tooManyRequests],
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
}
