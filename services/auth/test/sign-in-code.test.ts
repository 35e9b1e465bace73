import { authEvents, authRoutes } from '@saas/contracts'
import type { TestService } from '@saas/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { from, inOrder, mailedSecret, newUser, PASSWORD, registered, someone, startedAuth, userOf } from './fixtures.ts'

let auth: TestService
beforeAll(async () => {
  auth = await startedAuth({ trustedHops: 1 })
})
afterAll(async () => {
  await auth[Symbol.asyncDispose]()
})

describe('signing in by mailed code', () => {
  const askForCode = async (email: string, n = 1): Promise<string> => {
    expect((await auth.call(authRoutes.requestLoginCode, { body: { email } })).status).toBe(202)
    return (await mailedSecret(auth, authEvents.loginCodeRequested, email, n)).code ?? ''
  }

  test('the code signs in once', async () => {
    const { as } = await newUser(auth, 'by-code@example.com')
    const code = await askForCode('by-code@example.com')
    const answer = await auth.call(authRoutes.login, { body: { email: 'by-code@example.com', code } })
    expect(userOf(answer.body).userId).toBe(as.userId)
    expect((await auth.call(authRoutes.login, { body: { email: 'by-code@example.com', code } })).status).toBe(401)
  })

  test('a code for signing in proves nothing else, and one for proving signs nobody in', async () => {
    const email = someone()
    await auth.call(authRoutes.register, { body: { email, password: PASSWORD, name: 'Ada' } })
    const { code = '' } = await mailedSecret(auth, authEvents.verificationRequested, email)
    expect((await auth.call(authRoutes.login, { body: { email, code } })).status).toBe(401)
    expect((await auth.call(authRoutes.verify, { body: { email, code } })).status).toBe(200)
    const signInCode = await askForCode(email)
    expect((await auth.call(authRoutes.verify, { body: { email, code: signInCode } })).status).toBe(400)
  })

  test('a code ends after ten minutes', async () => {
    const email = someone()
    await registered(auth, email)
    const code = await askForCode(email)
    auth.clock.advance(600_000)
    expect((await auth.call(authRoutes.login, { body: { email, code } })).status).toBe(401)
  })

  test('of many right tries at once one signs in', async () => {
    const email = someone()
    await registered(auth, email)
    const code = await askForCode(email)
    const tries = Array.from(
      { length: 4 },
      async () => (await auth.call(authRoutes.login, { body: { email, code } })).status,
    )
    expect(inOrder(await Promise.all(tries))).toEqual([200, 401, 401, 401])
  })
})

