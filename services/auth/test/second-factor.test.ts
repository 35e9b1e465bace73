import { authEvents, authRoutes, RECOVERY_CODES, totpCode, totpStepAt } from '@saas/contracts'
import { Authenticator } from '@saas/devstack'
import type { TestService } from '@saas/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
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
  type SignedInUser,
  userOf,
} from './fixtures.ts'

let auth: TestService
beforeAll(async () => {
  auth = await startedAuth({ trustedHops: 1 })
})
afterAll(async () => {
  await auth[Symbol.asyncDispose]()
})

type Answer = Awaited<ReturnType<TestService['call']>>

const STEP_MS = 30_000

interface Enrolled {
  readonly email: string
  readonly user: SignedInUser
  readonly app: Authenticator
}

async function enrolled(email = someone()): Promise<Enrolled> {
  const user = await newUser(auth, email)
  const app = await Authenticator.enrol(sendTo(auth), user.accessToken, () => auth.clock.now())
  // The step that was confirmed with is used up.
  auth.clock.advance(STEP_MS)
  return { email, user, app }
}

async function begun(email: string, password = PASSWORD): Promise<string> {
  const answer = await auth.call(authRoutes.login, { body: { email, password } })
  if (answer.body.mfaToken === undefined) throw new Error(`login answered ${JSON.stringify(answer.body)}`)
  return answer.body.mfaToken
}

const codeAt = async (app: Authenticator, stepsAway = 0): Promise<string> =>
  await totpCode(app.secret, totpStepAt(auth.clock.now()) + stepsAway)

const pass = async (mfaToken: string, proof: { code: string } | { recoveryCode: string }): Promise<Answer> =>
  await auth.call(authRoutes.passSecondFactor, { body: { mfaToken, ...proof } })

async function wrongCode(app: Authenticator): Promise<string> {
  const near = await Promise.all([-2, -1, 0, 1, 2].map((steps) => codeAt(app, steps)))
  return ['000000', '111111', '222222', '333333', '444444', '555555'].find((code) => !near.includes(code)) ?? ''
}

