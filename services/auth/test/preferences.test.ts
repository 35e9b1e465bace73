import { authEvents, authRoutes, optionalMailKinds } from '@saas/contracts'
import { signUnsubscribe } from '@saas/http'
import type { TestService } from '@saas/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { eventsTo, mailSecretKey, newUser, startedAuth, type SignedInUser } from './fixtures.ts'

let auth: TestService
let user: SignedInUser
let email: string
beforeAll(async () => {
  auth = await startedAuth()
})
beforeEach(async () => {
  email = `${crypto.randomUUID()}@example.com`
  user = await newUser(auth, email)
})
afterAll(async () => {
  await auth[Symbol.asyncDispose]()
})

const changes = async (): Promise<unknown[]> =>
  (await eventsTo(auth, authEvents.userChanged, email)).map(({ data }) => data.preferences)
const preferences = async (): Promise<Record<string, boolean>> =>
  (await auth.call(authRoutes.getPreferences, { as: user.as })).body
const post = async (token: string, body?: string, type = 'application/x-www-form-urlencoded') =>
  await auth.app.inject({
    method: 'POST',
    url: `/auth/unsubscribe/${token}`,
    headers: { 'content-type': type },
    ...(body === undefined ? {} : { payload: body }),
  })
const tokenFor = (userId: string): string => signUnsubscribe({ userId, kind: 'announcement' }, mailSecretKey)
const ONE_CLICK = 'List-Unsubscribe=One-Click'

test('everybody wants every optional mail until they say otherwise', async () => {
  expect(await preferences()).toEqual(Object.fromEntries(optionalMailKinds.map((kind) => [kind, true])))
})

test('what is switched off stays off, what is not named stays as it is, and others hear of it', async () => {
  const off = await auth.call(authRoutes.changePreferences, { as: user.as, body: { digest: false } })
  expect(off).toMatchObject({ status: 200, body: { digest: false, announcement: true } })
  await auth.call(authRoutes.changePreferences, { as: user.as, body: { 'low-stock': false } })
  expect(await preferences()).toMatchObject({ digest: false, 'low-stock': false, announcement: true })
  expect((await changes()).at(-1)).toEqual({ digest: false, 'low-stock': false })
})

test('saying the same again tells nobody', async () => {
  await auth.call(authRoutes.changePreferences, { as: user.as, body: { digest: false } })
  const before = (await changes()).length
  await auth.call(authRoutes.changePreferences, { as: user.as, body: { digest: false } })
  expect(await changes()).toHaveLength(before)
})

test('a mail that is not optional cannot be switched off', async () => {
  const body = { 'password-changed': false } as never
  const answer = await auth.call(authRoutes.changePreferences, { as: user.as, body })
  expect(answer).toMatchObject({ status: 400, body: { errors: [{ pointer: '/password-changed' }] } })
})

describe('one click in a mail program', () => {
  test('switches this kind of mail off, without anybody being signed in', async () => {
    const response = await post(tokenFor(user.userId), ONE_CLICK)
    expect([response.statusCode, response.json()]).toEqual([200, { kind: 'announcement' }])
    expect(await preferences()).toMatchObject({ announcement: false, digest: true })
    expect((await changes()).at(-1)).toEqual({ announcement: false })
  })

  test('counts as a multipart form as well', async () => {
    const form = `--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n`
    expect((await post(tokenFor(user.userId), form, 'multipart/form-data; boundary=b')).statusCode).toBe(200)
    expect(await preferences()).toMatchObject({ announcement: false })
  })

  test('repeated, also at once, changes and tells nothing more', async () => {
    const before = (await changes()).length
    const answers = await Promise.all([1, 2, 3, 4].map(async () => await post(tokenFor(user.userId), ONE_CLICK)))
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 200, 200, 200])
    expect(await changes()).toHaveLength(before + 1)
  })

  test('is answered alike for an account that is gone', async () => {
    expect((await post(tokenFor(crypto.randomUUID()), ONE_CLICK)).statusCode).toBe(200)
  })

  test('opening the link changes nothing and leads to the page with the button', async () => {
    const token = tokenFor(user.userId)
    const response = await auth.app.inject({ method: 'GET', url: `/auth/unsubscribe/${token}` })
    expect([response.statusCode, response.headers.location]).toEqual([303, `/unsubscribe#${token}`])
    expect(await preferences()).toMatchObject({ announcement: true })
  })

  test.each([
    ['a token under another key', 400, new Uint8Array(32).fill(8), ONE_CLICK],
    ['no form', 400, mailSecretKey, undefined],
    ['another form', 400, mailSecretKey, 'List-Unsubscribe=Later'],
    ['a form that is too long', 413, mailSecretKey, `${ONE_CLICK}&a=${'x'.repeat(1_000)}`],
  ])('%s is refused and changes nothing', async (_, status, key, body) => {
    const token = signUnsubscribe({ userId: user.userId, kind: 'announcement' }, key)
    expect((await post(token, body)).statusCode).toBe(status)
    expect(await preferences()).toMatchObject({ announcement: true })
  })

  test('JSON is refused: only the form is what the standard describes', async () => {
    expect((await post(tokenFor(user.userId), '{}', 'application/json')).statusCode).toBe(415)
  })
})
