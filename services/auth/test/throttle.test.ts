import { ProblemError } from '@saas/contracts'
import { Database } from '@saas/state'
import { cloneDatabase, FakeClock, testLog } from '@saas/testing'
import { expect, test } from 'vitest'
import { DataKey } from '../src/data-key.ts'
import { Throttle, type Purpose } from '../src/throttle.ts'
import { keyEncryptionKey } from './fixtures.ts'

const PAUSE_SECONDS_MAX = 900
/** More than a pause needs to grow as long as it can, whether by account or by address. */
const ATTEMPTS = 150

const purposes = {
  'sign-in': true,
  reauthenticate: true,
  'second-factor': true,
  challenge: true,
  prove: true,
  mail: true,
  bootstrap: true,
  export: true,
  profile: true,
  picture: true,
} satisfies Record<Purpose, true>

test.each(Object.keys(purposes) as Purpose[])(
  'no pause is longer than a quarter of an hour, whoever asks at each moment at which they may: %s',
  async (purpose) => {
    await using database = await cloneDatabase('auth')
    const clock = new FakeClock()
    const { logger } = testLog('auth')
    await using connected = new Database({ url: database.url, service: 'auth', timeoutMs: 5_000, logger })
    const keys = new DataKey({
      database: connected,
      clock,
      logger,
      keyEncryptionKey,
      keyEncryptionKeyAccepted: undefined,
    })
    await keys.open()
    const throttle = new Throttle(connected, clock, keys)
    /** 0 when the attempt was allowed, else how long to wait. */
    const pauseSeconds = async (address: string): Promise<number> => {
      try {
        await throttle.take(purpose, 'ada@example.com', address)
        return 0
      } catch (error) {
        return error instanceof ProblemError ? Number(error.headers['retry-after']) : Number.NaN
      }
    }
    const pauses: number[] = []
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const pause = await pauseSeconds('198.51.100.1')
      pauses.push(pause)
      clock.advance(pause * 1_000)
    }
    const longest = Math.max(...pauses)
    expect(longest).toBeGreaterThan(0)
    expect(longest).toBeLessThanOrEqual(PAUSE_SECONDS_MAX)
    // Nor for somebody else, who never came before.
    clock.advance(PAUSE_SECONDS_MAX * 1_000)
    expect(await pauseSeconds('203.0.113.9')).toBe(0)
  },
)