describe('an authenticator app', () => {
  test('counts once one of its codes came back; the first factor brings ten recovery codes, the next none', async () => {
    const email = someone()
    const user = await newUser(auth, email)
    const proposal = await auth.call(authRoutes.proposeTotp, { as: user.as })
    expect(proposal).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' }, body: { expiresIn: 600 } })
    expect(proposal.body.uri).toContain(`secret=${proposal.body.secret}`)
    const app = new Authenticator(proposal.body.secret, [])
    const wrong = await auth.call(authRoutes.confirmTotp, { as: user.as, body: { code: await wrongCode(app) } })
    expect(wrong.body.type).toBe('/problems/wrong-credentials')
    await signIn(auth, email)
    const confirmed = await auth.call(authRoutes.confirmTotp, { as: user.as, body: { code: await codeAt(app) } })
    expect(confirmed.status).toBe(200)
    expect(new Set(confirmed.body.recoveryCodes).size).toBe(RECOVERY_CODES)
    const { body } = await auth.call(authRoutes.listFactors, { as: user.as })
    expect(body).toMatchObject({ totp: { createdAt: expect.any(String) as string }, recoveryCodesLeft: 10 })
    auth.clock.advance(STEP_MS)
    const again = await Authenticator.enrol(sendTo(auth), user.accessToken, () => auth.clock.now())
    expect(again.recoveryCodes).toEqual([])
    auth.clock.advance(STEP_MS)
    expect((await pass(await begun(email), { code: await codeAt(app) })).status).toBe(401)
    expect((await pass(await begun(email), { code: await codeAt(again) })).status).toBe(200)
    const told = await eventsTo(auth, authEvents.factorChanged, email)
    expect(told.map(({ data }) => `${data.factor} ${data.change}`)).toEqual(['totp added', 'totp renewed'])
  })

  test('a proposal is good for ten minutes', async () => {
    const user = await newUser(auth)
    const { body } = await auth.call(authRoutes.proposeTotp, { as: user.as })
    auth.clock.advance(600_000)
    await auth.call(authRoutes.reauthenticate, { as: user.as, body: { password: PASSWORD } })
    const late = await auth.call(authRoutes.confirmTotp, {
      as: user.as,
      body: { code: await codeAt(new Authenticator(body.secret, [])) },
    })
    expect(late.body.type).toBe('/problems/wrong-token')
  })

  test('its clock may be one step off, not two', async () => {
    for (const [steps, status] of [
      [-2, 401],
      [2, 401],
      [-1, 200],
      [1, 200],
    ] as const) {
      const { email, app } = await enrolled()
      auth.clock.advance(2 * STEP_MS)
      expect((await pass(await begun(email), { code: await codeAt(app, steps) })).status).toBe(status)
    }
  })

  test('a code counts once, though it is sent by two sign-ins at once, and no older one counts after it', async () => {
    const { email, app } = await enrolled()
    const tokens = [await begun(email), await begun(email), await begun(email)]
    const code = await codeAt(app)
    const statuses = await Promise.all(tokens.map(async (token) => (await pass(token, { code })).status))
    expect(inOrder(statuses)).toEqual([200, 401, 401])
    expect((await pass(await begun(email), { code: await codeAt(app, -1) })).status).toBe(401)
    expect((await pass(await begun(email), { code: await codeAt(app, 1) })).status).toBe(200)
  })

  test('its secret is sealed at rest, for this account alone', async () => {
    const { user, app } = await enrolled()
    const [row] = await auth.database.query<{ sealed: Uint8Array }>(
      'select sealed_secret as sealed from totp where account_id = $1',
      [user.userId],
    )
    const other = await enrolled()
    const raw = Buffer.from(row?.sealed ?? [])
    expect(raw.toString('latin1')).not.toContain(app.secret)
    expect(raw.length).toBe(12 + 20 + 16)
    await auth.database.query('update totp set sealed_secret = $2 where account_id = $1', [other.user.userId, raw])
    expect((await pass(await begun(other.email), { code: await codeAt(app) })).status).toBe(500)
  })

  test('guesses are bounded over all sign-ins of the account, and the owner gets in after a pause', async () => {
    const { email, app } = await enrolled()
    const statuses: number[] = []
    for (let guess = 0; guess < 7; guess += 1) {
      statuses.push((await pass(await begun(email), { code: await wrongCode(app) })).status)
    }
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429, 429])
    auth.clock.advance(60_000)
    expect((await pass(await begun(email), { code: await codeAt(app) })).status).toBe(200)
  })
})

