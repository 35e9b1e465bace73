import { authEvents, authRoutes, NAME_CHARACTERS_MAX, type ProviderAnswer } from '@saas/contracts'
import { Authenticator } from '@saas/devstack'
import type { TestService } from '@saas/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  decision,
  eventsTo,
  mailedSecret,
  newUser,
  PASSWORD,
  sendTo,
  signIn,
  someone,
  startedAuth,
  tokenOf,
  type SignedInUser,
  userOf,
} from './fixtures.ts'
import { CLIENT, startIdentityProvider, type IdentityProvider, type ProviderUser } from './identity-provider.ts'

let auth: TestService
let provider: IdentityProvider
beforeAll(async () => {
  const pages = ['trusted', 'plain'].map((id) => `http://localhost:8080/oidc/${id}`)
  provider = await startIdentityProvider(pages)
  const { issuer } = provider
  auth = await startedAuth({
    oidcProviders: [
      { ...CLIENT, id: 'trusted', name: 'The trusted one', issuer, trustEmail: true },
      { ...CLIENT, id: 'plain', name: 'The plain one', issuer, trustEmail: false },
      { ...CLIENT, id: 'down', name: 'The one that is down', issuer: 'http://localhost:9', trustEmail: true },
    ],
  })
})
afterAll(async () => {
  await auth[Symbol.asyncDispose]()
  await provider[Symbol.asyncDispose]()
})

type Answer = Awaited<ReturnType<TestService['call']>>

const person = (email: string, verified = true): ProviderUser => ({
  sub: crypto.randomUUID(),
  email,
  email_verified: verified,
  name: 'Ada at the provider',
})

interface Arrival {
  readonly answer: ProviderAnswer
  readonly cookie: string
}

type Tampering = (query: URLSearchParams) => void

async function travelled(user: ProviderUser, id = 'trusted', by = auth, tamper?: Tampering): Promise<Arrival> {
  provider.user = user
  const departure = await by.call(authRoutes.departToProvider, { params: { provider: id } })
  if (departure.status !== 200) throw new Error(JSON.stringify(departure.body))
  const cookie = departure.headers['set-cookie']?.split(';')[0] ?? ''
  const url = new URL(departure.body.url)
  tamper?.(url.searchParams)
  return { cookie, answer: (await provider.visit(url.href)) as ProviderAnswer }
}

const arrive = async ({ answer, cookie }: Arrival, id = 'trusted', by = auth): Promise<Answer> =>
  await by.call(authRoutes.returnFromProvider, { params: { provider: id }, body: answer, headers: { cookie } })

