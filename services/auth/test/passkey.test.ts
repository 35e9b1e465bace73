import { authEvents, authRoutes, PASSKEYS_MAX } from '@saas/contracts'
import { createLogger } from '@saas/http'
import { Database, sql } from '@saas/state'
import { eventually, type TestService } from '@saas/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  administrator,
  decision,
  eventsTo,
  inOrder,
  newUser,
  PASSWORD,
  signIn,
  someone,
  startedAuth,
  type SignedInUser,
  userOf,
} from './fixtures.ts'
import { SoftwarePasskey } from './software-passkey.ts'

let auth: TestService
beforeAll(async () => {
  auth = await startedAuth({ trustedHops: 1 })
})
afterAll(async () => {
  await auth[Symbol.asyncDispose]()
})

type Answer = Awaited<ReturnType<TestService['call']>>

const add = async (user: SignedInUser, passkey: SoftwarePasskey, name = 'My phone'): Promise<Answer> => {
  const { body } = await auth.call(authRoutes.offerPasskey, { as: user.as })
  return await auth.call(authRoutes.addPasskey, {
    as: user.as,
    body: { name, passkey: passkey.create(body.options) },
  })
}

async function owner(): Promise<{ email: string; user: SignedInUser; passkey: SoftwarePasskey; id: string }> {
  const email = someone()
  const user = await newUser(auth, email)
  const passkey = new SoftwarePasskey()
  const added = await add(user, passkey)
  if (added.status !== 201) throw new Error(JSON.stringify(added.body))
  return { email, user, passkey, id: added.body.passkey.id }
}

const challenge = async (): Promise<{ challenge: string }> =>
  (await auth.call(authRoutes.offerPasskeySignIn)).body.options
const signInWith = async (passkey: SoftwarePasskey): Promise<Answer> => {
  const options = await challenge()
  return await auth.call(authRoutes.signInWithPasskey, { body: { passkey: passkey.get(options) } })
}

