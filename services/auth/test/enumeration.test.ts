import { authRoutes } from '@saas/contracts'
import { systemClock } from '@saas/config'
import { eventually, type TestService } from '@saas/testing'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { AccountRequests } from '../src/account-requests.ts'
import { PasswordHashing } from '../src/hashing.ts'
import { PASSWORD, registered, startedAuth } from './fixtures.ts'

/** In all, for each route; half of them about known addresses. `pnpm timing` sends 2,000 for each. */
const REQUESTS = process.env['ENUMERATION_REQUESTS']
const CONTROL_REQUESTS = 60
/** How well two kinds of answers may be told apart by their time: 0.5 is not at all, 1 is always. */
const AUC_MAX = 0.55
/** Enough requests for that bound to be met by chance in all but one of 10,000 runs. */
const REQUESTS_MIN = 2_000
/** With fewer, what chance alone brings about in one of 300,000 runs is allowed. */
const CHANCE_SIGMAS = 4.5

let auth: TestService
let sent = 0
beforeAll(async () => {
  auth = await startedAuth({}, { clock: systemClock })
  await registered(auth, 'first@example.com')
}, 60_000)
afterAll(async () => {
  await auth[Symbol.asyncDispose]()
})
afterEach(() => {
  vi.restoreAllMocks()
})

type Ask = (
  email: string,
  headers: Record<string, string>,
) => Promise<{ status: number; headers: object; body: unknown }>

interface Asked {
  readonly ask: Ask
  readonly requests: number
  /** Whether a live code waits for each known address, as it does while somebody signs in. */
  readonly isAwaited?: true
}

const routes: Readonly<Record<string, Asked>> = {
  login: {
    ask: (email, headers) => auth.call(authRoutes.login, { body: { email, password: 'not the password' }, headers }),
    requests: 80,
  },
  'signing in by a wrong code': {
    ask: (email, headers) => auth.call(authRoutes.login, { body: { email, code: '000000' }, headers }),
    requests: 400,
  },
  'signing in by a wrong code while a live one waits for the known address': {
    ask: (email, headers) => auth.call(authRoutes.login, { body: { email, code: '000000' }, headers }),
    requests: 200,
    isAwaited: true,
  },
  register: {
    ask: (email, headers) =>
      auth.call(authRoutes.register, { body: { email, password: PASSWORD, name: 'Ada' }, headers }),
    requests: 80,
  },
  'register without a password': {
    ask: (email, headers) => auth.call(authRoutes.register, { body: { email }, headers }),
    requests: 400,
  },
  'signing in by a registration’s wrong code': {
    ask: (email, headers) => {
      const body = { email, code: '000000', registrationId: '0197c0de-0000-7000-8000-000000000000' }
      return auth.call(authRoutes.login, { body, headers })
    },
    requests: 400,
  },
  'login code': {
    ask: (email, headers) => auth.call(authRoutes.requestLoginCode, { body: { email }, headers }),
    requests: 400,
  },
  forgot: {
    ask: (email, headers) => auth.call(authRoutes.forgotPassword, { body: { email }, headers }),
    requests: 400,
  },
  resend: {
    ask: (email, headers) => auth.call(authRoutes.resendVerification, { body: { email }, headers }),
    requests: 400,
  },
}

function askFor(name: string): Ask {
  const route = routes[name]
  if (route === undefined) throw new Error(`There is no ${name}`)
  return route.ask
}

describe('of a known and an unknown address', () => {
  test.each(Object.entries(routes))('%s says the same, byte by byte', async (_name, { ask, isAwaited }) => {
    const kinds = { ...(await kindsOfAccounts()), unknown: unknown() }
    if (isAwaited) await askForCodes(Object.values(kinds))
    const answers = await Promise.all(
      Object.values(kinds).map(async (email) => {
        const answer = await ask(email, client())
        const { date: _date, 'x-request-id': _id, ...headers } = answer.headers as Record<string, string>
        return JSON.stringify({ ...answer, headers }).replace(/urn:uuid:[0-9a-f-]{36}/, '')
      }),
    )
    expect(new Set(answers).size).toBe(1)
  })

  test.each(Object.entries(routes))(
    '%s takes the same time',
    { timeout: 300_000 },
    async (name, { ask, requests, isAwaited }) => {
      const count = Number(REQUESTS ?? requests)
      const auc = await distinguishability(ask, count, isAwaited)
      const max = count >= REQUESTS_MIN ? AUC_MAX : 0.5 + CHANCE_SIGMAS * Math.sqrt(1 / (3 * count))
      // oxlint-disable-next-line no-console -- the figure that the test is for
      console.log(`${name}: AUC ${auc.toFixed(3)} over ${count} interleaved requests, at most ${max.toFixed(3)}`)
      expect(auc).toBeLessThanOrEqual(max)
    },
  )
})

