import { authRoutes, type Route } from '@saas/contracts'
import { signedIn, type TestService } from '@saas/testing'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BOOTSTRAP_TOKEN, newUser, startedAuth, type SignedInUser } from './harness.ts'

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

describe('whoever asks too often is told when to come again, and nothing else', () => {
  test.each([
    ['register', { body: { email: 'new@example.com', password: 'seven violet bridges', name: 'Ada' } }],
    ['resendVerification', { body: { email: 'resend@example.com' } }],
    ['requestLoginCode', { body: { email: 'code@example.com' } }],
    ['forgotPassword', { body }],
    ['verify', { body: { token } }],
    ['resetPassword', { body: { token, password: 'seven violet bridges' } }],
    ['login', { body: { email, password: 'a guess that is long' } }],
    [
      'bootstrap',
      { body: { bootstrapToken: `not ${BOOTSTRAP_TOKEN}`, email, password: 'seven violet bridges', name: 'A' } },
    ],
    ['changePassword', { mine: true, body: { currentPassword: 'a guess', newPassword: 'seven violet bridges' } }],
  ] as const)('%s', async (name, { body: sent, ...rest }) => {
    const route: Route = authRoutes[name]
    const as = 'mine' in rest ? { as: user.as } : {}
    const ask = async () => await auth.call(route, { body: sent, headers: from(), ...as })
    const refused = await untilRefused(ask)
    expect(refused).toMatchObject({
      headers: { 'retry-after': expect.stringMatching(/^[1-9]\d{0,2}$/) },
      body: { type: '/problems/too-many-requests', status: 429 },
    })
    expect(JSON.stringify(refused.body)).not.toContain('@')
  })
})

/** The first answer that is a 429; each before it is some other answer. */
async function untilRefused<A extends { readonly status: number }>(ask: () => Promise<A>): Promise<A> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const answer = await ask()
    expect(answer.status).not.toBe(500)
    if (answer.status === 429) return answer
  }
  throw new Error('Fifty requests were answered')
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

  test('are decoded two at a time; beyond those that may wait, others are told to come again, and auth goes on', async () => {
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
