import { authRoutes, problems, type Route } from '@saas/contracts'
import { Authenticator } from '@saas/devstack'
import { signedIn, type TestService } from '@saas/testing'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { PasswordHashing } from '../src/hashing.ts'
import { BOOTSTRAP_TOKEN, newUser, PASSWORD, sendTo, startedAuth, type SignedInUser } from './fixtures.ts'
import { SoftwarePasskey } from './software-passkey.ts'

let auth: TestService
let user: SignedInUser
beforeAll(async () => {
  auth = await startedAuth({ trustedHops: 1 })
  user = await newUser(auth)
})
afterAll(async () => {
  await auth[Symbol.asyncDispose]()
})

/** Another client each time: what is counted below is counted by account. */
let clients = 0
const from = (): Record<string, string> => {
  clients += 1
  return { 'x-forwarded-for': `2001:db8:${clients.toString(16)}::1, 10.0.0.1` }
}
const email = 'somebody@example.com'
const token = 'x'.repeat(43)
const body = { email }
const code = '000000'
const wrong = { currentPassword: 'a guess that is long' }

interface Asked {
  readonly body?: object
  readonly params?: Record<string, string>
}
/** What is asked again and again, and by whom: anybody, each time from elsewhere, or one client, or one account. */
type Asking = readonly [
  by: 'anybody' | 'one client' | 'one account',
  asked: Asked | ((user: SignedInUser) => Promise<Asked>),
]

const asking: Readonly<Record<string, Asking>> = {
  register: ['anybody', { body: { email: 'new@example.com', password: 'seven violet bridges', name: 'Ada' } }],
  resendVerification: ['anybody', { body: { email: 'resend@example.com' } }],
  requestLoginCode: ['anybody', { body: { email: 'code@example.com' } }],
  forgotPassword: ['anybody', { body }],
  verify: ['anybody', { body: { token } }],
  resetPassword: ['anybody', { body: { token, password: 'seven violet bridges' } }],
  login: ['anybody', { body: { email, password: 'a guess that is long' } }],
  bootstrap: [
    'one client',
    { body: { bootstrapToken: `not ${BOOTSTRAP_TOKEN}`, email, password: 'seven violet bridges', name: 'A' } },
  ],
  undoEmail: ['anybody', { body: { token } }],
  signInWithPasskey: ['anybody', { body: { passkey: strangersPasskey() } }],
  offerPasskeySignIn: ['one client', {}],
  departToProvider: ['one client', { params: { provider: 'nobody' } }],
  changeProfile: ['one account', { body: { name: 'Ada King' } }],
  changePreferences: ['one account', { body: { digest: false } }],
  changePassword: ['one account', { body: { ...wrong, newPassword: 'seven violet bridges' } }],
  changeEmail: ['one account', { body: { ...wrong, email } }],
  confirmEmail: ['one account', { body: { token } }],
  deleteProfile: ['one account', { body: wrong }],
  reauthenticate: ['one account', { body: { password: 'a guess that is long' } }],
  confirmTotp: ['one account', { body: { code } }],
  offerPasskey: ['one account', {}],
  offerPasskeyAsProof: ['one account', {}],
  departToLink: ['one account', { params: { provider: 'nobody' } }],
  offerPasskeyAsFactor: ['one account', async (someone) => ({ body: { mfaToken: await begun(someone) } })],
  passSecondFactor: [
    'one account',
    async (someone) => ({ body: { mfaToken: await begun(someone), recoveryCode: 'aaaa-aaaa-aaaa' } }),
  ],
}

describe('whoever asks too often is told when to come again, and nothing else, before any password is hashed', () => {
  test('at every route of which the contract says so', () => {
    const limited = Object.entries<Route>(authRoutes).filter(([, { problems: known = [] }]) =>
      known.includes(problems.tooManyRequests),
    )
    // Pictures have a test of their own below, exports one beside theirs: they take longer.
    expect([...Object.keys(asking), 'putAvatar', 'exportProfile'].toSorted()).toEqual(
      limited.map(([name]) => name).toSorted(),
    )
  })

  test.each(Object.entries(asking))('%s', async (name, [by, given]) => {
    const route = Reflect.get(authRoutes, name) as Route
    const someone = by === 'one account' ? await newUser(auth) : user
    const asked = typeof given === 'function' ? await given(someone) : given
    const here = from()
    const hashing = [vi.spyOn(PasswordHashing.prototype, 'hash'), vi.spyOn(PasswordHashing.prototype, 'verify')]
    onTestFinished(() => {
      for (const spy of hashing) spy.mockRestore()
    })
    const ask = async () => {
      for (const spy of hashing) spy.mockClear()
      return await auth.call(route, {
        ...asked,
        ...(by === 'one account' ? { as: someone.as } : {}),
        headers: by === 'one client' ? here : from(),
      })
    }
    const refused = await untilRefused(ask)
    for (const spy of hashing) expect(spy).not.toHaveBeenCalled()
    expect(refused).toMatchObject({
      headers: { 'retry-after': expect.stringMatching(/^[1-9]\d{0,2}$/) },
      body: { type: '/problems/too-many-requests', status: 429 },
    })
    expect(JSON.stringify(refused.body)).not.toContain('@')
  })
})

