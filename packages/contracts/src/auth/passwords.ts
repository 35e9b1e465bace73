import * as problems from '../problems.ts'
import { route } from '../route.ts'
import { Email, Strict } from '../shapes.ts'
import { Accepted, none, Password, MailedToken } from './shapes.ts'

export const passwordRoutes = {
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
    problems: [
      problems.wrongCredentials,
      problems.reauthenticationRequired,
      problems.weakPassword,
      problems.tooManyRequests,
    ],
  }),
}