describe('the measurement tells them apart', () => {
  test('when an unknown address costs no hash', async () => {
    await using real = new PasswordHashing()
    const verify = real.verify.bind(real)
    vi.spyOn(PasswordHashing.prototype, 'verify').mockImplementation(async (hash, password) =>
      hash === undefined ? false : await verify(hash, password),
    )
    expect(await distinguishability(askFor('login'), CONTROL_REQUESTS)).toBeGreaterThan(0.9)
  })

  test.each(['register', 'login code', 'forgot', 'resend'])(
    'when %s looks at the account before it answers',
    { timeout: 300_000 },
    async (name) => {
      let delayMs = 0
      for (const method of ['register', 'request'] as const) {
        const write = AccountRequests.prototype[method] as (...values: unknown[]) => Promise<void>
        vi.spyOn(AccountRequests.prototype, method).mockImplementation(async function (
          this: AccountRequests,
          ...values: unknown[]
        ) {
          await write.apply(this, values)
          if (values.some((value) => String(value).startsWith('known-'))) await wait(delayMs)
        })
      }
      let auc = 0
      // As long as a mail server that is near takes to accept a mail; on a machine so busy that this is lost in it, as a slower one.
      for (delayMs = 20; auc <= 0.7 && delayMs <= 320; delayMs *= 4) {
        auc = await distinguishability(askFor(name), CONTROL_REQUESTS)
      }
      expect(auc).toBeGreaterThan(0.7)
    },
  )
})

/** One of each kind of account whose address somebody may ask about. */
async function kindsOfAccounts(): Promise<Record<string, string>> {
  const [verified = '', unproven = '', disabled = ''] = Array.from(
    { length: 3 },
    () => `${crypto.randomUUID()}@example.com`,
  )
  for (const email of [verified, unproven, disabled]) {
    await auth.database.query(
      `insert into account (id, email, email_key, name, language, roles, password_hash, verified_at, disabled_at, created_at, updated_at)
       select uuidv7(), $1, $1, name, language, roles, password_hash, case when $2 then now() end, case when $3 then now() end, created_at, updated_at
       from account
       where email = 'first@example.com'`,
      [email, email !== unproven, email === disabled],
    )
  }
  return { verified, unproven, disabled }
}

function unknown(): string {
  return `unkno-${sent}-${crypto.randomUUID()}@example.com`
}

/** Somebody else each time, so that nobody is slowed down. */
function client(): Record<string, string> {
  sent += 1
  return { 'x-forwarded-for': `10.${(sent >> 16) & 255}.${(sent >> 8) & 255}.${sent & 255}` }
}

/** Addresses that have accounts and that nobody has asked about, like the unknown ones: who was asked about before has rows that count it. */
async function newlyKnown(count: number): Promise<readonly string[]> {
  const emails = Array.from({ length: count }, (_, index) => `known-${index}-${crypto.randomUUID()}@example.com`)
  await auth.database.query(
    `insert into account (id, email, email_key, name, language, roles, password_hash, verified_at, created_at, updated_at)
     select uuidv7(), k.email, k.email, name, language, roles, password_hash, verified_at, created_at, updated_at
     from account, unnest($1::text[]) as k (email)
     where account.email = 'first@example.com'`,
    [emails],
  )
  return emails
}

/** As their owners would. */
async function askForCodes(emails: readonly string[]): Promise<void> {
  await Promise.all(emails.map((email) => askFor('login code')(email, client())))
  await untilAllAreApplied()
}

async function untilAllAreApplied(): Promise<void> {
  await eventually(async () => (await auth.database.query('select 1 from account_request limit 1')).length === 0, {
    timeoutMs: 60_000,
  })
}

/**
 * The probability that of two requests, one about a known and one about an unknown address, time alone tells which is which (the area
 * under the ROC curve). Chance decides the order of both kinds, so that whatever else the machine does meets both, what an
 * earlier request left to be done too; and ranks are compared, not times, so that a few very slow ones say little.
 */
async function distinguishability(ask: Ask, count: number, isAwaited = false): Promise<number> {
  const isKnownAt = shuffledHalves(count)
  const known = await newlyKnown(count)
  const emails = isKnownAt.map((isKnown, index) => (isKnown ? (known[index] ?? '') : unknown()))
  if (isAwaited) await askForCodes(emails.filter((_, index) => isKnownAt[index]))
  for (let warming = 0; warming < 20; warming += 1) await ask(unknown(), client())
  const statuses = new Set<number>()
  const times: { readonly isKnown: boolean; readonly ms: number }[] = []
  for (const [index, isKnown] of isKnownAt.entries()) {
    const email = emails[index] ?? ''
    const headers = client()
    const startedAt = performance.now()
    statuses.add((await ask(email, headers)).status)
    times.push({ isKnown, ms: performance.now() - startedAt })
  }
  await untilAllAreApplied()
  if (statuses.size !== 1) throw new Error(`The answers differ in more than their time: ${[...statuses].join(', ')}`)
  const ranked = times.toSorted((a, b) => a.ms - b.ms)
  const rankSum = ranked.reduce((sum, { isKnown }, index) => sum + (isKnown ? index + 1 : 0), 0)
  const half = count / 2
  const auc = (rankSum - (half * (half + 1)) / 2) / (half * half)
  return Math.max(auc, 1 - auc)
}

/** As many of the one kind as of the other, each in a place that says nothing about its neighbours. */
function shuffledHalves(count: number): readonly boolean[] {
  return Array.from({ length: count }, (_, index) => ({ isKnown: index % 2 === 0, place: Math.random() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ isKnown }) => isKnown)
}
