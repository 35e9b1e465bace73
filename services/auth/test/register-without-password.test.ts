import { authEvents, authRoutes } from '@saas/contracts'
import { eventually, type TestService } from '@saas/testing'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { eventsTo, mailedSecret, PASSWORD, registered, signIn, startedAuth, tokenOf, userOf } from './fixtures.ts'

let auth: TestService
let email: string
beforeAll(async () => {
  auth = await startedAuth()
})
beforeEach(() => {
  email = `ada.lovelace-${crypto.randomUUID()}@example.com`
})
afterAll(async () => {
  await auth[Symbol.asyncDispose]()
})

const register = async (registrationId: string = crypto.randomUUID()): Promise<string> => {
  const answer = await auth.call(authRoutes.register, { body: { email, registrationId } })
  expect({ status: answer.status, body: answer.body }).toEqual({ status: 202, body: { status: 'accepted' } })
  return registrationId
}
const mailedCode = async (n = 1): Promise<string> =>
  (await mailedSecret(auth, authEvents.verificationRequested, email, n)).code ?? ''
const enter = async (code: string, registrationId?: string) =>
  await auth.call(authRoutes.login, {
    body: registrationId === undefined ? { email, code } : { email, code, registrationId },
  })
const wrong = (code: string): string => (code === '000000' ? '000001' : '000000')

test('an address is all that it takes: the mailed code proves it and signs in, once', async () => {
  const registrationId = await register()
  const code = await mailedCode()
  expect((await enter(wrong(code), registrationId)).status).toBe(401)
  expect((await enter(code, crypto.randomUUID())).status).toBe(401)
  const entered = await enter(code, registrationId)
  expect(entered.status).toBe(200)
  const { body } = await auth.call(authRoutes.getProfile, { as: userOf(entered.body).as })
  expect(body).toMatchObject({ email, name: email.split('@')[0], roles: ['customer'] })
  expect((await enter(code, registrationId)).status).toBe(401)
})

test('no password opens the account until one is set by a mailed link, and codes open it all the same', async () => {
  const registrationId = await register()
  expect((await enter(await mailedCode(), registrationId)).status).toBe(200)
  for (const password of ['', ' ', PASSWORD, '\0'.repeat(12)]) {
    const answer = await auth.call(authRoutes.login, { body: { email, password } })
    expect(answer.status === 401 || answer.status === 400).toBe(true)
  }
  await auth.call(authRoutes.requestLoginCode, { body: { email } })
  const { code = '' } = await mailedSecret(auth, authEvents.loginCodeRequested, email)
  expect((await enter(code)).status).toBe(200)
  await auth.call(authRoutes.forgotPassword, { body: { email } })
  const token = tokenOf(await mailedSecret(auth, authEvents.passwordResetRequested, email))
  const reset = await auth.call(authRoutes.resetPassword, { body: { token, password: PASSWORD } })
  expect(reset.status).toBe(204)
  expect((await signIn(auth, email)).userId).not.toBe('')
})

test('the code of a registration with a password signs in too, and the password is then the account’s', async () => {
  const registrationId = crypto.randomUUID()
  await auth.call(authRoutes.register, { body: { email, password: PASSWORD, name: 'Ada', registrationId } })
  expect((await enter(await mailedCode(), registrationId)).status).toBe(200)
  expect((await signIn(auth, email)).userId).not.toBe('')
})

test('a stranger’s password for the address is dead once its owner has entered without one', async () => {
  const strangers = 'the squatter was here 1'
  await auth.call(authRoutes.register, { body: { email, password: strangers, name: 'Squatter' } })
  await mailedCode(1)
  const registrationId = await register()
  const code = await mailedCode(2)
  expect((await enter(code, registrationId)).status).toBe(200)
  expect((await auth.call(authRoutes.login, { body: { email, password: strangers } })).status).toBe(401)
})

test('a code is good for ten minutes and five tries, whichever route it is tried at', async () => {
  const registrationId = await register()
  const code = await mailedCode()
  for (let round = 0; round < 3; round += 1) await enter(wrong(code), registrationId)
  for (let round = 0; round < 2; round += 1)
    await auth.call(authRoutes.verify, { body: { email, code: wrong(code), registrationId } })
  expect((await enter(code, registrationId)).status).toBe(401)
  await auth.call(authRoutes.resendVerification, { body: { email, registrationId } })
  const next = await mailedCode(2)
  auth.clock.advance(10 * 60_000)
  expect((await enter(next, registrationId)).status).toBe(401)
})

test('of an address that has an account only its owner hears, and no code opens it', async () => {
  await registered(auth, email)
  const registrationId = await register()
  await eventually(async () => (await eventsTo(auth, authEvents.registrationRepeated, email)).length === 1)
  expect((await enter('000000', registrationId)).status).toBe(401)
  expect(await eventsTo(auth, authEvents.verificationRequested, email)).toHaveLength(1)
})