describe('signing in with a provider', () => {
  test('makes an account for a new address and finds it again, whatever the address is then', async () => {
    const user = person(someone())
    const first = await arrive(await travelled(user))
    expect(first).toMatchObject({ status: 200, body: { user: { email: user.email, name: user.name } } })
    const again = await arrive(await travelled({ ...user, email: someone(), email_verified: false }))
    expect(userOf(again.body).userId).toBe(userOf(first.body).userId)
    const body = { email: user.email ?? '', password: PASSWORD }
    expect((await auth.call(authRoutes.login, { body })).status).toBe(401)
  })

  test.each([
    ['the provider says', 'de-AT', 'en-GB,en;q=0.9', 'de'],
    ['the browser asks for, when the provider says none of ours', 'tlh', 'fr, de-CH;q=0.8, en;q=0.7', 'de'],
    ['the browser asks for, when the provider says nothing', undefined, 'de', 'de'],
    ['is there for everybody, when nobody says any', undefined, undefined, 'en'],
  ])('makes the account in the language that %s', async (_, locale, accepted, language) => {
    const user = { ...person(someone()), ...(locale === undefined ? {} : { locale }) }
    const { answer: body, cookie } = await travelled(user)
    const headers = { cookie, ...(accepted === undefined ? {} : { 'accept-language': accepted }) }
    const arrived = await auth.call(authRoutes.returnFromProvider, { params: { provider: 'trusted' }, body, headers })
    expect((await auth.call(authRoutes.getProfile, { as: userOf(arrived.body).as })).body.language).toBe(language)
  })

  test.each([
    ['too long', 'x'.repeat(101), 'x'.repeat(NAME_CHARACTERS_MAX)],
    ['too long in the form it is kept in', '\ufb2c'.repeat(34), '\ufb2c'.repeat(34).normalize('NFC').slice(0, 100)],
    ['too long in characters of two units', '🦦'.repeat(101), '🦦'.repeat(NAME_CHARACTERS_MAX)],
    ['of a blank where it is cut', `${'x'.repeat(99)} Lovelace`, 'x'.repeat(99)],
  ])('cuts a name that is %s, and the account can be used', async (_, name, kept) => {
    const email = someone()
    const answer = await arrive(await travelled({ ...person(email), name }))
    expect(answer).toMatchObject({ status: 200, body: { user: { name: kept } } })
    const profile = await auth.call(authRoutes.getProfile, { as: userOf(answer.body).as })
    expect([profile.status, profile.body.name]).toEqual([200, kept])
    const [told] = await eventsTo(auth, authEvents.userChanged, email)
    expect(Array.from(told?.data.name ?? '').length).toBeLessThanOrEqual(NAME_CHARACTERS_MAX)
  })

  test.each(['\u0000', ' \u200b ', 'Ada \u202egnp.exe', '\u200b'.repeat(100) + 'Ada'])(
    'calls who has a name there that nobody could have here by their address: %j',
    async (name) => {
      const email = someone()
      const answer = await arrive(await travelled({ ...person(email), name }))
      expect(answer.body.user.name).toBe(email.split('@')[0])
    },
  )

  test('takes an id of at most 255 characters, as none is longer', async () => {
    const user = person(someone())
    expect((await arrive(await travelled({ ...user, sub: 'x'.repeat(255) }))).status).toBe(200)
    const answer = await arrive(await travelled({ ...user, sub: 'x'.repeat(256) }))
    expect(answer.body.type).toBe('/problems/provider-refused')
  })

  test('of two first times at once both open the one account', async () => {
    const user = person(someone())
    const arrivals = [await travelled(user), await travelled(user), await travelled(user)]
    const answers = await Promise.all(arrivals.map(async (arrival) => await arrive(arrival)))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(new Set(answers.map(({ body }) => userOf(body).userId)).size).toBe(1)
  })

  test.each(['"Ada L" <ada@example.com>', 'ada', `${'a'.repeat(65)}@example.com`, 'ada@example.com, eve@example.com'])(
    'makes no account for an address that nobody could register: %s',
    async (email) => {
      const answer = await arrive(await travelled(person(email)))
      expect(answer.body.type).toBe('/problems/identity-not-linked')
    },
  )

  test('opens the customer’s account that has proven the same address, and tells its owner', async () => {
    const email = someone()
    const { userId } = await newUser(auth, email)
    const answer = await arrive(await travelled(person(email.toUpperCase().replace('EXAMPLE.COM', 'example.com'))))
    expect(userOf(answer.body).userId).toBe(userId)
    const told = await eventsTo(auth, authEvents.factorChanged, email)
    expect(told.map(({ data }) => `${data.factor} ${data.change} ${data.label}`)).toEqual([
      'identity added The trusted one',
    ])
    const written = await auth.database.query(
      `select by_id as "byId", detail from audit_entry where account_id = $1 and action = 'factor-added'`,
      [userId],
    )
    expect(written).toEqual([
      { byId: userId, detail: { factor: 'identity', change: 'added', label: 'The trusted one' } },
    ])
  })

  test.each([
    ['an address that the provider has not verified', 'trusted', false],
    ['a provider that is not trusted with addresses', 'plain', true],
  ])('by %s opens and makes nothing, and says the same of known and unknown addresses', async (_, id, verified) => {
    const known = someone()
    await newUser(auth, known)
    const answers = await Promise.all(
      [known, someone()].map(async (email) => {
        const { status, body } = await arrive(await travelled(person(email, verified), id), id)
        return { status, type: body.type, detail: body.detail }
      }),
    )
    expect(answers[0]).toEqual(answers[1])
    expect(answers[0]).toMatchObject({ status: 403, type: '/problems/identity-not-linked' })
  })

  test('lets the owner of an address in that a stranger registered and never proved, and nobody by the stranger’s password', async () => {
    const email = someone()
    const body = { email, password: PASSWORD, name: 'A stranger' }
    expect((await auth.call(authRoutes.register, { body })).status).toBe(202)
    const mail = await mailedSecret(auth, authEvents.verificationRequested, email)
    const user = person(email)
    const answer = await arrive(await travelled(user))
    expect(answer).toMatchObject({ status: 200, body: { user: { email, name: user.name } } })
    expect((await auth.call(authRoutes.verify, { body: { token: tokenOf(mail) } })).body.type).toBe(
      '/problems/wrong-token',
    )
    const login = await auth.call(authRoutes.login, { body: { email, password: PASSWORD } })
    expect(login.body.type).toBe('/problems/wrong-credentials')
    const changes = await eventsTo(auth, authEvents.userChanged, email)
    expect(changes.map(({ data }) => data.verified)).toEqual([false, true])
  })

  test('never opens the account of somebody with a role by its address alone', async () => {
    const email = someone()
    const { userId } = await newUser(auth, email)
    await auth.database.query(`update account set roles = '{manager}' where id = $1`, [userId])
    expect((await arrive(await travelled(person(email)))).body.type).toBe('/problems/identity-not-linked')
  })

  test('leads to the second factor where one is on', async () => {
    const email = someone()
    const user = await newUser(auth, email)
    await Authenticator.enrol(sendTo(auth), user.accessToken, () => auth.clock.now())
    const answer = await arrive(await travelled(person(email)))
    expect(answer.body.methods).toEqual(['totp', 'recovery-code'])
    expect(answer.body.accessToken).toBeUndefined()
  })

  test('of a disabled account says so', async () => {
    const user = person(someone())
    const { userId } = userOf((await arrive(await travelled(user))).body)
    await auth.database.query('update account set disabled_at = now() where id = $1', [userId])
    expect((await arrive(await travelled(user))).body.type).toBe('/problems/account-disabled')
  })

  test('counts once, within ten minutes, in the browser that began it, at the provider it was begun with', async () => {
    const user = person(someone())
    const used = await travelled(user)
    expect((await arrive(used)).status).toBe(200)
    expect((await arrive(used)).body.type).toBe('/problems/wrong-token')
    const [mine, theirs] = [await travelled(user), await travelled(user)]
    const swapped = await arrive({ ...mine, cookie: theirs.cookie })
    expect(swapped.body.type).toBe('/problems/wrong-token')
    expect((await arrive(await travelled(user), 'plain')).body.type).toBe('/problems/wrong-token')
    const late = await travelled(user)
    auth.clock.advance(600_000)
    expect((await arrive(late)).body.type).toBe('/problems/wrong-token')
  })

  test('refuses a code that was put in, and the provider’s own refusal', async () => {
    const user = person(someone())
    const [mine, stolen] = [await travelled(user), await travelled(user)]
    const injected = { ...mine, answer: { ...mine.answer, code: stolen.answer.code ?? '' } }
    expect((await arrive(injected)).body.type).toBe('/problems/provider-refused')
    const { cookie, answer } = await travelled(user)
    const declined = { cookie, answer: { state: answer.state, error: 'access_denied' } }
    expect((await arrive(declined)).body.type).toBe('/problems/provider-refused')
  })

  test.each<[string, Tampering]>([
    ['another nonce', (query) => query.set('nonce', 'another')],
    ['no nonce', (query) => query.delete('nonce')],
    ['another PKCE challenge', (query) => query.set('code_challenge', 'A'.repeat(43))],
  ])('refuses an answer to a question with %s than ours', async (_, tamper) => {
    const arrival = await travelled(person(someone()), 'trusted', auth, tamper)
    expect((await arrive(arrival)).body.type).toBe('/problems/provider-refused')
  })

  test('refuses an answer with another state than ours, and one that another provider gave', async () => {
    const user = person(someone())
    const stateless = await travelled(user, 'trusted', auth, (query) => query.set('state', 'another'))
    expect((await arrive(stateless)).body.type).toBe('/problems/wrong-token')
    // RFC 9207: a provider that says who it is always says so.
    for (const iss of ['http://localhost:9', undefined]) {
      const { cookie, answer } = await travelled(user)
      expect(answer.iss).toBe(provider.issuer)
      const { iss: _, ...bare } = answer
      const mixed = { cookie, answer: iss === undefined ? bare : { ...bare, iss } }
      expect((await arrive(mixed)).body.type).toBe('/problems/provider-refused')
    }
  })

  test('says so when the provider is down, and knows no other', async () => {
    const down = await auth.call(authRoutes.departToProvider, { params: { provider: 'down' } })
    expect([down.status, down.headers['retry-after']]).toEqual([503, '5'])
    expect((await auth.call(authRoutes.departToProvider, { params: { provider: 'other' } })).status).toBe(404)
    const { body } = await auth.call(authRoutes.listProviders)
    expect(body.items.map(({ id }: { id: string }) => id)).toEqual(['trusted', 'plain', 'down'])
  })

  test('its secrets are sealed at rest', async () => {
    await travelled(person(someone()))
    const rows = await auth.database.query<{ sealed: Uint8Array }>(
      'select sealed_secrets as sealed from provider_sign_in',
    )
    expect(rows).not.toHaveLength(0)
    // They are longer than any text that sealed bytes contain by chance.
    for (const { sealed } of rows) expect(Buffer.from(sealed).toString('latin1')).not.toMatch(/[\w-]{20}/)
  })
})