describe('whoever knows the password and has no second factor', () => {
  test('is told of at the third wrong code in a row, once a day, and anew once the password has changed', async () => {
    const { email, app, user } = await enrolled()
    const told = async () => await eventsTo(auth, authEvents.secondFactorFailed, email)
    const guess = async (times: number, password = PASSWORD) => {
      for (let guessed = 0; guessed < times; guessed += 1) {
        const answer = await pass(await begun(email, password), { code: await wrongCode(app) })
        expect(answer.body.type).toBe('/problems/wrong-credentials')
      }
      return (await told()).length
    }
    expect(await guess(2)).toBe(0)
    expect((await pass(await begun(email), { code: await codeAt(app) })).status).toBe(200)
    expect(await guess(2)).toBe(0)
    const body = { mfaToken: await begun(email), recoveryCode: 'aaaaa-aaaaa' }
    const device = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
    const headers = { 'x-forwarded-for': '203.0.113.9', 'user-agent': device }
    expect((await auth.call(authRoutes.passSecondFactor, { body, headers })).status).toBe(401)
    expect(await told()).toMatchObject([
      { data: { userId: user.userId, device: 'Firefox on Linux', address: '203.0.113.9' } },
    ])
    expect(await guess(1)).toBe(1)
    auth.clock.advance(86_400_000 - 1)
    expect(await guess(1)).toBe(1)
    auth.clock.advance(1)
    expect(await guess(1)).toBe(2)
    const newPassword = 'another lantern for otters'
    const code = await codeAt(app)
    expect((await auth.call(authRoutes.reauthenticate, { as: user.as, body: { code } })).status).toBe(204)
    const passwords = { currentPassword: PASSWORD, newPassword }
    expect((await auth.call(authRoutes.changePassword, { as: user.as, body: passwords })).status).toBe(204)
    expect(await guess(2, newPassword)).toBe(2)
    expect(await guess(1, newPassword)).toBe(3)
  })

  test('is not anybody who came by a mailed code, nor one whose passkey was refused', async () => {
    const { email, app } = await enrolled()
    await auth.call(authRoutes.requestLoginCode, { body: { email } })
    const { code = '' } = await mailedSecret(auth, authEvents.loginCodeRequested, email)
    const { body } = await auth.call(authRoutes.login, { body: { email, code } })
    for (let guess = 0; guess < 3; guess += 1) {
      expect((await pass(body.mfaToken, { code: await wrongCode(app) })).status).toBe(401)
    }
    expect((await pass(body.mfaToken, { code: await codeAt(app) })).status).toBe(200)
    const response = { clientDataJSON: 'AAAA', authenticatorData: 'AAAA', signature: 'AAAA' }
    const passkey = { id: 'AAAA', rawId: 'AAAA', type: 'public-key' as const, response, clientExtensionResults: {} }
    const mfaToken = await begun(email)
    for (let failure = 0; failure < 3; failure += 1) {
      const refused = await auth.call(authRoutes.passSecondFactor, { body: { mfaToken, passkey } })
      expect(refused.body.type).toBe('/problems/wrong-credentials')
    }
    expect(await eventsTo(auth, authEvents.secondFactorFailed, email)).toEqual([])
  })
})

describe('recovery codes', () => {
  test('sign in once each, typed in any way, and the owner is told', async () => {
    const { email, app, user } = await enrolled()
    const [first = '', second = ''] = app.recoveryCodes
    const typed = ` ${first.replace('-', '').toUpperCase()}`
    expect((await pass(await begun(email), { recoveryCode: typed })).status).toBe(200)
    expect((await pass(await begun(email), { recoveryCode: first })).status).toBe(401)
    const token = await begun(email)
    const both = [token, await begun(email)].map(
      async (mfaToken) => (await pass(mfaToken, { recoveryCode: second })).status,
    )
    expect(inOrder(await Promise.all(both))).toEqual([200, 401])
    expect((await auth.call(authRoutes.listFactors, { as: user.as })).body.recoveryCodesLeft).toBe(8)
    const told = await eventsTo(auth, authEvents.factorChanged, email)
    expect(told.map(({ data }) => data.change)).toEqual(['added', 'used', 'used'])
  })

  test('are kept as keyed hashes, and new ones void the old', async () => {
    const { email, app, user } = await enrolled()
    const dump = JSON.stringify(await auth.database.query('select * from recovery_code'))
    for (const code of app.recoveryCodes) expect(dump).not.toContain(code.replace('-', ''))
    const renewed = await auth.call(authRoutes.renewRecoveryCodes, { as: user.as })
    expect(renewed.body.recoveryCodes).toHaveLength(RECOVERY_CODES)
    expect((await pass(await begun(email), { recoveryCode: app.recoveryCodes[0] ?? '' })).status).toBe(401)
    expect((await pass(await begun(email), { recoveryCode: renewed.body.recoveryCodes[0] })).status).toBe(200)
  })

  test('are none without a factor that they stand in for', async () => {
    const user = await newUser(auth)
    const answer = await auth.call(authRoutes.renewRecoveryCodes, { as: user.as })
    expect(answer.body.type).toBe('/problems/second-factor-required')
  })
})