describe('guessing a mailed code', () => {
  test('is bounded: five tries a code, ten an address, then a pause, after which the owner gets in', async () => {
    const email = someone()
    await registered(auth, email)
    const codeOf = async (n: number): Promise<string> => {
      await auth.call(authRoutes.requestLoginCode, { body: { email }, headers: from('203.0.113.20') })
      return (await mailedSecret(auth, authEvents.loginCodeRequested, email, n)).code ?? ''
    }
    const tried = async (code: string) =>
      await auth.call(authRoutes.login, { body: { email, code }, headers: from('198.51.100.20') })
    const wrongly = async (code: string, times: number): Promise<number[]> => {
      const statuses: number[] = []
      const wrong = code === '000000' ? '000001' : '000000'
      for (let time = 0; time < times; time += 1) statuses.push((await tried(wrong)).status)
      return statuses
    }
    const first = await codeOf(1)
    expect(await wrongly(first, 5)).toEqual([401, 401, 401, 401, 401])
    expect((await tried(first)).status).toBe(401)
    const second = await codeOf(2)
    expect(await wrongly(second, 5)).toEqual([401, 401, 401, 401, 429])
    const paused = await tried(second)
    expect([paused.status, paused.headers['retry-after']]).toEqual([429, '1'])
    auth.clock.advance(1_000)
    expect((await tried(second)).status).toBe(200)
  })

  test('makes the codes of that address longer, until one was right; who asks for one is told the same', async () => {
    const [guessed, left] = [someone(), someone()]
    for (const email of [guessed, left]) await registered(auth, email)
    const asked = async (email: string) => {
      const { status, body } = await auth.call(authRoutes.requestLoginCode, { body: { email } })
      return { status, body }
    }
    const codeOf = async (email: string, n: number) => {
      await asked(email)
      return (await mailedSecret(auth, authEvents.loginCodeRequested, email, n)).code ?? ''
    }
    const enter = async (code: string) =>
      (await auth.call(authRoutes.login, { body: { email: guessed, code }, headers: from('203.0.113.50') })).status
    for (let guess = 0; guess < 5; guess += 1) {
      expect(await codeOf(guessed, guess + 1)).toMatch(/^\d{6}$/)
      expect(await enter('000000000')).toBe(401)
      auth.clock.advance(300_000)
    }
    expect(await asked(guessed)).toEqual(await asked(left))
    expect(await asked(guessed)).toEqual(await asked(someone()))
    const long = await codeOf(guessed, 8)
    expect(long).toMatch(/^\d{9}$/)
    expect(await codeOf(left, 2)).toMatch(/^\d{6}$/)
    expect(await enter(long)).toBe(200)
    expect(await codeOf(guessed, 9)).toMatch(/^\d{6}$/)
  })

  test('at registrations and new addresses makes theirs longer, too, and a day later it is forgotten', async () => {
    const email = someone()
    const registrationId = crypto.randomUUID()
    await auth.call(authRoutes.register, { body: { email, registrationId } })
    const codeOf = async (n: number) => {
      await auth.call(authRoutes.resendVerification, { body: { email, registrationId } })
      return (await mailedSecret(auth, authEvents.verificationRequested, email, n)).code ?? ''
    }
    for (let guess = 0; guess < 5; guess += 1) {
      await auth.call(authRoutes.verify, { body: { email, code: '000000000', registrationId } })
    }
    expect(await codeOf(2)).toMatch(/^\d{9}$/)
    auth.clock.advance(86_400_000)
    const code = await codeOf(3)
    expect(code).toMatch(/^\d{6}$/)
    const { body } = await auth.call(authRoutes.login, { body: { email, code, registrationId } })
    const { as } = userOf(body)
    const next = someone()
    for (let guess = 0; guess < 5; guess += 1) {
      const body = { email: next, code: '000000000' }
      await auth.call(authRoutes.changeEmail, { as, body, headers: from('203.0.113.60') })
    }
    for (let guess = 0; guess < 5; guess += 1) {
      await auth.call(authRoutes.confirmEmail, { as, body: { code: '000000000' } })
    }
    await auth.call(authRoutes.requestLoginCode, { body: { email } })
    const again = (await mailedSecret(auth, authEvents.loginCodeRequested, email)).code ?? ''
    expect(again).toMatch(/^\d{9}$/)
    await auth.call(authRoutes.changeEmail, { as, body: { email: next, code: again } })
    const mail = await mailedSecret(auth, authEvents.emailChangeRequested, next)
    expect(mail.code).toMatch(/^\d{9}$/)
    expect((await auth.call(authRoutes.confirmEmail, { as, body: { code: mail.code ?? '' } })).status).toBe(200)
  })
})

test.each(['by password', 'by mailed code'])(
  'who signed in %s has mails sent and codes taken from there, whatever strangers ask and guess',
  async (how) => {
    const email = someone()
    const home = from('203.0.113.30')
    const ask = async (headers: Record<string, string>) =>
      (await auth.call(authRoutes.requestLoginCode, { body: { email }, headers })).status
    const signIn = async (proof: { code: string } | { password: string }, headers: Record<string, string>) =>
      (await auth.call(authRoutes.login, { body: { email, ...proof }, headers })).status
    const codeOf = async (n: number) => (await mailedSecret(auth, authEvents.loginCodeRequested, email, n)).code ?? ''
    await registered(auth, email)
    expect(await ask(home)).toBe(202)
    const first = how === 'by password' ? { password: PASSWORD } : { code: await codeOf(1) }
    expect(await signIn(first, home)).toBe(200)
    const asked: number[] = []
    for (let mail = 0; mail < 8; mail += 1) asked.push(await ask(from(`198.51.100.${mail}`)))
    expect(asked.slice(-3)).toEqual([429, 429, 429])
    for (let guess = 0; guess < 12; guess += 1) await signIn({ code: '000000' }, from(`198.51.100.${guess}`))
    expect(await signIn({ code: '000000' }, from('198.51.100.40'))).toBe(429)
    const sent = asked.filter((status) => status === 202).length + 1
    expect(await ask(home)).toBe(202)
    expect(await signIn({ code: await codeOf(sent + 1) }, home)).toBe(200)
  },
)
