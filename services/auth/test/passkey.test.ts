import { authEvents, authRoutes } from '@saas/contracts'
import type { TestService } from '@saas/testing'
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
} from './harness.ts'
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

  test.each([
    ['made for another site', (passkey: SoftwarePasskey) => (passkey.origin = 'https://shop.example.evil')],
    ['made for another domain', (passkey: SoftwarePasskey) => (passkey.rpId = 'evil.example')],
    ['that nobody unlocked', (passkey: SoftwarePasskey) => (passkey.flags = 0x01)],
  ])('a signature %s is refused, at adding and at signing in', async (_, spoil) => {
    const { passkey } = await owner()
    spoil(passkey)
    expect((await signInWith(passkey)).body.type).toBe('/problems/wrong-credentials')
    const spoiled = new SoftwarePasskey()
    spoil(spoiled)
    expect((await add(await newUser(auth), spoiled)).body.type).toBe('/problems/passkey-not-accepted')
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