describe('a passkey', () => {
  test('alone signs in, and the session has passed both factors; the first one brings recovery codes', async () => {
    const email = someone()
    const user = await newUser(auth, email)
    const passkey = new SoftwarePasskey()
    const added = await add(user, passkey)
    expect(added).toMatchObject({ status: 201, body: { passkey: { name: 'My phone', lastUsedAt: null } } })
    expect(added.body.recoveryCodes).toHaveLength(10)
    expect((await add(user, new SoftwarePasskey(), 'My key')).body.recoveryCodes).toEqual([])
    const answer = await signInWith(passkey)
    expect(answer).toMatchObject({ status: 200, body: { user: { email } } })
    const as = userOf(answer.body).as
    auth.clock.advance(1_000)
    expect((await auth.call(authRoutes.proposeTotp, { as })).status).toBe(200)
    const { body } = await auth.call(authRoutes.listFactors, { as })
    expect(body.passkeys.map(({ name }: { name: string }) => name)).toEqual(['My phone', 'My key'])
    expect(body.passkeys[0].lastUsedAt).not.toBeNull()
  })

  test('is the second step after a password', async () => {
    const { email, passkey } = await owner()
    const first = await auth.call(authRoutes.login, { body: { email, password: PASSWORD } })
    expect(first.body.methods).toEqual(['passkey', 'recovery-code'])
    const { mfaToken } = first.body
    const { body } = await auth.call(authRoutes.offerPasskeyAsFactor, { body: { mfaToken } })
    expect(body.options.allowCredentials.map(({ id }: { id: string }) => id)).toEqual([passkey.id])
    const proof = { mfaToken, passkey: passkey.get(body.options) }
    expect((await auth.call(authRoutes.passSecondFactor, { body: proof })).status).toBe(200)
  })

  test('proves again who is there', async () => {
    const { user, passkey, id } = await owner()
    auth.clock.advance(600_000)
    expect((await auth.call(authRoutes.removePasskey, { as: user.as, params: { id } })).status).toBe(403)
    const { body } = await auth.call(authRoutes.offerPasskeyAsProof, { as: user.as })
    const proof = { passkey: passkey.get(body.options) }
    expect((await auth.call(authRoutes.reauthenticate, { as: user.as, body: proof })).status).toBe(204)
    expect((await auth.call(authRoutes.removePasskey, { as: user.as, params: { id } })).status).toBe(204)
  })

  test('a challenge is signed once, within five minutes, for its own purpose', async () => {
    const { email, passkey } = await owner()
    const options = await challenge()
    const send = async () =>
      (await auth.call(authRoutes.signInWithPasskey, { body: { passkey: passkey.get(options) } })).status
    expect(inOrder(await Promise.all([send(), send(), send()]))).toEqual([200, 401, 401])
    const late = await challenge()
    auth.clock.advance(300_000)
    const tooLate = await auth.call(authRoutes.signInWithPasskey, { body: { passkey: passkey.get(late) } })
    expect(tooLate.status).toBe(401)
    const { mfaToken } = (await auth.call(authRoutes.login, { body: { email, password: PASSWORD } })).body
    const offered = await auth.call(authRoutes.offerPasskeyAsFactor, { body: { mfaToken } })
    const elsewhere = passkey.get(offered.body.options)
    expect((await auth.call(authRoutes.signInWithPasskey, { body: { passkey: elsewhere } })).status).toBe(401)
    const ours = passkey.get({ challenge: Buffer.alloc(32).toString('base64url') })
    expect((await auth.call(authRoutes.signInWithPasskey, { body: { passkey: ours } })).status).toBe(401)
  })

  test('a challenge is signed for the account that was given it, and a signature says whose it is', async () => {
    const [ada, bob] = [await owner(), await owner()]
    const { body } = await auth.call(authRoutes.offerPasskeyAsProof, { as: bob.user.as })
    const proof = { passkey: ada.passkey.get(body.options) }
    expect((await auth.call(authRoutes.reauthenticate, { as: ada.user.as, body: proof })).status).toBe(401)
    const signed = ada.passkey.get(await challenge())
    const { userHandle } = bob.passkey.get(await challenge()).response
    const passkey = { ...signed, response: { ...signed.response, userHandle } }
    expect((await auth.call(authRoutes.signInWithPasskey, { body: { passkey } })).status).toBe(401)
  })

  test.each([
    ['made for another site', (passkey: SoftwarePasskey) => (passkey.origin = 'https://shop.example.evil')],
    ['made for another domain', (passkey: SoftwarePasskey) => (passkey.rpId = 'evil.example')],
    ['that nobody unlocked', (passkey: SoftwarePasskey) => (passkey.flags = 0x01)],
    ['made in a frame of another site', (passkey: SoftwarePasskey) => (passkey.crossOrigin = true)],
    ['that is kept elsewhere and cannot be', (passkey: SoftwarePasskey) => (passkey.flags = 0x15)],
  ])('a signature %s is refused, at adding and at signing in', async (_, spoil) => {
    const { passkey } = await owner()
    spoil(passkey)
    expect((await signInWith(passkey)).body.type).toBe('/problems/wrong-credentials')
    const spoiled = new SoftwarePasskey()
    spoil(spoiled)
    expect((await add(await newUser(auth), spoiled)).body.type).toBe('/problems/passkey-not-accepted')
  })

  test('says whether a provider keeps it, as it was when it was used last', async () => {
    const { user, passkey } = await owner()
    const isSynced = async (): Promise<boolean> =>
      (await auth.call(authRoutes.listFactors, { as: user.as })).body.passkeys[0].synced
    expect(await isSynced()).toBe(false)
    passkey.flags = 0x1d
    expect((await signInWith(passkey)).status).toBe(200)
    expect(await isSynced()).toBe(true)
    passkey.flags = 0x0d
    expect((await signInWith(passkey)).status).toBe(200)
    expect(await isSynced()).toBe(false)
  })

  test('however many are offered at once, an account has no more than it shows', async () => {
    // What the other tests were offered at this address is not counted any more.
    auth.clock.advance(3_600_000)
    const user = await newUser(auth)
    const offers: Answer[] = []
    for (let n = 0; n < PASSKEYS_MAX + 2; n += 1) offers.push(await auth.call(authRoutes.offerPasskey, { as: user.as }))
    const added = offers.map(async ({ body }) => {
      const passkey = new SoftwarePasskey().create(body.options)
      return (await auth.call(authRoutes.addPasskey, { as: user.as, body: { name: 'One of many', passkey } })).body
    })
    const refused = (await Promise.all(added)).filter(({ type }) => type !== undefined)
    expect(refused.map(({ type, detail }) => [type, detail])).toEqual(
      Array.from({ length: 2 }, () => ['/problems/passkey-not-accepted', 'An account can have at most 20 passkeys.']),
    )
    const { passkeys } = (await auth.call(authRoutes.listFactors, { as: user.as })).body
    const rows = await auth.database.query('select id from passkey where account_id = $1', [user.userId])
    expect([passkeys.length, rows.length]).toEqual([PASSKEYS_MAX, PASSKEYS_MAX])
  })

  test.each([
    [16, 201],
    [1_023, 201],
    [15, 422],
    [1_024, 422],
    [9_000, 422],
  ])('whose id has %i bytes is answered %i', async (idBytes, status) => {
    const user = await newUser(auth)
    const { body } = await auth.call(authRoutes.offerPasskey, { as: user.as })
    const made = new SoftwarePasskey({ idBytes }).create(body.options)
    // What it is called counts where it is signed, beside the key.
    const id = idBytes > 1_023 ? 'short' : made.id
    const passkey = { ...made, id, rawId: id }
    const added = await auth.call(authRoutes.addPasskey, { as: user.as, body: { name: 'My key', passkey } })
    expect(added.status).toBe(status)
  })

  test('has a name of at most 60 characters, as they are kept', async () => {
    const { user, id } = await owner()
    // U+FB2C is three characters in the normal form.
    const longest = ['x'.repeat(60), '🔑'.repeat(60), '\ufb2c'.repeat(20), 'é'.normalize('NFD').repeat(30)]
    const tooLong = ['x'.repeat(61), '🔑'.repeat(61), '\ufb2c'.repeat(21), ' \u200b ']
    const called = async (name: string): Promise<Answer> =>
      await auth.call(authRoutes.renamePasskey, { as: user.as, params: { id }, body: { name } })
    for (const name of longest) {
      expect((await add(user, new SoftwarePasskey(), name)).body.passkey.name).toBe(name.normalize('NFC'))
      expect((await called(name)).body.name).toBe(name.normalize('NFC'))
    }
    for (const name of tooLong) {
      const refused = { status: 400, body: { errors: [{ pointer: '/name' }] } }
      expect(await add(user, new SoftwarePasskey(), name)).toMatchObject(refused)
      expect(await called(name)).toMatchObject(refused)
    }
    const { body } = await auth.call(authRoutes.listFactors, { as: user.as })
    expect(body.passkeys).toHaveLength(1 + longest.length)
  })

  test('a count that does not rise means a copy and is refused', async () => {
    const { passkey } = await owner()
    passkey.counter = 5
    expect((await signInWith(passkey)).status).toBe(200)
    expect((await signInWith(passkey)).status).toBe(401)
    passkey.counter = 4
    expect((await signInWith(passkey)).status).toBe(401)
    passkey.counter = 6
    expect((await signInWith(passkey)).status).toBe(200)
  })

  test('of somebody else neither finishes a sign-in, nor is renamed, nor removed, nor added twice', async () => {
    const [ada, bob] = [await owner(), await owner()]
    const { mfaToken } = (await auth.call(authRoutes.login, { body: { email: ada.email, password: PASSWORD } })).body
    const { body } = await auth.call(authRoutes.offerPasskeyAsFactor, { body: { mfaToken } })
    const proof = { mfaToken, passkey: bob.passkey.get(body.options) }
    expect((await auth.call(authRoutes.passSecondFactor, { body: proof })).status).toBe(401)
    const params = { id: ada.id }
    const renamed = await auth.call(authRoutes.renamePasskey, { as: bob.user.as, params, body: { name: 'Mine' } })
    expect(renamed.status).toBe(404)
    expect((await auth.call(authRoutes.removePasskey, { as: bob.user.as, params })).status).toBe(404)
    expect((await add(bob.user, ada.passkey)).body.type).toBe('/problems/passkey-not-accepted')
  })

  test('is renamed and removed by its owner, who is told; other sessions end with it', async () => {
    const { email, user, passkey, id } = await owner()
    const params = { id }
    const renamed = await auth.call(authRoutes.renamePasskey, { as: user.as, params, body: { name: 'Old phone' } })
    expect(renamed.body.name).toBe('Old phone')
    const other = userOf((await signInWith(passkey)).body)
    expect((await auth.call(authRoutes.removePasskey, { as: user.as, params })).status).toBe(204)
    expect((await decision(auth, 'GET', '/profile', other.accessToken)).status).toBe(401)
    expect((await signInWith(passkey)).status).toBe(401)
    await signIn(auth, email)
    const told = await eventsTo(auth, authEvents.factorChanged, email)
    expect(told.map(({ data }) => `${data.change} ${data.label}`)).toEqual(['added My phone', 'removed Old phone'])
  })

  test('of a disabled account opens nothing and says why', async () => {
    const { user, passkey } = await owner()
    await auth.database.query('update account set disabled_at = now() where id = $1', [user.userId])
    expect((await signInWith(passkey)).body.type).toBe('/problems/account-disabled')
  })
})