describe('signing in with a second factor', () => {
  test('the password leads to the second step, and so does a mailed code; the second step gives the session', async () => {
    const { email, app } = await enrolled()
    const byPassword = await auth.call(authRoutes.login, { body: { email, password: PASSWORD } })
    expect(byPassword).toMatchObject({
      status: 200,
      headers: { 'cache-control': 'no-store' },
      body: { methods: ['totp', 'recovery-code'], expiresIn: 300 },
    })
    expect(Object.keys(byPassword.body).toSorted()).toEqual(['expiresIn', 'methods', 'mfaToken'])
    await auth.call(authRoutes.requestLoginCode, { body: { email } })
    const { code = '' } = await mailedSecret(auth, authEvents.loginCodeRequested, email)
    const byCode = await auth.call(authRoutes.login, { body: { email, code } })
    expect(Object.keys(byCode.body)).toContain('mfaToken')
    const passed = await pass(byCode.body.mfaToken, { code: await codeAt(app) })
    expect(passed.body.user.email).toBe(email)
    const refreshed = await auth.call(authRoutes.refresh, { body: { refreshToken: passed.body.refreshToken } })
    expect(refreshed.status).toBe(200)
  })

  test('a browser gets its cookie after the second step and none before', async () => {
    const { email, app } = await enrolled()
    const headers = { 'x-session-transport': 'cookie' }
    const first = await auth.call(authRoutes.login, { body: { email, password: PASSWORD }, headers })
    expect(first.headers['set-cookie']).toBeUndefined()
    const body = { mfaToken: first.body.mfaToken, code: await codeAt(app) }
    const second = await auth.call(authRoutes.passSecondFactor, { body, headers })
    expect(second.headers['set-cookie']).toContain('refresh=')
    expect(second.body.refreshToken).toBeUndefined()
  })

  test('a begun sign-in ends by being passed, after five minutes, and when the password changes', async () => {
    const { email, app, user } = await enrolled()
    const passed = await begun(email)
    expect((await pass(passed, { code: await codeAt(app) })).status).toBe(200)
    expect((await pass(passed, { code: await codeAt(app, 1) })).body.type).toBe('/problems/wrong-token')
    const old = await begun(email)
    auth.clock.advance(300_000)
    expect((await pass(old, { code: await codeAt(app) })).body.type).toBe('/problems/wrong-token')
    const overtaken = await begun(email)
    const newPassword = 'another lantern for otters'
    await auth.call(authRoutes.changePassword, { as: user.as, body: { currentPassword: PASSWORD, newPassword } })
    expect((await pass(overtaken, { code: await codeAt(app) })).body.type).toBe('/problems/wrong-token')
    expect((await pass('x'.repeat(43), { code: '123456' })).body.type).toBe('/problems/wrong-token')
  })

  test('a token of the first step opens nothing', async () => {
    const { email } = await enrolled()
    const mfaToken = await begun(email)
    expect((await decision(auth, 'GET', '/profile', mfaToken)).status).toBe(401)
    expect((await auth.call(authRoutes.refresh, { body: { refreshToken: mfaToken } })).status).toBe(401)
  })
})

