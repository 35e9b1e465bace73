import { authEvents, authRoutes, PASSWORD_CHARACTERS_MAX } from '@saas/contracts'
import { Authenticator } from '@saas/devstack'
import type { TestService } from '@saas/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { weaknessOf } from '../src/password-rules.ts'
import {
  decision,
  eventsTo,
  inOrder,
  mailedSecret,
  newUser,
  PASSWORD,
  registered,
  sendTo,
  signIn,
  someone,
  startedAuth,
  tokenOf,
} from './fixtures.ts'

const NEW_PASSWORD = 'seven violet bridges'

let auth: TestService
beforeAll(async () => {
  auth = await startedAuth()
})
afterAll(async () => {
  await auth[Symbol.asyncDispose]()
})

describe('changing the password', () => {
  test('ends every other session and access token, keeps this one, and tells the owner', async () => {
    const email = someone()
    const user = await newUser(auth, email)
    const other = await signIn(auth, email)
    const body = { currentPassword: PASSWORD, newPassword: NEW_PASSWORD }
    expect((await auth.call(authRoutes.changePassword, { body, as: user.as })).status).toBe(204)
    expect((await decision(auth, 'GET', '/profile', other.accessToken)).status).toBe(401)
    expect((await auth.call(authRoutes.refresh, { body: { refreshToken: other.refreshToken } })).status).toBe(401)
    expect((await decision(auth, 'GET', '/profile', user.accessToken)).status).toBe(200)
    expect((await auth.call(authRoutes.refresh, { body: { refreshToken: user.refreshToken } })).status).toBe(200)
    expect(await eventsTo(auth, authEvents.passwordChanged, email)).toHaveLength(1)
    expect((await auth.call(authRoutes.login, { body: { email, password: PASSWORD } })).status).toBe(401)
    await signIn(auth, email, {}, NEW_PASSWORD)
  })

  test('needs the current one, and guessing it is throttled', async () => {
    const user = await newUser(auth)
    const statuses: number[] = []
    for (let guess = 0; guess < 6; guess += 1) {
      const body = { currentPassword: `guess ${guess}`, newPassword: NEW_PASSWORD }
      statuses.push((await auth.call(authRoutes.changePassword, { body, as: user.as })).status)
    }
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429])
  })
})