test('an administrator helps whoever lost every factor, but not themselves', async () => {
  const admin = await administrator(auth)
  const { email, user, passkey } = await owner()
  const params = { id: user.userId }
  expect((await auth.call(authRoutes.resetFactors, { params, as: user.as })).status).toBe(403)
  expect((await auth.call(authRoutes.resetFactors, { params, as: admin.as })).status).toBe(204)
  expect((await decision(auth, 'GET', '/profile', user.accessToken)).status).toBe(401)
  expect((await signInWith(passkey)).status).toBe(401)
  await signIn(auth, email)
  for (const id of [admin.userId, admin.userId.toUpperCase()]) {
    const own = await auth.call(authRoutes.resetFactors, { params: { id }, as: admin.as })
    expect(own.body.type).toBe('/problems/second-factor-required')
  }
})

const lockAccount = sql('test.lock_account_row', 'select from account where id = $1 for no key update')
/** Half of what the service waits for a row; a machine that is slower than that tries again. */
const HELD_MS_MAX = 250

test.each<[string, (its: Awaited<ReturnType<typeof owner>>) => Promise<() => Promise<Answer>>]>([
  [
    'is added',
    async ({ user: { as } }) => {
      const { options } = (await auth.call(authRoutes.offerPasskey, { as })).body
      const body = { name: 'Another', passkey: new SoftwarePasskey().create(options) }
      return async () => await auth.call(authRoutes.addPasskey, { as, body })
    },
  ],
  [
    'is offered',
    async ({ user: { as } }) =>
      async () =>
        await auth.call(authRoutes.offerPasskey, { as }),
  ],
  [
    'proves again who is there',
    async ({ user: { as }, passkey }) => {
      const { options } = (await auth.call(authRoutes.offerPasskeyAsProof, { as })).body
      const body = { passkey: passkey.get(options) }
      return async () => await auth.call(authRoutes.reauthenticate, { as, body })
    },
  ],
  [
    'is the second step',
    async ({ email, passkey }) => {
      const { mfaToken } = (await auth.call(authRoutes.login, { body: { email, password: PASSWORD } })).body
      const { options } = (await auth.call(authRoutes.offerPasskeyAsFactor, { body: { mfaToken } })).body
      const body = { mfaToken, passkey: passkey.get(options) }
      return async () => await auth.call(authRoutes.passSecondFactor, { body })
    },
  ],
])('while one %s, it and whatever else its account does wait for each other only once', async (_, prepare) => {
  const logger = createLogger('auth', 'silent')
  await using elsewhere = new Database({ url: auth.database.adminUrl, service: 'test', timeoutMs: 10_000, logger })
  const waiting = async (count: number): Promise<void> => {
    await eventually(async () => {
      const rows = await auth.database.query(
        `select from pg_stat_activity where datname = current_database() and usename = 'auth' and wait_event_type = 'Lock'`,
      )
      return rows.length >= count
    })
  }
  const its = await owner()
  const crowded = async (): Promise<{ statuses: number[]; heldMs: number }> => {
    const ask = await prepare(its)
    const answers: Promise<Answer>[] = []
    const heldMs = await elsewhere.transaction(async (tx) => {
      await tx.query(lockAccount, [its.user.userId])
      const since = performance.now()
      answers.push(ask())
      await waiting(1)
      // More than there are connections for single statements: one that had to wait for these would hold up what they wait for.
      for (let n = 0; n < 6; n += 1) answers.push(auth.call(authRoutes.deleteAvatar, { as: its.user.as }))
      await waiting(3)
      return performance.now() - since
    })
    return { statuses: (await Promise.all(answers)).map(({ status }) => status), heldMs }
  }
  let round = await crowded()
  while (round.heldMs > HELD_MS_MAX) round = await crowded()
  expect(round.statuses.filter((status) => status >= 400)).toEqual([])
})
