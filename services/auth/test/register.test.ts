import { authEvents, authRoutes } from '@saas/contracts'
import { eventually, type TestService } from '@saas/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventsTo, inOrder, mailedSecret, PASSWORD, registered, signIn, startedAuth, tokenOf } from './fixtures.ts'

let auth: TestService
beforeAll(async () => {
  auth = await startedAuth()
})
afterAll(async () => {
  await auth[Symbol.asyncDispose]()
})

const form = (email: string): { email: string; password: string; name: string } => ({
  email,
  password: PASSWORD,
  name: 'Ada Lovelace',
})

describe('registering', () => {
  test('a registered address gets a mail whose link proves it', async () => {
    await auth.call(authRoutes.register, { body: form('ada@example.com') })
    const secret = await mailedSecret(auth, authEvents.verificationRequested, 'ada@example.com')
    expect(secret.link).toMatch(/^http:\/\/localhost:8080\/verify#token=[\w-]{43}$/)
    const answer = await auth.call(authRoutes.verify, { body: { token: tokenOf(secret) } })
    expect(answer).toMatchObject({ status: 200, body: { status: 'verified' } })
    await signIn(auth, 'ada@example.com')
  })

  test.each([
    ['fr-CH, de-AT;q=0.8, en;q=0.5', 'de'],
    ['de;q=0.4, en-GB;q=0.9', 'en'],
    ['de;q=0, *', 'en'],
    ['*;q=0.1, DE', 'de'],
    [`${'x;q='.repeat(1_000)}, ;;,=`, 'en'],
    [undefined, 'en'],
  ])('without a language of its own is in the one that the browser asks for: %s', async (accepted, language) => {
    const email = `${crypto.randomUUID()}@example.com`
    const headers = accepted === undefined ? {} : { 'accept-language': accepted }
    await auth.call(authRoutes.register, { body: { email, password: PASSWORD, name: 'Ada' }, headers })
    await mailedSecret(auth, authEvents.verificationRequested, email)
    const [mail] = await eventsTo(auth, authEvents.verificationRequested, email)
    expect(mail?.data.language).toBe(language)
  })

  test('the mailed code proves the address as well', async () => {
    const email = 'code@example.com'
    await auth.call(authRoutes.register, { body: form(email) })
    const { code = '' } = await mailedSecret(auth, authEvents.verificationRequested, email)
    expect((await auth.call(authRoutes.verify, { body: { email, code } })).status).toBe(200)
    await signIn(auth, email)
  })

  test('known and unknown addresses get the same answer, and only the owner is told', async () => {
    const email = 'known@example.com'
    await registered(auth, email)
    const known = await auth.call(authRoutes.register, { body: form('Known@Example.com') })
    const unknown = await auth.call(authRoutes.register, { body: form('unknown@example.com') })
    expect([known.status, known.body]).toEqual([unknown.status, unknown.body])
    await eventually(async () => (await eventsTo(auth, authEvents.registrationRepeated, email)).length === 1)
    expect(await eventsTo(auth, authEvents.verificationRequested, email)).toHaveLength(1)
  })

  test.each([
    ['register', authRoutes.register, form],
    ['resend', authRoutes.resendVerification, (email: string) => ({ email })],
    ['login code', authRoutes.requestLoginCode, (email: string) => ({ email })],
    ['forgot', authRoutes.forgotPassword, (email: string) => ({ email })],
  ] as const)('%s answers without looking at accounts, and makes good for it later', async (_, route, body) => {
    const email = `${crypto.randomUUID()}@example.com`
    await auth.call(authRoutes.register, { body: form(email) })
    await mailedSecret(auth, authEvents.verificationRequested, email)
    const before = await mailsTo(email)
    await auth.database.query('alter table account rename to account_away')
    const known = await auth.call(route, { body: body(email) as never })
    const unknown = await auth.call(route, { body: body(`${crypto.randomUUID()}@example.com`) as never })
    await auth.database.query('alter table account_away rename to account')
    expect(known).toMatchObject({ status: 202, body: { status: 'accepted' } })
    expect([unknown.status, unknown.body]).toEqual([known.status, known.body])
    await eventually(async () => {
      auth.clock.advance(5_000)
      return (await mailsTo(email)) === before + 1
    })
  })

  test('a mailed token works once, and of two uses at once one wins', async () => {
    const email = 'once@example.com'
    await auth.call(authRoutes.register, { body: form(email) })
    const token = tokenOf(await mailedSecret(auth, authEvents.verificationRequested, email))
    const answers = await Promise.all(
      Array.from({ length: 5 }, async () => (await auth.call(authRoutes.verify, { body: { token } })).status),
    )
    expect(inOrder(answers)).toEqual([200, 400, 400, 400, 400])
  })

  test('a mailed token ends after a day and a code after ten minutes', async () => {
    const email = 'late@example.com'
    await auth.call(authRoutes.register, { body: form(email) })
    const { code = '' } = await mailedSecret(auth, authEvents.verificationRequested, email)
    auth.clock.advance(10 * 60_000)
    expect((await auth.call(authRoutes.verify, { body: { email, code } })).body.type).toBe('/problems/wrong-token')
    const token = tokenOf(await mailedSecret(auth, authEvents.verificationRequested, email))
    auth.clock.advance(24 * 3_600_000 - 10 * 60_000)
    expect((await auth.call(authRoutes.verify, { body: { token } })).body.type).toBe('/problems/wrong-token')
  })

  test('a code bears five tries, then not even the right one counts', async () => {
    const email = 'tries@example.com'
    await auth.call(authRoutes.register, { body: form(email) })
    const { code = '' } = await mailedSecret(auth, authEvents.verificationRequested, email)
    const wrong = code === '000000' ? '000001' : '000000'
    for (let tries = 0; tries < 5; tries += 1) {
      expect((await auth.call(authRoutes.verify, { body: { email, code: wrong } })).status).toBe(400)
    }
    expect((await auth.call(authRoutes.verify, { body: { email, code } })).status).toBe(400)
  })

  test('a new mail of a registration voids the token and the code of the one before', async () => {
    const email = 'again@example.com'
    const registrationId = crypto.randomUUID()
    await auth.call(authRoutes.register, { body: { ...form(email), registrationId } })
    const first = await mailedSecret(auth, authEvents.verificationRequested, email)
    await auth.call(authRoutes.resendVerification, { body: { email, registrationId } })
    const second = await mailedSecret(auth, authEvents.verificationRequested, email, 2)
    const prove = async (code = ''): Promise<number> =>
      (await auth.call(authRoutes.verify, { body: { email, code, registrationId } })).status
    expect((await auth.call(authRoutes.verify, { body: { token: tokenOf(first) } })).status).toBe(400)
    // Once in a million both codes are the same.
    expect(first.code === second.code || (await prove(first.code)) === 400).toBe(true)
    expect(await prove(second.code)).toBe(200)
    await signIn(auth, email)
  })

  test('a registration that is sent again, because its answer was lost, mails nothing more', async () => {
    const email = 'repeated@example.com'
    const body = { ...form(email), registrationId: crypto.randomUUID() }
    await auth.call(authRoutes.register, { body })
    await auth.call(authRoutes.register, { body })
    // Requests are applied in order, so that the mail of this one comes after whatever the second would have made.
    await auth.call(authRoutes.resendVerification, { body: { email, registrationId: body.registrationId } })
    await mailedSecret(auth, authEvents.verificationRequested, email, 2)
    expect(await eventsTo(auth, authEvents.verificationRequested, email)).toHaveLength(2)
  })

  test('no token, code or password is in a row, an event or the log', async () => {
    const email = 'secret@example.com'
    await auth.call(authRoutes.register, { body: form(email) })
    const secret = await mailedSecret(auth, authEvents.verificationRequested, email)
    const dump = await auth.database.query<{ text: string }>(
      `select t::text as text from outbox t union all select t::text from mailed_token t
       union all select t::text from mailed_code t union all select t::text from account t
       union all select t::text from account_request t union all select t::text from throttle t`,
    )
    const everything = [...dump.map(({ text }) => text), auth.log.text()].join('\n')
    expect(everything).not.toContain(tokenOf(secret))
    expect(everything).not.toContain(PASSWORD)
    expect(everything).not.toMatch(new RegExp(`\\D${secret.code}\\D`))
  })

  test('bad input names the field', async () => {
    const answer = await auth.call(authRoutes.register, {
      body: { ...form('not an address'), surplus: 1 } as never,
    })
    expect(answer.status).toBe(400)
    const pointers = new Set(answer.body.errors.map(({ pointer }: { pointer: string }) => pointer))
    expect(pointers).toEqual(new Set(['/email', '/surplus']))
    const long = await auth.call(authRoutes.register, { body: form(`${'a'.repeat(65)}@example.com`) })
    expect(long.body).toMatchObject({ status: 400, errors: [{ pointer: '/email' }] })
    const zone = await auth.call(authRoutes.register, { body: { ...form('zone@example.com'), zone: 'Mars/Olympus' } })
    expect(zone.body).toMatchObject({ status: 400, errors: [{ pointer: '/zone' }] })
    const name = await auth.call(authRoutes.register, { body: { ...form('name@example.com'), name: 'A\r\nBcc: x' } })
    expect(name.body).toMatchObject({ status: 400, errors: [{ pointer: '/name' }] })
  })

  test('the events of one account are numbered one by one', async () => {
    const email = 'numbered@example.com'
    await registered(auth, email)
    await signIn(auth, email)
    const rows = await auth.database.query<{ version: number }>(
      `select aggregate_version::integer as version from outbox
       where aggregate_id = (select id::text from account where email_key = $1) order by 1`,
      [email],
    )
    expect(rows.map(({ version }) => version)).toEqual(rows.map((_, index) => index + 1))
    expect(rows.length).toBeGreaterThanOrEqual(4)
  })
})

async function mailsTo(email: string): Promise<number> {
  const [row] = await auth.database.query<{ mails: number }>(
    `select count(*)::integer as mails from outbox where data ->> 'email' = $1 and data ? 'secret'`,
    [email],
  )
  return row?.mails ?? 0
}
