import { Type } from '../schema.ts'
import { roles } from '../access.ts'
import * as problems from '../problems.ts'
import { route } from '../route.ts'
import { IdParams, Page, Strict, pageQuery } from '../shapes.ts'
import { none, User, RoleName } from './shapes.ts'

export const userRoutes = {
  listUsers: route({
    id: 'auth.listUsers',
    service: 'auth',
    method: 'GET',
    path: '/auth/users',
    access: 'admin',
    summary: 'All users, newest first',
    query: Strict({ ...pageQuery, q: Type.Optional(Type.String({ minLength: 1, maxLength: 254 })) }),
    responses: { 200: Page(User) },
  }),
  setRoles: route({
    id: 'auth.setRoles',
    service: 'auth',
    method: 'PUT',
    path: '/auth/users/{id}/roles',
    access: 'admin',
    summary: 'Set a user’s roles',
    params: IdParams,
    body: Strict({ roles: Type.Array(RoleName, { minItems: 1, maxItems: roles.length, uniqueItems: true }) }),
    responses: { 200: User },
    problems: [problems.lastAdministrator],
  }),
  resetFactors: route({
    id: 'auth.resetFactors',
    service: 'auth',
    method: 'DELETE',
    path: '/auth/users/{id}/factors',
    access: 'admin',
    summary: 'Remove the second factors of a user who has lost them; ends their sessions and notifies them',
    params: IdParams,
    responses: { 204: none },
    problems: [problems.secondFactorRequired],
  }),
  setDisabled: route({
    id: 'auth.setDisabled',
    service: 'auth',
    method: 'PUT',
    path: '/auth/users/{id}/disabled',
    access: 'admin',
    summary: 'Disable a user’s account, or enable it again',
    params: IdParams,
    body: Strict({ disabled: Type.Boolean() }),
    responses: { 200: User },
    problems: [problems.lastAdministrator],
  }),
}
