import { Type } from '../schema.ts'
import * as problems from '../problems.ts'
import { route } from '../route.ts'
import { Email, Strict } from '../shapes.ts'
import { Accepted, MailedCode, MailedToken, none, Password, Profile } from './shapes.ts'

export const emailRoutes = {
  changeEmail: route({
    id: 'auth.changeEmail',
    service: 'auth',
    method: 'PUT',
    path: '/auth/email',
    access: 'user',
    summary:
      'Request another address, with the password or a mailed sign-in code; a link and code are sent to the new one',
    body: Type.Union([Strict({ email: Email, currentPassword: Password }), Strict({ email: Email, code: MailedCode })]),
    responses: { 202: Accepted },
    problems: [problems.wrongCredentials, problems.reauthenticationRequired, problems.tooManyRequests],
  }),
  confirmEmail: route({
    id: 'auth.confirmEmail',
    service: 'auth',
    method: 'POST',
    path: '/auth/email/confirm',
    access: 'user',
    summary: 'Prove the new address with the mailed token or code; ends every other session',
    body: Type.Union([Strict({ token: MailedToken }), Strict({ code: MailedCode })]),
    responses: { 200: Profile },
    problems: [problems.wrongToken, problems.addressTaken, problems.tooManyRequests],
  }),
  undoEmail: route({
    id: 'auth.undoEmail',
    service: 'auth',
    method: 'POST',
    path: '/auth/email/undo',
    access: 'anyone',
    summary: 'Undo a change with the token mailed to the old address; ends every session and the password',
    body: Strict({ token: MailedToken }),
    responses: { 204: none },
    problems: [problems.wrongToken, problems.addressTaken, problems.tooManyRequests],
  }),
}