describe('changing what opens an account', () => {
  test('needs somebody who has just proven who they are', async () => {
    const { user, app } = await enrolled()
    auth.clock.advance(600_000)
    for (const route of [authRoutes.proposeTotp, authRoutes.renewRecoveryCodes, authRoutes.removeTotp]) {
      const refused = await auth.call(route, { as: user.as })
      expect(refused.body.type).toBe('/problems/reauthentication-required')
    }
    const passwords = { currentPassword: PASSWORD, newPassword: 'another lantern for otters' }
    const change = async () => await auth.call(authRoutes.changePassword, { as: user.as, body: passwords })
    expect((await change()).body.type).toBe('/problems/reauthentication-required')
    const byPassword = await auth.call(authRoutes.reauthenticate, { as: user.as, body: { password: PASSWORD } })
    expect(byPassword.body.type).toBe('/problems/second-factor-required')
    const wrong = await auth.call(authRoutes.reauthenticate, { as: user.as, body: { code: await wrongCode(app) } })
    expect(wrong.body.type).toBe('/problems/wrong-credentials')
    const right = await auth.call(authRoutes.reauthenticate, { as: user.as, body: { code: await codeAt(app) } })
    expect(right.status).toBe(204)
    expect((await change()).status).toBe(204)
    expect((await auth.call(authRoutes.removeTotp, { as: user.as })).status).toBe(204)
  })

  test('without a factor the password proves it, or a mailed code', async () => {
    const email = someone()
    const user = await newUser(auth, email)
    for (const proof of ['password', 'mailed code'] as const) {
      auth.clock.advance(600_000)
      expect((await auth.call(authRoutes.proposeTotp, { as: user.as })).status).toBe(403)
      await auth.call(authRoutes.requestLoginCode, { body: { email } })
      const { code = '' } = await mailedSecret(auth, authEvents.loginCodeRequested, email, proof === 'password' ? 1 : 2)
      const body = proof === 'password' ? { password: PASSWORD } : { mailedCode: code }
      expect((await auth.call(authRoutes.reauthenticate, { as: user.as, body })).status).toBe(204)
      expect((await auth.call(authRoutes.proposeTotp, { as: user.as })).status).toBe(200)
    }
    const wrong = await auth.call(authRoutes.reauthenticate, { as: user.as, body: { password: 'not it, not at all' } })
    expect(wrong.body.type).toBe('/problems/wrong-credentials')
  })

  test('another account’s session proves nothing, and neither does one that has ended', async () => {
    const [ada, bob] = [await newUser(auth), await newUser(auth)]
    const mixed = { ...ada.as, sessionId: bob.sessionId }
    expect((await auth.call(authRoutes.proposeTotp, { as: mixed })).status).toBe(401)
    await auth.call(authRoutes.logout, { body: { refreshToken: ada.refreshToken } })
    expect((await auth.call(authRoutes.proposeTotp, { as: ada.as })).status).toBe(401)
  })

  test('the first factor ends every other session, and so does replacing one and taking it away', async () => {
    const email = someone()
    const [here, elsewhere] = [await newUser(auth, email), await signIn(auth, email)]
    const enrol = async () => await Authenticator.enrol(sendTo(auth), here.accessToken, () => auth.clock.now())
    const first = await enrol()
    expect((await decision(auth, 'GET', '/profile', elsewhere.accessToken)).status).toBe(401)
    expect((await auth.call(authRoutes.refresh, { body: { refreshToken: elsewhere.refreshToken } })).status).toBe(401)
    expect((await decision(auth, 'GET', '/profile', here.accessToken)).status).toBe(200)
    auth.clock.advance(STEP_MS)
    const another = userOf((await pass(await begun(email), { code: await codeAt(first) })).body)
    const app = await enrol()
    expect((await decision(auth, 'GET', '/profile', another.accessToken)).status).toBe(401)
    auth.clock.advance(STEP_MS)
    const other = userOf((await pass(await begun(email), { code: await codeAt(app) })).body)
    expect((await auth.call(authRoutes.removeTotp, { as: here.as })).status).toBe(204)
    expect((await decision(auth, 'GET', '/profile', other.accessToken)).status).toBe(401)
    expect((await auth.call(authRoutes.removeTotp, { as: here.as })).status).toBe(404)
    await signIn(auth, email)
    const told = await eventsTo(auth, authEvents.factorChanged, email)
    expect(told.map(({ data }) => data.change)).toEqual(['added', 'renewed', 'removed'])
    expect(await auth.database.query('select from recovery_code where account_id = $1', [here.userId])).toEqual([])
  })

  test('a wrong confirmation is counted like any guess', async () => {
    const email = someone()
    await registered(auth, email)
    const user = await signIn(auth, email)
    const { body } = await auth.call(authRoutes.proposeTotp, { as: user.as })
    const code = await wrongCode(new Authenticator(body.secret, []))
    const statuses: number[] = []
    for (let guess = 0; guess < 6; guess += 1) {
      statuses.push((await auth.call(authRoutes.confirmTotp, { as: user.as, body: { code } })).status)
    }
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429])
  })
})
