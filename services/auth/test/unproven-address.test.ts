import { authEvents, authRoutes } from '@saas/contracts'
import { eventually, type TestService } from '@saas/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { eventsTo, mailedSecret, PASSWORD, registered, signIn, startedAuth, tokenOf, userOf } from './fixtures.ts'

const SQUATTED = 'the squatter was here 1'

let auth: TestService
let email: string
beforeAll(async () => {
  auth = await startedAuth()
})
beforeEach(() => {
  email = `${crypto.randomUUID()}@example.com`
})
afterAll(async () => {
  await auth[Symbol.asyncDispose]()
})

const register = async (password: string, name: string, registrationId: string = crypto.randomUUID()) =>
  await auth.call(authRoutes.register, {
    body: { email, password, name, registrationId, ...(name === 'Squatter' ? { zone: 'Asia/Tokyo' } : {}) },
  })
const verificationMail = async (n: number) => await mailedSecret(auth, authEvents.verificationRequested, email, n)
const login = async (password: string): Promise<[number, string | undefined]> => {
  const { status, body } = await auth.call(authRoutes.login, { body: { email, password } })
  return [status, body.type]
}
/** Nobody gets in by the squatter's password, which is answered like any that never was, and nobody is called what the squatter said. */
const squatterIsOut = async (): Promise<void> => {
  expect(await login(SQUATTED)).toEqual([401, '/problems/wrong-credentials'])
  const named = await auth.database.query('select name, zone from account where email_key = $1', [email])
  expect(named).toEqual([{ name: expect.not.stringMatching('Squatter'), zone: null }])
  const told = await auth.database.query(
    `select subject from outbox where subject <> $1 and data ->> 'email' = $2 and data ->> 'name' = 'Squatter'`,
    [authEvents.verificationRequested.subject, email],
  )
  expect(told).toEqual([])
}

const keptRegistrations = async (): Promise<number> => {
  const rows = await auth.database.query(
    'select r.id from registration r join account a on a.id = r.account_id where a.email_key = $1',
    [email],
  )
  return rows.length
}

test('an address that nobody proves is forgotten after thirty days, by everybody, and can be registered anew', async () => {
  await using old = await startedAuth()
  const day = 86_400_000
  const left = async () =>
    (await old.database.query<{ email: string }>('select email from account order by email')).map(({ email }) => email)
  const registers = async (address: string) =>
    await old.call(authRoutes.register, { body: { email: address, password: PASSWORD, name: 'Ada' } })
  await registered(old, 'proven@example.com')
  for (const name of ['never', 'manager', 'shut', 'again']) {
    await registers(`${name}@example.com`)
    await mailedSecret(old, authEvents.verificationRequested, `${name}@example.com`)
  }
  const [{ id } = { id: '' }] = await old.database.query<{ id: string }>(
    `select id from account where email = 'never@example.com'`,
  )
  await old.database.query(`update account set roles = '{manager}' where email = 'manager@example.com'`)
  await old.database.query(`update account set disabled_at = now() where email = 'shut@example.com'`)
  const all = await left()
  old.clock.advance(29 * day)
  await registers('again@example.com')
  await mailedSecret(old, authEvents.verificationRequested, 'again@example.com', 2)
  await eventually(async () => (await old.database.query('select from registration')).length === 1)
  expect(await left()).toEqual(all)
  old.clock.advance(2 * day)
  await eventually(async () => {
    // What forgets may have been at work when the days went by, and looks at the clock again after a quarter of an hour.
    old.clock.advance(900_000)
    return !(await left()).includes('never@example.com')
  })
  expect(await left()).toEqual(all.filter((address) => address !== 'never@example.com'))
  const events = await old.database.query<{ subject: string }>(
    'select subject from outbox where aggregate_id = $1 order by aggregate_version',
    [id],
  )
  expect(events.at(-1)?.subject).toBe(authEvents.userDeleted.subject)
  expect((await registers('never@example.com')).status).toBe(202)
  await mailedSecret(old, authEvents.verificationRequested, 'never@example.com', 2)
})

