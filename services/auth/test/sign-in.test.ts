import { authEvents, authRoutes } from '@saas/contracts'
import { readConfig } from '@saas/config'
import { cloneDatabase, FakeClock, testBus, type TestService } from '@saas/testing'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { hash } from '@node-rs/argon2'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { clientOf } from '../src/client.ts'
import { authVariables } from '../src/config.ts'
import { PasswordHashing } from '../src/hashing.ts'
import type { Request } from '../src/request.ts'
import {
  eventsTo,
  from,
  inOrder,
  mailedSecret,
  PASSWORD,
  registered,
  signIn,
  someone,
  startedAuth,
  tokenOf,
} from './fixtures.ts'

let auth: TestService
beforeAll(async () => {
  auth = await startedAuth({ trustedHops: 1 })
})
afterAll(async () => {
  await auth[Symbol.asyncDispose]()
})

const login = async (
  email: string,
  password: string,
  headers: Record<string, string> = {},
): Promise<Awaited<ReturnType<TestService['call']>>> =>
  await auth.call(authRoutes.login, { body: { email, password }, headers })

describe('signing in by password', () => {
  test('gives an access token as RFC 9068 has it and a refresh token', async () => {
    const email = someone()
    await registered(auth, email)
    const answer = await login(email, PASSWORD)
    expect(answer).toMatchObject({ status: 200, body: { tokenType: 'Bearer', expiresIn: 300, user: { email } } })
    expect(answer.headers['cache-control']).toBe('no-store')
    expect(decodeProtectedHeader(answer.body.accessToken)).toEqual({
      alg: 'EdDSA',
      typ: 'at+jwt',
      kid: expect.any(String) as string,
    })
    const claims = decodeJwt(answer.body.accessToken)
    expect(claims).toMatchObject({
      iss: 'http://localhost:8080',
      aud: 'http://localhost:8080',
      sv: 1,
      roles: ['customer'],
    })
    expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBe(300)
  })

  test('the address is compared without regard to case', async () => {
    await registered(auth, 'Mixed.Case@Example.com')
    expect((await login('mixed.case@example.COM', PASSWORD)).status).toBe(200)
  })

  test('a wrong password and an unknown address get the same answer', async () => {
    const email = someone()
    await registered(auth, email)
    const wrong = await login(email, 'not the password at all')
    const unknown = await login(someone(), 'not the password at all')
    const bare = ({ body, status }: { body: { instance: string }; status: number }): unknown => {
      return [status, { ...body, instance: '' }]
    }
    expect(bare(wrong)).toEqual(bare(unknown))
    expect(wrong.body.type).toBe('/problems/wrong-credentials')
  })

  test('an unknown address costs a whole hash', async () => {
    const [email, stranger] = [someone(), someone()]
    await registered(auth, email)
    const durations: Record<string, number[]> = { [email]: [], [stranger]: [] }
    for (let run = 0; run < 11; run += 1) {
      // By turns: what the service does when an hour has passed takes its time from whoever comes next.
      for (const address of run % 2 === 0 ? [email, stranger] : [stranger, email]) {
        const startedAt = performance.now()
        await login(address, `wrong in a new way ${run}`, from(`192.0.2.${run}`))
        durations[address]?.push(performance.now() - startedAt)
      }
      auth.clock.advance(3_600_000)
    }
    // The quickest of each: whatever else the machine does only makes one slower.
    const least = (address: string): number => Math.min(...(durations[address] ?? []))
    // Without the hash the unknown address would take a tenth.
    expect(least(stranger) / least(email)).toBeGreaterThan(0.25)
    expect(least(stranger) / least(email)).toBeLessThan(4)
  })

  test('an unproven address is told to whoever knows the password, and mailed anew', async () => {
    const email = someone()
    await auth.call(authRoutes.register, { body: { email, password: PASSWORD, name: 'Ada' } })
    await mailedSecret(auth, authEvents.verificationRequested, email)
    expect((await login(email, 'not the password at all')).body.type).toBe('/problems/wrong-credentials')
    expect((await login(email, PASSWORD)).body).toMatchObject({ status: 403, type: '/problems/address-not-verified' })
    const secret = await mailedSecret(auth, authEvents.verificationRequested, email, 2)
    await auth.call(authRoutes.verify, { body: { token: tokenOf(secret) } })
    expect((await login(email, PASSWORD)).status).toBe(200)
  })

  test('a hash with weaker parameters is replaced at the next sign-in', async () => {
    const email = someone()
    await registered(auth, email)
    const weak = await hash(PASSWORD, { memoryCost: 8_192, timeCost: 1, parallelism: 1 })
    await auth.database.query('update account set password_hash = $1 where email_key = $2', [weak, email])
    await signIn(auth, email)
    const [row] = await auth.database.query<{ hash: string }>(
      'select password_hash as hash from account where email_key = $1',
      [email],
    )
    expect(row?.hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    await signIn(auth, email)
  })

  test('the owner hears of a sign-in from a new kind of device, but not of the first ever', async () => {
    const email = someone()
    await registered(auth, email)
    const firefox = { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0' }
    await signIn(auth, email, firefox)
    await signIn(auth, email, firefox)
    await signIn(auth, email, { 'user-agent': 'curl/8.0' })
    const opened = await eventsTo(auth, authEvents.sessionOpened, email)
    expect(opened.map(({ data }) => [data.device, data.newDevice])).toEqual([
      ['Firefox on Linux', false],
      ['Firefox on Linux', false],
      ['curl', true],
    ])
  })
})

describe('guessing', () => {
  const guesses = async (email: string, count: number, headers: Record<string, string>): Promise<number[]> => {
    const statuses: number[] = []
    for (let guess = 0; guess < count; guess += 1) {
      statuses.push((await login(email, `guess number ${guess}`, headers)).status)
    }
    return statuses
  }

  test.each(['known', 'unknown'])('a %s account bears few guesses, then pauses that grow', async (kind) => {
    const email = someone()
    if (kind === 'known') await registered(auth, email)
    expect(await guesses(email, 6, from('198.51.100.1'))).toEqual([401, 401, 401, 401, 401, 429])
    const pauses: number[] = []
    for (let round = 0; round < 4; round += 1) {
      const refused = await login(email, 'guess', from('198.51.100.2'))
      expect(refused.body.type).toBe('/problems/too-many-requests')
      pauses.push(Number(refused.headers['retry-after']))
      auth.clock.advance(Number(refused.headers['retry-after']) * 1_000)
      expect((await login(email, 'guess', from('198.51.100.2'))).status).toBe(401)
    }
    expect(pauses).toEqual([1, 2, 4, 8])
  })

  test('parallel guesses are counted one by one', async () => {
    const email = someone()
    const statuses = await Promise.all(
      Array.from(
        { length: 20 },
        async (_, guess) => (await login(email, `guess ${guess}`, from('198.51.100.3'))).status,
      ),
    )
    expect(statuses.filter((status) => status === 401)).toHaveLength(5)
  })

  test('attempts that are free wait for nothing, though the clock of another replica is ahead', async () => {
    const email = someone()
    for (let attempt = 0; attempt < 4; attempt += 1) {
      expect((await login(email, 'guess', from('198.51.100.7'))).status).toBe(401)
      auth.clock.advance(-1_000)
    }
    auth.clock.advance(4_000)
  })

  test('a refused guess costs no hash and does not lengthen the pause', async () => {
    const email = someone()
    await guesses(email, 5, from('198.51.100.4'))
    expect(await guesses(email, 20, from('198.51.100.4'))).toEqual(Array.from({ length: 20 }, () => 429))
    auth.clock.advance(1_000)
    expect((await login(email, 'guess', from('198.51.100.4'))).status).toBe(401)
  })

  test('a refused guess stops nobody else who comes from the same address', async () => {
    const colleague = someone()
    await registered(auth, colleague)
    await guesses(someone(), 120, from('198.51.100.8'))
    expect((await login(colleague, PASSWORD, from('198.51.100.8'))).status).toBe(200)
  })

  test('the owner gets in from where they were in the last thirty days, whatever strangers do', async () => {
    const email = someone()
    await registered(auth, email)
    await signIn(auth, email, from('203.0.113.9'))
    await guesses(email, 8, from('198.51.100.5'))
    expect((await login(email, PASSWORD, from('198.51.100.5'))).status).toBe(429)
    await signIn(auth, email, from('203.0.113.9'))
    auth.clock.advance(30 * 86_400_000)
    await guesses(email, 8, from('198.51.100.5'))
    expect((await login(email, PASSWORD, from('203.0.113.9'))).status).toBe(429)
  })

  test('nothing is locked for good: left alone, an account is as it was', async () => {
    const email = someone()
    await registered(auth, email)
    for (let guess = 0; guess < 40; guess += 1) {
      await login(email, `guess ${guess}`, from('198.51.100.6'))
      auth.clock.advance(900_000)
    }
    const refused = await login(email, PASSWORD, from('198.51.100.6'))
    expect(refused.status).toBe(200)
  })

  test('one address is stopped whatever accounts it tries, and the address is the one the trusted proxy saw', async () => {
    const token = (guess: number): string => String(guess).padStart(43, 'x')
    const statuses: number[] = []
    for (let guess = 0; guess < 101; guess += 1) {
      const forged = { 'x-forwarded-for': `192.0.2.${guess}, 198.51.100.77, 10.0.0.1` }
      statuses.push((await auth.call(authRoutes.verify, { body: { token: token(guess) }, headers: forged })).status)
    }
    expect(statuses).toEqual([...Array.from({ length: 100 }, () => 400), 429])
    const other = { 'x-forwarded-for': '198.51.100.78, 10.0.0.1' }
    expect((await auth.call(authRoutes.verify, { body: { token: 'y'.repeat(43) }, headers: other })).status).toBe(400)
  })
})

describe('guessing at several replicas', () => {
  test('is counted together, by account and by address, before any of them hashes', async () => {
    await using database = await cloneDatabase('auth')
    await using bus = await testBus()
    const clock = new FakeClock(new Date())
    await using first = await startedAuth({}, { database, bus, clock })
    await using second = await startedAuth({}, { database, bus, clock })
    await using third = await startedAuth({}, { database, bus, clock })
    const replicas = [first, second, third]
    const verify = vi.spyOn(PasswordHashing.prototype, 'verify')
    onTestFinished(() => {
      verify.mockRestore()
    })
    const guess = async (index: number, email: string, address: string): Promise<number> => {
      const replica = replicas[index % replicas.length] ?? first
      const headers = { 'x-forwarded-for': address }
      return (await replica.call(authRoutes.login, { body: { email, password: 'guess' }, headers })).status
    }
    const email = someone()
    const byAccount = await Promise.all(
      Array.from({ length: 30 }, (_, index) => guess(index, email, `198.51.100.${index}`)),
    )
    expect(inOrder(byAccount)).toEqual([
      ...Array.from({ length: 5 }, () => 401),
      ...Array.from({ length: 25 }, () => 429),
    ])
    expect(verify).toHaveBeenCalledTimes(5)
    verify.mockClear()
    const byAddress: number[] = []
    for (let index = 0; index < 103; index += 1) byAddress.push(await guess(index, someone(), '203.0.113.1'))
    expect(byAddress.filter((status) => status === 429)).toHaveLength(3)
    expect(verify).toHaveBeenCalledTimes(100)
  }, 60_000)
})

test.each([
  ['is missing', undefined, 'is not set'],
  ['is empty', '', 'is not set'],
  ['is no number', 'one', 'must be a whole number'],
  ['is a list of networks', '10.0.0.0/8', 'must be a whole number'],
  ['is negative', '-1', 'must be a whole number'],
])('auth refuses to start when TRUSTED_HOPS %s: it could not know whom it counts', (_what, value, problem) => {
  const environment = value === undefined ? {} : { TRUSTED_HOPS: value }
  expect(() => readConfig({ trustedHops: authVariables.trustedHops }, environment)).toThrow(`TRUSTED_HOPS ${problem}`)
})

test.each([
  [0, '203.0.113.7', '203.0.113.7'],
  [0, '6.6.6.6, 203.0.113.7', '203.0.113.7'],
  [0, ['6.6.6.6', '203.0.113.7'], '203.0.113.7'],
  [1, '6.6.6.6, 203.0.113.7, 10.0.0.1', '203.0.113.7'],
  [2, '6.6.6.6, 203.0.113.7, 10.0.0.2, 10.0.0.1', '203.0.113.7'],
  [1, '203.0.113.7', '203.0.113.7'],
  [0, '203.0.113.7, not an address', '127.0.0.1'],
  [0, undefined, '127.0.0.1'],
  [0, '::ffff:203.0.113.7', '203.0.113.7'],
  [0, '::FFFF:cb00:7107', '203.0.113.7'],
  // Some gateways write the port, too.
  [0, '203.0.113.7:51234', '203.0.113.7'],
  [0, '[2001:db8::7]:51234', '2001:db8::7'],
  [0, '[2001:db8::7]', '2001:db8::7'],
  [0, '2001:db8::7:5123', '2001:db8::7:5123'],
])('behind %i proxies a client that says %j is %s', (trustedHops, forwarded, address) => {
  const request = {
    headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
    socket: { remoteAddress: '127.0.0.1' },
  }
  expect(clientOf(request as unknown as Request, trustedHops).address).toBe(address)
})

test.each([
  ['203.0.113.7', '203.0.113.7'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['2001:DB8:0:0:ffff::1', '2001:db8:0:0::/64'],
  ['2001:0db8:0000:0000:1:2:3:4', '2001:db8:0:0::/64'],
  ['2001:db8:0:1::1', '2001:db8:0:1::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
])('%s is counted as %s', (address, network) => {
  const request = { headers: { 'x-forwarded-for': address }, socket: {} }
  expect(clientOf(request as unknown as Request, 0).network).toBe(network)
})
