import { systemClock, type Clock } from '@saas/config'
import { Repeating, type Logger } from '@saas/http'
import type { Database } from '@saas/state'
import type { Avatars } from './avatars.ts'
import { pruneAuth } from './housekeeping.ts'
import { REFUSALS_TOLD_EVERY_MS, type RefusalLog } from './refusal-log.ts'
import { REVOCATIONS_READ_EVERY_MS, type Revocations } from './revocations.ts'
import type { SigningKeys } from './signing-keys.ts'
import type { UnprovenAccounts } from './unproven-accounts.ts'

const MINUTE_MS = 60_000

/** What runs on a clock, in every replica: each job may run in several at once. */
export function authJobs(parts: {
  readonly database: Database
  readonly clock: Clock
  readonly logger: Logger
  readonly avatars: Avatars
  readonly refusals: RefusalLog
  readonly revocations: Revocations
  readonly signingKeys: SigningKeys
  readonly unprovenAccounts: UnprovenAccounts
}): { readonly revocations: Repeating; readonly others: readonly Repeating[] } {
  const { database, clock, logger, avatars, refusals, revocations, signingKeys, unprovenAccounts } = parts
  return {
    // By the machine's own clock: how fast revocations spread is no rule of the shop.
    revocations: new Repeating({
      name: 'revocations',
      everyMs: REVOCATIONS_READ_EVERY_MS,
      clock: systemClock,
      logger,
      run: () => revocations.read(),
    }),
    others: [
      new Repeating({
        name: 'refusals',
        everyMs: REFUSALS_TOLD_EVERY_MS,
        clock,
        logger,
        run: async () => refusals.sum(),
      }),
      new Repeating({ name: 'signing keys', everyMs: MINUTE_MS, clock, logger, run: () => signingKeys.maintain() }),
      new Repeating({ name: 'pictures', everyMs: MINUTE_MS, clock, logger, run: () => avatars.collectOrphans() }),
      new Repeating({
        name: 'housekeeping',
        everyMs: 15 * MINUTE_MS,
        clock,
        logger,
        run: async (signal) => {
          await pruneAuth(database, clock)
          await unprovenAccounts.forget(signal)
        },
      }),
    ],
  }
}
