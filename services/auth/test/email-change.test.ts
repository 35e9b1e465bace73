import { authEvents, authRoutes } from '@saas/contracts'
import { eventually, type TestService } from '@saas/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
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
  startedAuth,
  tokenOf,
  type SignedInUser,
} from './fixtures.ts'
import { Authenticator } from '@saas/devstack'
import { SoftwarePasskey } from './software-passkey.ts'

let auth: TestService
let user: SignedInUser
let email: string
let next: string
beforeAll(async () => {
  auth = await startedAuth()
})
beforeEach(async () => {
  email = `${crypto.randomUUID()}@example.com`
  next = `${crypto.randomUUID()}@example.com`
  user = await newUser(auth, email)
})
afterAll(async () => {
  await auth[Symbol.asyncDispose]()
})

const ask = async (to = next, reproof: object = { currentPassword: PASSWORD }) =>
  await auth.call(authRoutes.changeEmail, { as: user.as, body: { email: to, ...reproof } as never })
const mail = async (to = next) => await mailedSecret(auth, authEvents.emailChangeRequested, to)
const confirm = async (body: { token: string } | { code: string }, as = user.as) =>
  await auth.call(authRoutes.confirmEmail, { as, body })
const moved = async (): Promise<void> => {
  await ask()
  const answer = await confirm({ token: tokenOf(await mail()) })
  if (answer.status !== 200) throw new Error(`confirm answered ${answer.status}`)
}
const profileEmail = async (): Promise<string> => (await auth.call(authRoutes.getProfile, { as: user.as })).body.email
const login = async (address: string, password = PASSWORD): Promise<number> =>
  (await auth.call(authRoutes.login, { body: { email: address, password } })).status

