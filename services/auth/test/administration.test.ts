import { authEvents, authRoutes } from '@saas/contracts'
import type { TestService } from '@saas/testing'
import { describe, expect, test } from 'vitest'
import {
  administrator,
  BOOTSTRAP_TOKEN,
  decision,
  eventsTo,
  from,
  inOrder,
  newUser,
  PASSWORD,
  registered,
  signIn,
  startedAuth,
} from './fixtures.ts'
import { SoftwarePasskey } from './software-passkey.ts'

const form = { bootstrapToken: BOOTSTRAP_TOKEN, email: 'root@example.com', password: PASSWORD, name: 'Grace Hopper' }

describe('the first administrator', () => {
  test('is made once, however many ask at the same moment', async () => {
    await using auth = await startedAuth()
    const answers = await Promise.all(
      Array.from({ length: 4 }, async (_, n) => {
        const answer = await auth.call(authRoutes.bootstrap, { body: { ...form, email: `root${n}@example.com` } })
        return answer.status
      }),
    )
    expect(inOrder(answers)).toEqual([201, 409, 409, 409])
    const rows = await auth.database.query(`select from account where 'admin' = any (roles)`)
    expect(rows).toHaveLength(1)
  })

  test('needs the operator’s token, and guessing it is throttled', async () => {
    await using auth = await startedAuth()
    const statuses: number[] = []
    for (let guess = 0; guess < 7; guess += 1) {
      const body = { ...form, bootstrapToken: `guess ${guess}` }
      statuses.push((await auth.call(authRoutes.bootstrap, { body })).status)
    }
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429, 429])
  })

  test('can be made by the operator however many others guess the token', async () => {
    await using auth = await startedAuth({ trustedHops: 1 })
    const guess = { ...form, bootstrapToken: 'a guess at the token' }
    const statuses = new Set<number>()
    for (let host = 1; host <= 10; host += 1) {
      const headers = from(`198.51.100.${host}`)
      for (let n = 0; n < 6; n += 1)
        statuses.add((await auth.call(authRoutes.bootstrap, { body: guess, headers })).status)
    }
    expect(statuses).toEqual(new Set([401, 429]))
    const made = await auth.call(authRoutes.bootstrap, { body: form, headers: from('203.0.113.7') })
    expect(made.status).toBe(201)
  })

  test('cannot be made where no token is configured', async () => {
    await using auth = await startedAuth({ bootstrapToken: undefined })
    expect((await auth.call(authRoutes.bootstrap, { body: form })).body.type).toBe('/problems/wrong-credentials')
  })

  test('takes over an account that has the address already: whoever made it is out', async () => {
    await using auth = await startedAuth()
    const stranger = await newUser(auth, form.email)
    const passkey = new SoftwarePasskey()
    const { body: made } = await auth.call(authRoutes.offerPasskey, { as: stranger.as })
    const added = { name: 'Mine', passkey: passkey.create(made.options) }
    expect((await auth.call(authRoutes.addPasskey, { as: stranger.as, body: added })).status).toBe(201)
    const password = 'another lantern for otters'
    expect((await auth.call(authRoutes.bootstrap, { body: { ...form, password } })).status).toBe(201)
    expect((await decision(auth, 'GET', '/profile', stranger.accessToken)).status).toBe(401)
    const old = await auth.call(authRoutes.login, { body: { email: form.email, password: PASSWORD } })
    expect(old.status).toBe(401)
    expect((await auth.call(authRoutes.refresh, { body: { refreshToken: stranger.refreshToken } })).status).toBe(401)
    const { body: offered } = await auth.call(authRoutes.offerPasskeySignIn)
    const signed = { passkey: passkey.get(offered.options) }
    expect((await auth.call(authRoutes.signInWithPasskey, { body: signed })).status).toBe(401)
    await signIn(auth, form.email, {}, password)
  })

  test('is the only account there is: none has a default password', async () => {
    await using auth = await startedAuth()
    expect(await auth.database.query('select from account')).toEqual([])
  })
})