describe('a forgotten password', () => {
  const forgot = async (email: string, n = 1): Promise<string> => {
    await auth.call(authRoutes.forgotPassword, { body: { email } })
    const secret = await mailedSecret(auth, authEvents.passwordResetRequested, email, n)
    expect(secret.link).toMatch(/^http:\/\/localhost:8080\/reset#token=[\w-]{43}$/)
    return tokenOf(secret)
  }
  const reset = async (token: string, password = NEW_PASSWORD): Promise<number> =>
    (await auth.call(authRoutes.resetPassword, { body: { token, password } })).status

  test('is replaced by the mailed link, once; every session ends', async () => {
    const email = someone()
    const user = await newUser(auth, email)
    const token = await forgot(email)
    expect(inOrder(await Promise.all([reset(token), reset(token)]))).toEqual([204, 400])
    expect((await decision(auth, 'GET', '/profile', user.accessToken)).status).toBe(401)
    expect((await auth.call(authRoutes.refresh, { body: { refreshToken: user.refreshToken } })).status).toBe(401)
    await signIn(auth, email, {}, NEW_PASSWORD)
  })

  test('and a weak new one leave the link good', async () => {
    const email = someone()
    await registered(auth, email)
    const token = await forgot(email)
    expect(await reset(token, 'passwordpassword')).toBe(422)
    expect(await reset(token)).toBe(204)
  })

  test('cannot be replaced by a link that is late, older than the newest, or for something else', async () => {
    const email = someone()
    await auth.call(authRoutes.register, { body: { email, password: PASSWORD, name: 'Ada' } })
    const verification = tokenOf(await mailedSecret(auth, authEvents.verificationRequested, email))
    expect(await reset(verification)).toBe(400)
    const first = await forgot(email)
    const second = await forgot(email, 2)
    expect(await reset(first)).toBe(400)
    auth.clock.advance(3_600_000)
    expect(await reset(second)).toBe(400)
  })

  test.each(['changed', 'reset'])('that is %s voids the codes and links that were mailed before', async (how) => {
    const email = someone()
    const { as } = await newUser(auth, email)
    await auth.call(authRoutes.requestLoginCode, { body: { email } })
    const { code = '' } = await mailedSecret(auth, authEvents.loginCodeRequested, email)
    const token = await forgot(email)
    const body = { currentPassword: PASSWORD, newPassword: NEW_PASSWORD }
    const change = async () => (await auth.call(authRoutes.changePassword, { body, as })).status
    expect(await (how === 'reset' ? reset(token) : change())).toBe(204)
    expect((await auth.call(authRoutes.login, { body: { email, code } })).status).toBe(401)
    expect(await reset(token, 'the thief’s own lantern 7')).toBe(400)
    await signIn(auth, email, {}, NEW_PASSWORD)
  })

  test('lets the owner in while strangers guess, and proves an unproven address', async () => {
    const email = someone()
    await auth.call(authRoutes.register, { body: { email, password: PASSWORD, name: 'Ada' } })
    await mailedSecret(auth, authEvents.verificationRequested, email)
    for (let guess = 0; guess < 6; guess += 1) {
      await auth.call(authRoutes.login, { body: { email, password: `guess ${guess}` } })
    }
    expect(await reset(await forgot(email))).toBe(204)
    await signIn(auth, email, {}, NEW_PASSWORD)
  })
})

describe('a password', () => {
  const owner = { email: 'ada.lovelace@analytical.example', name: 'Ada Lovelace' }

  test.each([
    'correct otter lantern 42',
    'seven violet bridges',
    'Grün-blaue Möwe fliegt',
    'kq8#zr!2vm$x0pw7',
    '🦦🦉🦋🌵🍄🌈🪐🧭🎻🪁🧶🧩🪀🎲🎯',
    'my dog ate the purple submarine',
  ])('like %j will do', (password) => {
    expect(weaknessOf(password, owner)).toBeUndefined()
  })

  test.each([
    'fourteen chars',
    'passwordpassword',
    'Password123456!',
    'P@ssw0rdP@ssw0rd',
    'qwertyuiopasdfghjkl',
    '123456789012345',
    'aaaaaaaaaaaaaaaaaaaa',
    'abababababababab',
    'iloveyouiloveyou',
    'welcome-admin-2026',
    'correcthorsebatterystaple',
    '1q2w3e4r5t6y7u8i',
    'ada.lovelace@analytical.example',
    'AdaLovelace1815',
    'lovelace-lovelace',
    'password lovelace',
  ])('like %j will not', (password) => {
    expect(weaknessOf(password, owner)).toBeDefined()
  })

  test('of 256 characters is judged at once', () => {
    const startedAt = performance.now()
    weaknessOf('passwordqwerty1'.repeat(17), owner)
    expect(performance.now() - startedAt).toBeLessThan(200)
  })

  test.each([129, PASSWORD_CHARACTERS_MAX])(
    'of %i characters of any script opens the account, whole',
    async (length) => {
      const email = someone()
      const words = 'grüne Möwen, 七 紫の橋; tre ponti viola – '.repeat(8)
      const password = words.slice(0, length)
      await auth.call(authRoutes.register, { body: { email, password, name: 'Ada' } })
      const proof = await mailedSecret(auth, authEvents.verificationRequested, email)
      expect((await auth.call(authRoutes.verify, { body: { token: tokenOf(proof) } })).status).toBe(200)
      const shortened = { email, password: password.slice(0, -1) }
      expect((await auth.call(authRoutes.login, { body: shortened })).status).toBe(401)
      await signIn(auth, email, {}, password)
    },
  )

  test('is as long where a second factor is on: the factor may be taken away again', async () => {
    const user = await newUser(auth)
    await Authenticator.enrol(sendTo(auth), user.accessToken, () => auth.clock.now())
    const body = { currentPassword: PASSWORD, newPassword: 'kq8#zr!2vm$x0p' }
    const answer = await auth.call(authRoutes.changePassword, { body, as: user.as })
    expect([answer.status, answer.body.type]).toEqual([422, '/problems/weak-password'])
  })

  test('that is weak is refused with a pointer, before anything is known of the address', async () => {
    const body = { email: someone(), password: 'passwordpassword', name: 'Ada' }
    const answer = await auth.call(authRoutes.register, { body })
    expect(answer.body).toMatchObject({
      status: 422,
      type: '/problems/weak-password',
      errors: [{ pointer: '/password' }],
    })
  })
})