describe('moving to another address', () => {
  test('takes the password and the link mailed to the new address, and others hear of it', async () => {
    expect((await ask()).status).toBe(202)
    const secret = await mail()
    expect(secret.link).toMatch(/^http:\/\/localhost:8080\/email#token=[\w-]{43}$/)
    expect(await profileEmail()).toBe(email)
    expect(await confirm({ token: tokenOf(secret) })).toMatchObject({ status: 200, body: { email: next } })
    expect(await login(next)).toBe(200)
    expect(await login(email)).toBe(401)
    expect((await eventsTo(auth, authEvents.userChanged, next)).at(-1)?.data).toMatchObject({ userId: user.userId })
  })

  test('takes a code instead of the password, and the code of the mail instead of its link', async () => {
    await auth.call(authRoutes.requestLoginCode, { body: { email } })
    const { code = '' } = await mailedSecret(auth, authEvents.loginCodeRequested, email)
    expect((await ask(next, { code })).status).toBe(202)
    expect((await confirm({ code: (await mail()).code ?? '' })).status).toBe(200)
    expect(await profileEmail()).toBe(next)
  })

  test('ends every other session and keeps the one that asked, at the edge too', async () => {
    const other = await signIn(auth, email)
    await moved()
    expect((await decision(auth, 'GET', '/profile', other.accessToken)).status).toBe(401)
    expect((await decision(auth, 'GET', '/profile', user.accessToken)).status).toBe(200)
    const refreshed = async (refreshToken: string): Promise<number> =>
      (await auth.call(authRoutes.refresh, { body: { refreshToken } })).status
    expect([await refreshed(other.refreshToken), await refreshed(user.refreshToken)]).toEqual([401, 200])
  })

  test('voids what was mailed to the old address: its reader cannot reset the password any more', async () => {
    await auth.call(authRoutes.forgotPassword, { body: { email } })
    const reset = await mailedSecret(auth, authEvents.passwordResetRequested, email)
    await auth.call(authRoutes.requestLoginCode, { body: { email } })
    const { code = '' } = await mailedSecret(auth, authEvents.loginCodeRequested, email)
    await moved()
    const body = { token: tokenOf(reset), password: 'quite another lantern 7' }
    expect((await auth.call(authRoutes.resetPassword, { body })).body.type).toBe('/problems/wrong-token')
    expect((await auth.call(authRoutes.login, { body: { email, code } })).status).toBe(401)
  })

  test.each([
    ['a wrong password', { currentPassword: 'not the password at all' }],
    ['a wrong code', { code: '000000' }],
  ])('%s mails nothing', async (_, reproof) => {
    expect((await ask(next, reproof)).status).toBe(401)
    await auth.call(authRoutes.forgotPassword, { body: { email } })
    await mailedSecret(auth, authEvents.passwordResetRequested, email)
    expect(await eventsTo(auth, authEvents.emailChangeRequested, next)).toEqual([])
  })

  test('a taken address gets the same answer, and only its owner is told', async () => {
    const taken = `${crypto.randomUUID()}@example.com`
    await registered(auth, taken)
    const answers = [await ask(taken), await ask(next)]
    expect(answers[0]?.status).toBe(answers[1]?.status)
    expect(answers[0]?.body).toEqual(answers[1]?.body)
    await eventually(async () => (await eventsTo(auth, authEvents.registrationRepeated, taken)).length === 1)
    expect(await eventsTo(auth, authEvents.emailChangeRequested, taken)).toEqual([])
  })

  test('the answer does not wait for accounts to be looked at', async () => {
    await auth.database.query('alter table email_change rename to email_change_away')
    const answer = await ask()
    await auth.database.query('alter table email_change_away rename to email_change')
    expect(answer.status).toBe(202)
    await eventually(async () => {
      auth.clock.advance(5_000)
      return (await eventsTo(auth, authEvents.emailChangeRequested, next)).length === 1
    })
  })

  test.each([
    [
      'is reset',
      async (password: string) => {
        await auth.call(authRoutes.forgotPassword, { body: { email } })
        const reset = await mailedSecret(auth, authEvents.passwordResetRequested, email)
        return await auth.call(authRoutes.resetPassword, { body: { token: tokenOf(reset), password } })
      },
    ],
    [
      'is changed',
      async (newPassword: string) =>
        await auth.call(authRoutes.changePassword, { as: user.as, body: { currentPassword: PASSWORD, newPassword } }),
    ],
  ])('ends when the password %s: who asked for it may be the reason', async (_, set) => {
    await ask()
    const secret = await mail()
    const password = 'quite another lantern 7'
    expect((await set(password)).status).toBe(204)
    const { as } = await signIn(auth, email, {}, password)
    for (const proof of [{ token: tokenOf(secret) }, { code: secret.code ?? '' }]) {
      expect((await confirm(proof, as)).body.type).toBe('/problems/wrong-token')
    }
    expect((await auth.call(authRoutes.getProfile, { as })).body.email).toBe(email)
  })

  test('mails an address only so often, however right the password is', async () => {
    const statuses: number[] = []
    for (let count = 0; count < 6; count += 1) statuses.push((await ask()).status)
    expect(statuses).toEqual([202, 202, 202, 202, 202, 429])
  })

  test('nobody else confirms it, whatever mail they opened', async () => {
    await ask()
    const secret = await mail()
    const stranger = await newUser(auth)
    expect((await confirm({ token: tokenOf(secret) }, stranger.as)).body.type).toBe('/problems/wrong-token')
    expect((await confirm({ code: secret.code ?? '' }, stranger.as)).status).toBe(400)
    expect(await profileEmail()).toBe(email)
  })

  test('an address that got an account meanwhile stays with that account', async () => {
    await ask()
    const secret = await mail()
    await registered(auth, next)
    expect((await confirm({ token: tokenOf(secret) })).body.type).toBe('/problems/address-taken')
    expect(await profileEmail()).toBe(email)
  })

  test('somebody who only claimed the address gives way, and others forget them', async () => {
    await auth.call(authRoutes.register, {
      body: { email: next, password: 'the squatter was here 1', name: 'Squatter' },
    })
    await mailedSecret(auth, authEvents.verificationRequested, next)
    const [squatter] = await auth.database.query<{ id: string }>('select id from account where email_key = $1', [next])
    await moved()
    expect(await profileEmail()).toBe(next)
    const [deleted] = await auth.database.query('select 1 from outbox where subject = $1 and aggregate_id = $2', [
      authEvents.userDeleted.subject,
      squatter?.id,
    ])
    expect(deleted).toBeDefined()
    expect(await login(next, 'the squatter was here 1')).toBe(401)
  })

  test('of many confirmations at once one wins', async () => {
    await ask()
    const token = tokenOf(await mail())
    const answers = await Promise.all([1, 2, 3, 4].map(async () => (await confirm({ token })).status))
    expect(inOrder(answers)).toEqual([200, 400, 400, 400])
  })

  test('of two who move to one address at once one gets it', async () => {
    const rival = await newUser(auth)
    await ask()
    const body = { email: next, currentPassword: PASSWORD }
    await auth.call(authRoutes.changeEmail, { as: rival.as, body })
    const own = await mailedSecret(auth, authEvents.emailChangeRequested, next, 1)
    const second = await mailedSecret(auth, authEvents.emailChangeRequested, next, 2)
    const [first] = await eventsTo(auth, authEvents.emailChangeRequested, next)
    const secrets = first?.data.userId === user.userId ? [own, second] : [second, own]
    const answers = await Promise.all([
      confirm({ token: tokenOf(secrets[0] ?? {}) }),
      confirm({ token: tokenOf(secrets[1] ?? {}) }, rival.as),
    ])
    expect(inOrder(answers.map(({ status }) => status))).toEqual([200, 409])
  })

  test('a code bears five tries, and a link ends after a day', async () => {
    await ask()
    const secret = await mail()
    const wrong = secret.code === '000000' ? '000001' : '000000'
    for (let tries = 0; tries < 5; tries += 1) expect((await confirm({ code: wrong })).status).toBe(400)
    expect((await confirm({ code: secret.code ?? '' })).status).toBe(400)
    auth.clock.advance(24 * 3_600_000)
    expect((await confirm({ token: tokenOf(secret) })).status).toBe(400)
  })

  test('the address one has already is said so', async () => {
    expect((await ask(email.toUpperCase())).body.errors).toMatchObject([{ pointer: '/email' }])
  })

  test('no token or code of it is in a row, an event or the log', async () => {
    await ask()
    const secret = await mail()
    const rows = await auth.database.query<{ text: string }>(
      `select t::text as text from outbox t union all select t::text from email_change t
       union all select t::text from account_request t`,
    )
    const everything = [...rows.map(({ text }) => text), auth.log.text()].join('\n')
    expect(everything).not.toContain(tokenOf(secret))
    expect(everything).not.toMatch(new RegExp(`\\D${secret.code}\\D`))
  })
})

describe('the old address', () => {
  const undo = async (): Promise<string> => tokenOf(await mailedSecret(auth, authEvents.emailChanged, email))

  test('is told, and its reader takes the change back, which shuts out whoever made it', async () => {
    await moved()
    expect((await auth.call(authRoutes.undoEmail, { body: { token: await undo() } })).status).toBe(204)
    expect((await decision(auth, 'GET', '/profile', user.accessToken)).status).toBe(401)
    expect([await login(next), await login(email)]).toEqual([401, 401])
    const reset = await mailedSecret(auth, authEvents.passwordResetRequested, email)
    const body = { token: tokenOf(reset), password: 'quite another lantern 7' }
    expect((await auth.call(authRoutes.resetPassword, { body })).status).toBe(204)
    expect(await login(email, body.password)).toBe(200)
  })

  test('takes the ways in that were added since away with it, and leaves the owner theirs', async () => {
    const mine = new SoftwarePasskey()
    const theirs = new SoftwarePasskey()
    const add = async (passkey: SoftwarePasskey, name: string): Promise<void> => {
      const { body } = await auth.call(authRoutes.offerPasskey, { as: user.as })
      const added = await auth.call(authRoutes.addPasskey, {
        as: user.as,
        body: { name, passkey: passkey.create(body.options) },
      })
      expect(added.status).toBe(201)
    }
    const link = async (subject: string): Promise<void> => {
      await auth.database.query(
        `insert into linked_identity (id, account_id, issuer, subject, provider, created_at, last_used_at)
         values ($1, $2, 'https://id.example.com', $3, $3, $4, $4)`,
        [crypto.randomUUID(), user.userId, subject, auth.clock.now()],
      )
    }
    await add(mine, 'Mine')
    await link(`mine-${email}`)
    auth.clock.advance(1_000)
    await moved()
    auth.clock.advance(1_000)
    await add(theirs, 'Theirs')
    await link(`theirs-${email}`)
    await Authenticator.enrol(sendTo(auth), user.accessToken, () => auth.clock.now())
    expect((await auth.call(authRoutes.undoEmail, { body: { token: await undo() } })).status).toBe(204)
    const { body: left } = await auth.call(authRoutes.listFactors, { as: user.as })
    expect(left).toMatchObject({ totp: null, recoveryCodesLeft: 0, passkeys: [{ name: 'Mine' }] })
    expect(left.identities).toHaveLength(1)
    const signInWith = async (passkey: SoftwarePasskey): Promise<number> => {
      const { body } = await auth.call(authRoutes.offerPasskeySignIn)
      return (await auth.call(authRoutes.signInWithPasskey, { body: { passkey: passkey.get(body.options) } })).status
    }
    expect([await signInWith(theirs), await signInWith(mine)]).toEqual([401, 200])
    const told = (await eventsTo(auth, authEvents.factorChanged, email)).map(({ data }) => data)
    const removed = told.filter(({ change }) => change === 'removed').map(({ factor, label }) => label ?? factor)
    expect(removed.toSorted()).toEqual(['Theirs', `theirs-${email}`, 'totp'])
  })

  test('takes it back once, and however often the account was moved on', async () => {
    await moved()
    const token = await undo()
    const further = `${crypto.randomUUID()}@example.com`
    await ask(further)
    await confirm({ token: tokenOf(await mail(further)) })
    expect((await auth.call(authRoutes.undoEmail, { body: { token } })).status).toBe(204)
    expect((await auth.call(authRoutes.undoEmail, { body: { token } })).status).toBe(400)
    const thieves = tokenOf(await mailedSecret(auth, authEvents.emailChanged, next))
    expect((await auth.call(authRoutes.undoEmail, { body: { token: thieves } })).status).toBe(400)
    expect(await profileEmail()).toBe(email)
  })

  test('takes it back after the thief moved on and took that back, from one address of theirs to another', async () => {
    await moved()
    const token = await undo()
    const further = `${crypto.randomUUID()}@example.com`
    await ask(further)
    await confirm({ token: tokenOf(await mail(further)) })
    const thieves = tokenOf(await mailedSecret(auth, authEvents.emailChanged, next))
    for (const taken of [thieves, token]) {
      expect((await auth.call(authRoutes.undoEmail, { body: { token: taken } })).status).toBe(204)
    }
    expect(await profileEmail()).toBe(email)
  })

  test('takes nothing back after three days', async () => {
    await moved()
    const token = await undo()
    auth.clock.advance(72 * 3_600_000)
    expect((await auth.call(authRoutes.undoEmail, { body: { token } })).body.type).toBe('/problems/wrong-token')
  })

  test('stays with whoever registered it since', async () => {
    await moved()
    const token = await undo()
    await auth.call(authRoutes.register, { body: { email, password: PASSWORD, name: 'Somebody Else' } })
    const proof = await mailedSecret(auth, authEvents.verificationRequested, email, 2)
    expect(await auth.call(authRoutes.verify, { body: { token: tokenOf(proof) } })).toMatchObject({ status: 200 })
    expect((await auth.call(authRoutes.undoEmail, { body: { token } })).body.type).toBe('/problems/address-taken')
    expect(await profileEmail()).toBe(next)
  })
})