describe('linking a provider', () => {
  const linked = async (as: SignedInUser['as'], user: ProviderUser, id: string): Promise<Answer> => {
    provider.user = user
    const params = { provider: id }
    const departure = await auth.call(authRoutes.departToLink, { params, as })
    if (departure.status !== 200) return departure
    const cookie = departure.headers['set-cookie']?.split(';')[0] ?? ''
    const body = (await provider.visit(departure.body.url)) as ProviderAnswer
    return await auth.call(authRoutes.returnToLink, { params, body, as, headers: { cookie } })
  }

  test('by hand works with any provider, needs a recent sign-in, and the link opens the account', async () => {
    const email = someone()
    const ada = await newUser(auth, email)
    const user = person(someone(), false)
    auth.clock.advance(600_000)
    expect((await linked(ada.as, user, 'plain')).body.type).toBe('/problems/reauthentication-required')
    await auth.call(authRoutes.reauthenticate, { as: ada.as, body: { password: PASSWORD } })
    expect((await linked(ada.as, user, 'plain')).status).toBe(204)
    const opened = userOf((await arrive(await travelled(user, 'plain'), 'plain')).body)
    expect(opened.userId).toBe(ada.userId)
    const bob = await newUser(auth)
    expect((await linked(bob.as, user, 'plain')).body.type).toBe('/problems/identity-taken')
    const { identities } = (await auth.call(authRoutes.listFactors, { as: ada.as })).body
    expect(identities).toMatchObject([{ provider: 'plain', email: user.email }])
    const params = { id: identities[0].id }
    expect((await auth.call(authRoutes.unlinkIdentity, { as: bob.as, params })).status).toBe(404)
    expect((await auth.call(authRoutes.unlinkIdentity, { as: ada.as, params })).status).toBe(204)
    expect((await decision(auth, 'GET', '/profile', opened.accessToken)).status).toBe(401)
    expect((await arrive(await travelled(user, 'plain'), 'plain')).body.type).toBe('/problems/identity-not-linked')
    await signIn(auth, email)
  })

  test('an account has no more of them than it shows, whichever way they come to it', async () => {
    const email = someone()
    const { as } = await newUser(auth, email)
    for (let n = 0; n < 20; n += 1) expect((await linked(as, person(someone()), 'plain')).status).toBe(204)
    expect((await linked(as, person(someone()), 'plain')).body.type).toBe('/problems/identities-full')
    expect((await arrive(await travelled(person(email)))).body.type).toBe('/problems/identities-full')
    const { identities } = (await auth.call(authRoutes.listFactors, { as })).body
    expect(identities).toHaveLength(20)
    await auth.call(authRoutes.unlinkIdentity, { as, params: { id: identities[0].id } })
    expect((await linked(as, person(someone()), 'plain')).status).toBe(204)
  })

  test('what one account began another does not finish', async () => {
    const [ada, bob] = [await newUser(auth), await newUser(auth)]
    provider.user = person(someone())
    const params = { provider: 'plain' }
    const departure = await auth.call(authRoutes.departToLink, { params, as: ada.as })
    const cookie = departure.headers['set-cookie']?.split(';')[0] ?? ''
    const body = (await provider.visit(departure.body.url)) as ProviderAnswer
    const other = await auth.call(authRoutes.returnToLink, { params, body, as: bob.as, headers: { cookie } })
    expect(other.body.type).toBe('/problems/wrong-token')
  })
})

test('the secret at a provider is replaced: who has the new one signs the same person in, who has the old one is refused', async () => {
  const user = person(someone())
  const first = await arrive(await travelled(user))
  const { issuer } = provider
  await using renewed = await startedAuth(
    {
      oidcProviders: [
        {
          id: 'trusted',
          name: 'The trusted one',
          issuer,
          trustEmail: true,
          clientId: CLIENT.clientId,
          clientSecret: 'young',
        },
      ],
    },
    { database: auth.database, clock: auth.clock },
  )
  // Nobody has told the provider yet.
  const early = await arrive(await travelled(user, 'trusted', renewed), 'trusted', renewed)
  expect([early.status, early.body.type]).toEqual([403, expect.stringMatching(/provider-refused$/)])
  provider.change({ clientSecret: 'young' })
  const second = await arrive(await travelled(user, 'trusted', renewed), 'trusted', renewed)
  expect(userOf(second.body).userId).toBe(userOf(first.body).userId)
  expect((await arrive(await travelled(user))).status).toBe(403)
})