describe('a stranger who registers an address has no password alive once its owner', () => {
  test.each(['before', 'after'])('proves a registration of their own that came %s it', async (when) => {
    const owners = crypto.randomUUID()
    if (when === 'after') await register(SQUATTED, 'Squatter')
    await register(PASSWORD, 'Ada Lovelace', owners)
    if (when === 'before') await register(SQUATTED, 'Squatter')
    await verificationMail(2)
    const mails = await eventsTo(auth, authEvents.verificationRequested, email)
    const own = mails.findIndex(({ data }) => data.name === 'Ada Lovelace') + 1
    const { link = '' } = await verificationMail(own)
    const token = tokenOf({ link })
    expect((await auth.call(authRoutes.verify, { body: { token } })).status).toBe(200)
    const signedIn = await signIn(auth, email)
    expect((await auth.call(authRoutes.getProfile, { as: signedIn.as })).body.name).toBe('Ada Lovelace')
    await squatterIsOut()
  })

  test('types the code of their own mail', async () => {
    const owners = crypto.randomUUID()
    await register(PASSWORD, 'Ada Lovelace', owners)
    const own = await verificationMail(1)
    await register(SQUATTED, 'Squatter')
    await verificationMail(2)
    const body = { email, code: own.code ?? '', registrationId: owners }
    expect((await auth.call(authRoutes.verify, { body })).status).toBe(200)
    await signIn(auth, email)
    await squatterIsOut()
  })

  test('signs in by a mailed code', async () => {
    await register(SQUATTED, 'Squatter')
    await verificationMail(1)
    await auth.call(authRoutes.requestLoginCode, { body: { email } })
    const { code = '' } = await mailedSecret(auth, authEvents.loginCodeRequested, email)
    const answer = await auth.call(authRoutes.login, { body: { email, code } })
    expect(answer.status).toBe(200)
    await squatterIsOut()
    const { as } = userOf(answer.body)
    const passwords = { currentPassword: SQUATTED, newPassword: PASSWORD }
    expect((await auth.call(authRoutes.changePassword, { as, body: passwords })).status).toBe(401)
  })

  test('resets the password', async () => {
    await register(SQUATTED, 'Squatter')
    await verificationMail(1)
    await auth.call(authRoutes.forgotPassword, { body: { email } })
    const { link = '' } = await mailedSecret(auth, authEvents.passwordResetRequested, email)
    const body = { token: tokenOf({ link }), password: PASSWORD }
    expect((await auth.call(authRoutes.resetPassword, { body })).status).toBe(204)
    await signIn(auth, email)
    await squatterIsOut()
  })

  test('has a mail sent again without saying for which registration', async () => {
    await register(SQUATTED, 'Squatter')
    await verificationMail(1)
    await auth.call(authRoutes.resendVerification, { body: { email } })
    const { code = '' } = await verificationMail(2)
    expect((await auth.call(authRoutes.verify, { body: { email, code } })).status).toBe(200)
    await squatterIsOut()
  })
})

test('a code that a stranger’s registration had mailed is wrong for the owner’s', async () => {
  const owners = crypto.randomUUID()
  await register(PASSWORD, 'Ada Lovelace', owners)
  const own = await verificationMail(1)
  await register(SQUATTED, 'Squatter')
  const { code = '' } = await verificationMail(2)
  // Once in a million both are the same.
  if (code === own.code) return
  const answer = await auth.call(authRoutes.verify, { body: { email, code, registrationId: owners } })
  expect(answer.body.type).toBe('/problems/wrong-token')
})

test('an id that is written in capitals is the same registration, also when a mail is sent again', async () => {
  const registrationId = crypto.randomUUID().toUpperCase()
  await register(PASSWORD, 'Owner', registrationId)
  await auth.call(authRoutes.resendVerification, { body: { email, registrationId } })
  const { code = '' } = await mailedSecret(auth, authEvents.verificationRequested, email, 2)
  expect((await auth.call(authRoutes.verify, { body: { email, code, registrationId } })).status).toBe(200)
  await signIn(auth, email)
})

test('a stranger who uses up the tries of an address leaves those of the owner’s registration', async () => {
  const owners = crypto.randomUUID()
  await register(PASSWORD, 'Ada Lovelace', owners)
  const { code = '' } = await verificationMail(1)
  const wrong = code === '000000' ? '000001' : '000000'
  for (let tries = 0; tries < 6; tries += 1) await auth.call(authRoutes.verify, { body: { email, code: wrong } })
  expect((await auth.call(authRoutes.verify, { body: { email, code, registrationId: owners } })).status).toBe(200)
})

test('once an address is proven, no other registration of it is any good', async () => {
  await register(SQUATTED, 'Squatter')
  const squatters = await verificationMail(1)
  await register(PASSWORD, 'Ada Lovelace')
  const own = await verificationMail(2)
  expect((await auth.call(authRoutes.verify, { body: { token: tokenOf(own) } })).status).toBe(200)
  expect((await auth.call(authRoutes.verify, { body: { token: tokenOf(squatters) } })).status).toBe(400)
  expect(await keptRegistrations()).toBe(0)
  await squatterIsOut()
})

test('the right password of an unproven address says so, and mails a proof of this registration', async () => {
  await register(PASSWORD, 'Ada Lovelace')
  await verificationMail(1)
  expect(await login(PASSWORD)).toEqual([403, '/problems/address-not-verified'])
  const again = await verificationMail(2)
  expect((await auth.call(authRoutes.verify, { body: { token: tokenOf(again) } })).status).toBe(200)
  await signIn(auth, email)
})

test('an id that another registration has brings nobody’s password to it', async () => {
  const owners = crypto.randomUUID()
  await register(PASSWORD, 'Ada Lovelace', owners)
  const own = await verificationMail(1)
  await register(SQUATTED, 'Squatter', owners)
  await auth.call(authRoutes.resendVerification, { body: { email, registrationId: owners } })
  const again = await verificationMail(2)
  expect((await auth.call(authRoutes.verify, { body: { token: tokenOf(own) } })).status).toBe(400)
  expect((await auth.call(authRoutes.verify, { body: { token: tokenOf(again) } })).status).toBe(200)
  await signIn(auth, email)
  await squatterIsOut()
})

test('many registrations of one address leave a bounded number', async () => {
  for (let n = 0; n < 22; n += 1) {
    auth.clock.advance(3_600_000)
    await register(SQUATTED, 'Squatter')
    await verificationMail(n + 1)
  }
  expect(await keptRegistrations()).toBe(20)
})
