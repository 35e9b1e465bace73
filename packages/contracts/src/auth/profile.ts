import { Type } from '../schema.ts'
import * as problems from '../problems.ts'
import { route } from '../route.ts'
import { Language, PictureKeyParams, Strict, Zone } from '../shapes.ts'
import { MailPreferences, optionalMailKinds } from '../preferences.ts'
import { AVATAR_BYTES_MAX, MailedCode, DataExport, none, Password, PersonName, Profile } from './shapes.ts'

/** As a form that a mail program sends; multipart ones have long boundaries. */
const UNSUBSCRIBE_BYTES_MAX = 1_000
const unsubscribeParams = Strict({
  token: Type.String({
    maxLength: 128,
    pattern: '^[A-Za-z0-9_.-]+$',
    description: 'Letters, digits, `.`, `-` and `_`',
  }),
})

const cropEdge = Type.Integer({ minimum: 0, maximum: 24_000_000, description: 'In pixels of the upright picture' })

export const profileRoutes = {
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
    problems: [problems.tooManyRequests],
  }),
  deleteProfile: route({
    id: 'auth.deleteProfile',
    service: 'auth',
    method: 'DELETE',
    path: '/profile',
    access: 'user',
    summary: 'Delete the account immediately and for good, with the password or a mailed sign-in code',
    body: Type.Union([Strict({ currentPassword: Password }), Strict({ code: MailedCode })]),
    responses: { 204: none },
    problems: [
      problems.wrongCredentials,
      problems.reauthenticationRequired,
      problems.lastAdministrator,
      problems.tooManyRequests,
    ],
  }),
  exportProfile: route({
    id: 'auth.exportProfile',
    service: 'auth',
    method: 'GET',
    path: '/profile/export',
    access: 'user',
    summary: 'Everything stored about the caller; 202 while a service has not sent its part yet: ask again',
    responses: { 200: DataExport, 202: Type.Object({ status: Type.Literal('pending') }) },
    problems: [problems.tooManyRequests],
  }),
  getPreferences: route({
    id: 'auth.getPreferences',
    service: 'auth',
    method: 'GET',
    path: '/profile/preferences',
    access: 'user',
    summary: 'Which optional mails the caller receives',
    responses: { 200: MailPreferences },
  }),
  changePreferences: route({
    id: 'auth.changePreferences',
    service: 'auth',
    method: 'PATCH',
    path: '/profile/preferences',
    access: 'user',
    summary: 'Switch optional mails on or off; the others stay as they are',
    body: Type.Partial(MailPreferences, { additionalProperties: false }),
    responses: { 200: MailPreferences },
    problems: [problems.tooManyRequests],
    repeatable: true,
  }),
  unsubscribe: route({
    id: 'auth.unsubscribe',
    service: 'auth',
    method: 'POST',
    path: '/auth/unsubscribe/{token}',
    access: 'anyone',
    summary: 'Switch off the mails that the token is about (RFC 8058); a repeated call changes nothing more',
    params: unsubscribeParams,
    upload: {
      mediaTypes: ['application/x-www-form-urlencoded', 'multipart/form-data'],
      bytesMax: UNSUBSCRIBE_BYTES_MAX,
    },
    responses: { 200: Type.Object({ kind: Type.Enum(optionalMailKinds) }) },
    problems: [problems.wrongToken, problems.bodyTooLarge, problems.unsupportedMediaType],
    repeatable: true,
  }),
  showUnsubscribe: route({
    id: 'auth.showUnsubscribe',
    service: 'auth',
    method: 'GET',
    path: '/auth/unsubscribe/{token}',
    access: 'anyone',
    summary: 'Changes nothing; redirects whoever opens the link to the page with the button',
    params: unsubscribeParams,
    responses: { 303: none },
  }),
  putAvatar: route({
    id: 'auth.putAvatar',
    service: 'auth',
    method: 'PUT',
    path: '/profile/avatar',
    access: 'user',
    summary: 'Set the profile picture, whole or cropped to a square: PNG, JPEG, WebP or GIF of at most 2 MB',
    query: Strict({
      left: Type.Optional(cropEdge),
      top: Type.Optional(cropEdge),
      size: Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: 24_000_000,
          description: 'Edge length of the square; if left out, the centre is used',
        }),
      ),
    }),
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
    params: PictureKeyParams,
    responses: { 200: { content: 'image/webp' } },
  }),
}
