import { Type } from 'typebox'
import * as problems from '../problems.ts'
import { route } from '../route.ts'
import { Language, Strict, Zone } from '../shapes.ts'
import { PersonName, Profile, AVATAR_BYTES_MAX } from './shapes.ts'

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
}
