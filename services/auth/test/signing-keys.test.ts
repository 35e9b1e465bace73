import { authRoutes } from '@saas/contracts'
import { Database } from '@saas/state'
import { cloneDatabase, currentSigningKey, eventually, FakeClock, testLog } from '@saas/testing'
import { decodeProtectedHeader } from 'jose'
import { describe, expect, test } from 'vitest'
import { DataKey } from '../src/data-key.ts'
import { SigningKeys } from '../src/signing-keys.ts'
import { decision, keyEncryptionKey, newUser, PASSWORD, startedAuth } from './fixtures.ts'

describe('signing keys', () => {
  test('are awaited by everybody who asks while they are being read, so that a start logs nobody out', async () => {
    await using auth = await startedAuth()
    const { accessToken } = await newUser(auth)
    const { kid = '' } = decodeProtectedHeader(accessToken)
    const { logger } = testLog('auth')
    const { clock, database } = auth
    await using connected = new Database({ url: database.url, service: 'auth', timeoutMs: 5_000, logger })
    const basics = { database: connected, clock, logger }
    const dataKey = new DataKey({ ...basics, keyEncryptionKey, keyEncryptionKeyAccepted: undefined })
    const keys = new SigningKeys({ ...basics, dataKey })
    const asked = await Promise.all([keys.publicKey(kid), keys.publicKey(kid), keys.publicKey(kid)])
    expect(asked.map((key) => key !== undefined)).toEqual([true, true, true])
  })

  test('are published, two at least, without their private half', async () => {
    await using auth = await startedAuth()
    const user = await newUser(auth)
    const answer = await auth.call(authRoutes.jwks)
    expect(answer.body.keys.length).toBeGreaterThanOrEqual(2)
    for (const key of answer.body.keys) {
      expect(Object.keys(key).toSorted()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x'])
    }
    expect(answer.body.keys.map(({ kid }: { kid: string }) => kid)).toContain(
      decodeProtectedHeader(user.accessToken).kid,
    )
  })

  test('that were withdrawn are good for nothing within a minute, and refreshing gives a token by another', async () => {
    await using auth = await startedAuth()
    const user = await newUser(auth)
    const isGood = async (accessToken: string): Promise<boolean> =>
      (await decision(auth, 'GET', '/profile', accessToken)).status === 200
    expect(await isGood(user.accessToken)).toBe(true)
    await auth.database.query('delete from signing_key where id = $1', [decodeProtectedHeader(user.accessToken).kid])
    auth.clock.advance(60_000)
    await eventually(async () => !(await isGood(user.accessToken)))
    const refreshed = await auth.call(authRoutes.refresh, { body: { refreshToken: user.refreshToken } })
    expect(await isGood(refreshed.body.accessToken)).toBe(true)
  })

  test(
    'change without a refused token, and the next one was published before it signs',
    { timeout: 30_000 },
    async () => {
      await using rotating = await startedAuth()
      const email = 'rotation@example.com'
      const before = await newUser(rotating, email)
      const published = (await rotating.call(authRoutes.jwks)).body.keys.map(
        ({ kid }: { kid: string }) => kid,
      ) as string[]
      rotating.clock.advance(30 * 86_400_000 - 1)
      const login = async (): Promise<string> => {
        const body = { email, password: PASSWORD }
        return (await rotating.call(authRoutes.login, { body })).body.accessToken as string
      }
      const last = await login()
      expect(decodeProtectedHeader(last).kid).toBe(decodeProtectedHeader(before.accessToken).kid)
      rotating.clock.advance(1)
      const first = await login()
      expect(decodeProtectedHeader(first).kid).not.toBe(decodeProtectedHeader(last).kid)
      expect(published).toContain(decodeProtectedHeader(first).kid)
      // Until the last token ends, of which the times are whole seconds.
      rotating.clock.advance(298_000)
      for (const token of [last, first]) expect((await decision(rotating, 'GET', '/profile', token)).status).toBe(200)
      const kids = async (): Promise<string[]> =>
        (await rotating.call(authRoutes.jwks)).body.keys.map(({ kid }: { kid: string }) => kid)
      expect(await kids()).toContain(decodeProtectedHeader(last).kid)
      rotating.clock.advance(3_600_000)
      expect(await kids()).not.toContain(decodeProtectedHeader(last).kid)
    },
  )

  test('of a replica that started later are known to those that run', async () => {
    await using database = await cloneDatabase('auth')
    const clock = new FakeClock(new Date())
    await using first = await startedAuth({}, { database, clock })
    const user = await newUser(first)
    // The first one's keys are lost to the second, which makes one of its own.
    await database.query(`update signing_key set sealed_private_key = '\\x00'`)
    await using second = await startedAuth({}, { database, clock })
    const email = (await first.call(authRoutes.getProfile, { as: user.as })).body.email as string
    const login = await second.call(authRoutes.login, { body: { email, password: PASSWORD } })
    expect(login.status).toBe(200)
    expect(decodeProtectedHeader(login.body.accessToken).kid).not.toBe(decodeProtectedHeader(user.accessToken).kid)
    await eventually(async () => (await decision(first, 'GET', '/profile', login.body.accessToken)).status === 200)
    await eventually(async () => (await decision(second, 'GET', '/profile', user.accessToken)).status === 200)
  })

  test('are sealed in the database', async () => {
    await using auth = await startedAuth()
    await newUser(auth)
    const { privateKey } = await currentSigningKey(auth.database, keyEncryptionKey, auth.clock.now())
    const { d = '' } = privateKey.export({ format: 'jwk' })
    const rows = await auth.database.query<{ row: string }>(
      `select signing_key::text || encode(sealed_private_key, 'escape') as row from signing_key`,
    )
    expect(rows.length).toBeGreaterThanOrEqual(2)
    const bytes = Buffer.from(d, 'base64url')
    for (const { row } of rows) {
      for (const form of [d, bytes.toString('hex'), bytes.toString('base64')]) expect(row).not.toContain(form)
    }
  })
})
