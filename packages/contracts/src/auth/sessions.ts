import { route } from '../route.ts'
import { IdParams, Page } from '../shapes.ts'
import { none, Session } from './shapes.ts'

export const sessionRoutes = {
  listSessions: route({
    id: 'auth.listSessions',
    service: 'auth',
    method: 'GET',
    path: '/auth/sessions',
    access: 'user',
    summary: 'The caller’s live sessions, newest first',
    responses: { 200: Page(Session) },
  }),
  revokeOtherSessions: route({
    id: 'auth.revokeOtherSessions',
    service: 'auth',
    method: 'DELETE',
    path: '/auth/sessions',
    access: 'user',
    summary: 'End all of the caller’s sessions but this one',
    responses: { 204: none },
  }),
  revokeSession: route({
    id: 'auth.revokeSession',
    service: 'auth',
    method: 'DELETE',
    path: '/auth/sessions/{id}',
    access: 'user',
    summary: 'End one of the caller’s sessions',
    params: IdParams,
    responses: { 204: none },
  }),
}
