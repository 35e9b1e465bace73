import { authRoutes } from '@saas/contracts'
import { Authenticator } from '@saas/devstack'
import type { TestService } from '@saas/testing'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  administratorWithFactor,
  BOOTSTRAP_TOKEN,
  decision,
  newUser,
  PASSWORD,
  sendTo,
  signIn,
  startedAuth,
  userOf,
  type SignedInUser,
} from './fixtures.ts'

const email = 'root@example.com'
let auth: TestService
let admin: SignedInUser
let authenticator: Authenticator
beforeAll(async () => {
  auth = await startedAuth()
  const body = { bootstrapToken: BOOTSTRAP_TOKEN, email, password: PASSWORD, name: 'Grace Hopper' }
  await auth.call(authRoutes.bootstrap, { body })
})
afterAll(async () => {
  await auth[Symbol.asyncDispose]()
})

describe('an administrator without a second factor', () => {
  test('signs in to a session that can set one up and is a customer’s otherwise', async () => {
    const answer = await auth.call(authRoutes.login, { body: { email, password: PASSWORD } })
    expect(answer.body).toMatchObject({ secondFactorRequired: true, user: { roles: ['admin'] } })
    const { accessToken } = answer.body
    expect(decodeJwt(accessToken)).toMatchObject({ roles: ['customer'], mfa: 'required' })
    for (const [method, path] of [
      ['GET', '/auth/users'],
      ['POST', '/product'],
      ['GET', '/admin/orders/lag'],
    ] as const) {
      const refused = await decision(auth, method, path, accessToken)
      expect([refused.status, refused.headers['x-refusal']]).toEqual([403, 'second-factor-required'])
    }
    for (const [method, path] of [
      ['GET', '/profile'],
      ['POST', '/auth/totp'],
      ['GET', '/order'],
    ] as const) {
      expect((await decision(auth, method, path, accessToken)).status).toBe(200)
    }
    const listing = await auth.call(authRoutes.listUsers, { as: userOf(answer.body).as })
    expect(listing.status).toBe(403)
  })

  test('stays one however often the session is refreshed and the password proven', async () => {
    const { refreshToken, as } = await signIn(auth, email)
    expect((await auth.call(authRoutes.reauthenticate, { as, body: { password: PASSWORD } })).status).toBe(204)
    const refreshed = await auth.call(authRoutes.refresh, { body: { refreshToken } })
    expect(refreshed.body.secondFactorRequired).toBe(true)
    expect((await decision(auth, 'GET', '/auth/users', refreshed.body.accessToken)).status).toBe(403)
  })

  test('has the roles from the refresh after setting one up', async () => {
    const found = await administratorWithFactor(auth, email)
    admin = found.user
    authenticator = found.authenticator
    expect((await decision(auth, 'GET', '/auth/users', admin.accessToken)).status).toBe(200)
    expect(decodeJwt(admin.accessToken)).not.toHaveProperty('mfa')
  })
})

describe('an administrator with a second factor', () => {
  test('has the roles once it is passed', async () => {
    auth.clock.advance(60_000)
    const first = await auth.call(authRoutes.login, { body: { email, password: PASSWORD } })
    const body = { mfaToken: first.body.mfaToken, ...(await authenticator.proof()) }
    const { accessToken, secondFactorRequired } = (await auth.call(authRoutes.passSecondFactor, { body })).body
    expect(secondFactorRequired).toBeUndefined()
    expect((await decision(auth, 'GET', '/auth/users', accessToken)).status).toBe(200)
  })

  test('keeps the last one', async () => {
    const kept = await auth.call(authRoutes.removeTotp, { as: admin.as })
    expect(kept.body).toMatchObject({ status: 403, type: '/problems/second-factor-required' })
    const { body } = await auth.call(authRoutes.listFactors, { as: admin.as })
    expect(body.totp).not.toBeNull()
  })

  test('who is made one later has the new role only once a second factor is passed', async () => {
    const user = await newUser(auth, 'ada@example.com')
    const params = { id: user.userId }
    const body = { roles: ['admin' as const, 'manager' as const] }
    expect((await auth.call(authRoutes.setRoles, { params, body, as: admin.as })).status).toBe(200)
    const before = await auth.call(authRoutes.refresh, { body: { refreshToken: user.refreshToken } })
    expect(before.body.secondFactorRequired).toBe(true)
    expect((await decision(auth, 'POST', '/product', before.body.accessToken)).status).toBe(403)
    await Authenticator.enrol(sendTo(auth), before.body.accessToken, () => auth.clock.now())
    const after = await auth.call(authRoutes.refresh, { body: { refreshToken: before.body.refreshToken } })
    expect((await decision(auth, 'GET', '/auth/users', after.body.accessToken)).status).toBe(200)
  })

  test('who had a second factor and took it away is withheld the role too', async () => {
    const user = await newUser(auth, 'bob@example.com')
    await Authenticator.enrol(sendTo(auth), user.accessToken, () => auth.clock.now())
    expect((await auth.call(authRoutes.removeTotp, { as: user.as })).status).toBe(204)
    const params = { id: user.userId }
    await auth.call(authRoutes.setRoles, { params, body: { roles: ['admin'] }, as: admin.as })
    const refreshed = await auth.call(authRoutes.refresh, { body: { refreshToken: user.refreshToken } })
    expect(refreshed.body.secondFactorRequired).toBe(true)
  })
})