/** A sign-in of theirs that waits for the second factor. */
async function begun({ as, accessToken }: SignedInUser): Promise<string> {
  await Authenticator.enrol(sendTo(auth), accessToken, () => auth.clock.now())
  const { email: theirs } = (await auth.call(authRoutes.getProfile, { as })).body
  return (await auth.call(authRoutes.login, { body: { email: theirs, password: PASSWORD } })).body.mfaToken as string
}

function strangersPasskey(): object {
  const passkey = new SoftwarePasskey()
  const challenge = Buffer.alloc(32).toString('base64url')
  passkey.create({ challenge, user: { id: challenge } })
  return passkey.get({ challenge })
}

/** The first answer that is a 429; each before it is some other answer. */
async function untilRefused<A extends { readonly status: number }>(ask: () => Promise<A>): Promise<A> {
  for (let attempt = 0; attempt < 110; attempt += 1) {
    const answer = await ask()
    expect(answer.status).not.toBe(500)
    if (answer.status === 429) return answer
  }
  throw new Error('All of 110 requests were answered')
}

describe('profile pictures', () => {
  const put = async (payload: Buffer, as = user.as, query = '', headers: Record<string, string> = {}) =>
    await auth.app.inject({
      method: 'PUT',
      url: `/profile/avatar${query}`,
      headers: {
        ...signedIn(authRoutes.putAvatar, { ...as, now: auth.clock.now() }),
        'content-type': 'image/png',
        ...from(),
        ...headers,
      },
      payload,
    })
  const drawn = async (edge: number): Promise<Buffer> =>
    await sharp({ create: { width: edge, height: edge, channels: 3, background: '#c04080' } })
      .png()
      .toBuffer()

  test('are counted by user, also those that are none, and one that is sent too often is not even read', async () => {
    const [someone, other] = [await newUser(auth), await newUser(auth)]
    const refused = await untilRefused(async () => {
      const answer = await put(Buffer.from('this is no picture'), someone.as)
      return { status: answer.statusCode, headers: answer.headers }
    })
    expect(refused.headers['retry-after']).toMatch(/^[1-9]\d?$/)
    const picture = await drawn(8)
    expect((await put(picture, someone.as)).statusCode).toBe(429)
    expect((await put(picture, other.as)).statusCode).toBe(200)
  })

  test('are decoded one at a time; beyond those that may wait, others are told to come again, and auth goes on', async () => {
    const large = await drawn(2_000)
    const painters = await Promise.all(Array.from({ length: 3 }, async () => await newUser(auth)))
    const answered: string[] = []
    const uploads = Array.from({ length: 24 }, async (_, index) => {
      const answer = await put(large, painters[index % 3]?.as)
      answered.push('picture')
      return answer
    })
    const profile = auth.call(authRoutes.getProfile, { as: user.as })
    expect((await profile).status).toBe(200)
    expect(answered.length).toBeLessThan(24)
    const answers = await Promise.all(uploads)
    const refused = answers.filter(({ statusCode }) => statusCode === 503)
    expect(answers.filter(({ statusCode }) => statusCode === 200).length + refused.length).toBe(24)
    expect(refused.length).toBeGreaterThan(0)
    for (const { headers } of refused) expect(headers['retry-after']).toMatch(/^\d+$/)
  })

  test('lie under keys that the server made, and are handed out by nobody else', async () => {
    const someone = await newUser(auth)
    const wished = { 'x-amz-meta-key': 'mine', 'content-disposition': 'attachment; filename="../../mine.png"' }
    expect((await put(await drawn(8), someone.as, '?key=mine')).statusCode).toBe(400)
    const picture = (await put(await drawn(8), someone.as, '', wished)).json<{ avatar: Record<string, string> }>()
    const urls = Object.values(picture.avatar)
    expect(urls).toHaveLength(3)
    // Of the shop itself, without a signature, an expiry or the name of a store; nothing of the user is in it.
    for (const url of urls) expect(url).toMatch(/^\/avatar\/[\w-]{22}-(small|medium|large)$/)
    expect(new Set(urls.map((url) => url.split('-').slice(0, -1).join('-'))).size).toBe(1)
    expect(await auth.objects.keys()).toEqual(expect.arrayContaining(urls.map((url) => url.slice(1))))
    const key = urls[0]?.slice('/avatar/'.length) ?? ''
    for (const path of [
      `/avatar/..%2Favatar%2F${key}`,
      `/avatar/${key}%00`,
      `/avatar/${key}?X-Amz-Expires=600`,
      `/avatar/${key.toUpperCase()}`,
      '/avatar/',
    ]) {
      expect((await auth.app.inject({ method: 'GET', url: path })).statusCode, path).toBeGreaterThanOrEqual(400)
    }
  })
})
