import { authRoutes } from '@saas/contracts'
import { signInWithFactor, type Authenticator } from '@saas/devstack'
import { signUnsubscribe } from '@saas/http'
import { Database } from '@saas/state'
import { cloneDatabase, eventually, FakeClock, testLog, type TestDatabase, type TestService } from '@saas/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AuthConfig } from '../src/config.ts'
import { DataKey } from '../src/data-key.ts'
import { deriveKeys } from '../src/derived-keys.ts'
import {
  administratorWithFactor,
  BOOTSTRAP_TOKEN,
  decision,
  mailSecretKey,
  newUser,
  PASSWORD,
  sendTo,
  startedAuth,
  userOf,
} from './fixtures.ts'

const key = (letter: number): Uint8Array => new Uint8Array(32).fill(letter)
const [old, young] = [key(1), key(2)]
/** What the pods of each step have, in the order of docs/operations/secrets.md. */
const steps = {
  before: { keyEncryptionKey: old, keyEncryptionKeyAccepted: undefined },
  accepting: { keyEncryptionKey: old, keyEncryptionKeyAccepted: young },
  using: { keyEncryptionKey: young, keyEncryptionKeyAccepted: old },
  after: { keyEncryptionKey: young, keyEncryptionKeyAccepted: young },
}

let database: TestDatabase
let clock: FakeClock
beforeAll(async () => {
  database = await cloneDatabase('auth')
  clock = new FakeClock(new Date())
})
afterAll(async () => {
  await database[Symbol.asyncDispose]()
})

const started = async (config: Partial<AuthConfig>): Promise<TestService> =>
  await startedAuth(config, { database, clock })
const readiness = async (auth: TestService) => (await fetch(`${auth.opsUrl}/readyz`)).status
const sealedBy = async () => {
  const [row] = await database.query<{ sealedBy: string; formerly: string[] }>(
    'select sealed_by as "sealedBy", formerly from data_key',
  )
  return row
}

describe('the key-encryption key is replaced in three steps', () => {
  const email = 'root@example.com'
  let authenticator: Authenticator
  let accessToken: string
  let refreshToken: string
  let firstSeal: string

  /** Everything that was made under an earlier key opens: tokens, a session, an app, a recovery code. */
  async function expectNothingIsLost(auth: TestService): Promise<void> {
    await eventually(async () => expect(await readiness(auth)).toBe(200))
    expect((await decision(auth, 'GET', '/profile', accessToken)).status).toBe(200)
    const refreshed = await auth.call(authRoutes.refresh, { body: { refreshToken } })
    expect(refreshed.status).toBe(200)
    ;({ accessToken, refreshToken } = refreshed.body as { accessToken: string; refreshToken: string })
    clock.advance(61_000)
    // A code of the app, and then, as each counts once, a recovery code.
    for (const _ of ['app', 'recovery code']) {
      const tokens = await signInWithFactor(sendTo(auth), { email, password: PASSWORD, authenticator })
      expect(userOf(tokens).as.roles).toContain('admin')
    }
  }

  test('each of which finds all that the ones before have made, also while both run', async () => {
    await using before = await started(steps.before)
    const body = { bootstrapToken: BOOTSTRAP_TOKEN, email, password: PASSWORD, name: 'Grace Hopper' }
    expect((await before.call(authRoutes.bootstrap, { body })).status).toBe(201)
    const made = await administratorWithFactor(before, email)
    authenticator = made.authenticator
    ;({ accessToken, refreshToken } = made.user)
    firstSeal = String((await sealedBy())?.sealedBy)
    await expectNothingIsLost(before)

    await using accepting = await started(steps.accepting)
    await expectNothingIsLost(accepting)
    expect((await sealedBy())?.sealedBy).toBe(firstSeal)
    await expectNothingIsLost(before)

    await using using_ = await started(steps.using)
    await expectNothingIsLost(using_)
    expect(await sealedBy()).toMatchObject({ formerly: [firstSeal] })
    await expectNothingIsLost(accepting)

    await using after = await started(steps.after)
    await expectNothingIsLost(after)
    await expectNothingIsLost(using_)
    // Nobody made a signing key of his own: all could open those that were there.
    const [{ signingKeys } = { signingKeys: 0 }] = await database.query<{ signingKeys: number }>(
      'select count(*)::integer as "signingKeys" from signing_key',
    )
    expect(signingKeys).toBe(2)
  })

  test('of which a pod of an earlier one that starts late takes none back', async () => {
    const sealed = await sealedBy()
    await using late = await started(steps.accepting)
    await expectNothingIsLost(late)
    expect(await sealedBy()).toEqual(sealed)
  })

  test('after which the old one alone opens nothing: the pod is not ready, and says which key is missing', async () => {
    const { logger, lines } = testLog('auth')
    await using connected = new Database({ url: database.url, service: 'auth', timeoutMs: 5_000, logger })
    await expect(new DataKey({ ...steps.before, database: connected, clock, logger }).open()).rejects.toThrow(
      /^The data key is sealed with the key-encryption key [0-9a-f]{16}; KEY_ENCRYPTION_KEY is [0-9a-f]{16}, and/,
    )
    await using stale = await started(steps.before)
    expect(await readiness(stale)).toBe(503)
    const answer = await stale.call(authRoutes.login, { body: { email, password: PASSWORD } })
    expect(answer.status).toBe(503)
    expect(JSON.stringify(lines)).not.toContain(Buffer.from(old).toString('base64url'))
  })
})

test('what was made before there was a data key is found: all was derived from the key-encryption key itself', async () => {
  await using own = await cloneDatabase('auth')
  await using auth = await startedAuth({ keyEncryptionKey: old }, { database: own })
  await newUser(auth)
  const { logger } = testLog('auth')
  await using connected = new Database({ url: own.url, service: 'auth', timeoutMs: 5_000, logger })
  const opened = async () => await new DataKey({ ...steps.before, database: connected, clock, logger }).open()
  // A new shop has a key that nobody configured.
  expect(await opened()).not.toEqual(deriveKeys(old))
  await own.query('delete from data_key')
  const keys = await Promise.all([opened(), opened()])
  expect(keys).toEqual([deriveKeys(old), deriveKeys(old)])
})

test('replicas that start at once on a new database have the same key', async () => {
  await using own = await cloneDatabase('auth')
  const { logger } = testLog('auth')
  await using connected = new Database({ url: own.url, service: 'auth', timeoutMs: 5_000, logger })
  const opened = await Promise.all(
    Array.from({ length: 6 }, async () => new DataKey({ ...steps.before, database: connected, clock, logger }).open()),
  )
  expect(new Set(opened.map(({ factor }) => Buffer.from(factor).toString('hex'))).size).toBe(1)
})

test('an unsubscribe link counts while the key it was made with is accepted', async () => {
  await using auth = await started({ ...steps.after, mailSecretKeyAccepted: old })
  const user = await newUser(auth)
  const press = async (by: Uint8Array) => {
    const token = signUnsubscribe({ userId: user.userId, kind: 'announcement' }, by)
    const answer = await auth.app.inject({
      method: 'POST',
      url: `/auth/unsubscribe/${token}`,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      payload: 'List-Unsubscribe=One-Click',
    })
    return answer.statusCode
  }
  expect([await press(mailSecretKey), await press(old), await press(key(3))]).toEqual([200, 200, 400])
})