describe('an administrator', () => {
  const parts = async (): Promise<
    { auth: TestService } & Record<'admin' | 'user', Awaited<ReturnType<typeof newUser>>>
  > => {
    const auth = await startedAuth()
    return { auth, admin: await administrator(auth), user: await newUser(auth, 'ada@example.com') }
  }

  test('gives roles, which hold from the next refresh on, and the old access token holds no longer', async () => {
    const { auth, admin, user } = await parts()
    await using _ = auth
    const params = { id: user.userId }
    const answer = await auth.call(authRoutes.setRoles, { params, body: { roles: ['manager'] }, as: admin.as })
    expect(answer).toMatchObject({ status: 200, body: { roles: ['manager'], verified: true, disabled: false } })
    expect((await decision(auth, 'POST', '/product', user.accessToken)).status).toBe(401)
    const refreshed = await auth.call(authRoutes.refresh, { body: { refreshToken: user.refreshToken } })
    expect((await decision(auth, 'POST', '/product', refreshed.body.accessToken)).status).toBe(200)
    const changes = await eventsTo(auth, authEvents.userChanged, 'ada@example.com')
    expect(changes.at(-1)?.data.roles).toEqual(['manager'])
    const capitals = { id: user.userId.toUpperCase() }
    await auth.call(authRoutes.setRoles, { params: capitals, body: { roles: ['customer'] }, as: admin.as })
    const revoked = await auth.database.query<{ userId: string }>(
      `select data ->> 'userId' as "userId" from outbox where subject = $1`,
      [authEvents.sessionRevoked.subject],
    )
    expect(revoked.filter(({ userId }) => userId !== userId.toLowerCase())).toEqual([])
  })

  test('shuts a user out: sessions and tokens end, and the right password says why', async () => {
    const { auth, admin, user } = await parts()
    await using _ = auth
    const params = { id: user.userId }
    await auth.call(authRoutes.setDisabled, { params, body: { disabled: true }, as: admin.as })
    expect((await decision(auth, 'GET', '/profile', user.accessToken)).status).toBe(401)
    expect((await auth.call(authRoutes.refresh, { body: { refreshToken: user.refreshToken } })).status).toBe(401)
    const body = { email: 'ada@example.com', password: PASSWORD }
    expect((await auth.call(authRoutes.login, { body })).body.type).toBe('/problems/account-disabled')
    const wrong = { ...body, password: 'not the password at all' }
    expect((await auth.call(authRoutes.login, { body: wrong })).body.type).toBe('/problems/wrong-credentials')
    await auth.call(authRoutes.setDisabled, { params, body: { disabled: false }, as: admin.as })
    expect((await auth.call(authRoutes.refresh, { body: { refreshToken: user.refreshToken } })).status).toBe(401)
    await signIn(auth, 'ada@example.com')
  })

  test('who is the last can be neither demoted nor disabled, not even by two at once', async () => {
    const { auth, admin, user } = await parts()
    await using _ = auth
    const params = { id: admin.userId }
    const demote = async () =>
      await auth.call(authRoutes.setRoles, { params, body: { roles: ['customer'] }, as: admin.as })
    expect((await demote()).body.type).toBe('/problems/last-administrator')
    const disabled = await auth.call(authRoutes.setDisabled, { params, body: { disabled: true }, as: admin.as })
    expect(disabled.body.type).toBe('/problems/last-administrator')
    const other = { id: user.userId }
    await auth.call(authRoutes.setRoles, { params: other, body: { roles: ['admin'] }, as: admin.as })
    // Whoever is shut out lets nobody in.
    await auth.call(authRoutes.setDisabled, { params: other, body: { disabled: true }, as: admin.as })
    expect((await demote()).body.type).toBe('/problems/last-administrator')
    await auth.call(authRoutes.setDisabled, { params: other, body: { disabled: false }, as: admin.as })
    const both = await Promise.all(
      [params, other].map(async (target) => {
        return (await auth.call(authRoutes.setRoles, { params: target, body: { roles: ['customer'] }, as: admin.as }))
          .status
      }),
    )
    expect(inOrder(both)).toEqual([200, 409])
  })

  test('lists users page by page and finds them by address or name', async () => {
    const { auth, admin } = await parts()
    await using _ = auth
    for (const name of ['Bo', 'Cy', 'Di']) await registered(auth, `${name}@example.com`, `${name} Example`)
    const seen: string[] = []
    let cursor: string | undefined
    do {
      const query = { limit: 2, ...(cursor === undefined ? {} : { cursor }) }
      const page = await auth.call(authRoutes.listUsers, { query, as: admin.as })
      seen.push(...page.body.items.map(({ email }: { email: string }) => email))
      cursor = page.body.next ?? undefined
    } while (cursor !== undefined)
    expect(seen).toEqual(['Di@example.com', 'Cy@example.com', 'Bo@example.com', 'ada@example.com', 'root@example.com'])
    const found = await auth.call(authRoutes.listUsers, { query: { q: 'CY EX' }, as: admin.as })
    expect(found.body.items.map(({ name }: { name: string }) => name)).toEqual(['Cy Example'])
    const bad = await auth.call(authRoutes.listUsers, { query: { cursor: 'nonsense' }, as: admin.as })
    expect(bad.body.errors[0].pointer).toBe('/query/cursor')
  })

  test('who asks for a user that is not there is told so', async () => {
    const { auth, admin } = await parts()
    await using _ = auth
    const params = { id: '01977c1e-6a00-7000-8000-0000000000ff' }
    expect((await auth.call(authRoutes.setRoles, { params, body: { roles: ['admin'] }, as: admin.as })).status).toBe(
      404,
    )
  })

  test('is refused by the service itself when the token says another role', async () => {
    const { auth, user } = await parts()
    await using _ = auth
    expect((await auth.call(authRoutes.listUsers, { as: user.as })).status).toBe(403)
  })
})
