import { ProblemError, problems } from '@saas/contracts'
import { sql, type Database, type Transaction } from '@saas/state'
import type { Clock } from '@saas/config'
import { hmac, type DerivedKeys } from './derived-keys.ts'

/** How many attempts are free, and how the pause after further ones grows. One attempt is forgotten every `leakSeconds`. */
interface Limit {
  readonly free: number
  readonly firstSeconds: number
  readonly maxSeconds: number
  readonly leakSeconds: number
}

// An address may be a whole office, so it gets more than an account does.
const manyFromOneAddress: Limit = { free: 100, firstSeconds: 1, maxSeconds: 60, leakSeconds: 6 }
const guessing: Limit = { free: 5, firstSeconds: 1, maxSeconds: 900, leakSeconds: 600 }

const limits = {
  /** Passwords. */
  'sign-in': { account: guessing, address: manyFromOneAddress },
  /** Passwords of somebody who is signed in already. */
  reauthenticate: { account: guessing, address: manyFromOneAddress },
  /** Codes of authenticator apps and recovery codes, of whoever has passed the first factor. */
  'second-factor': { account: guessing, address: manyFromOneAddress },
  /** What passkeys are to sign. Each is a row until it is used or has expired. */
  challenge: { account: manyFromOneAddress, address: manyFromOneAddress },
  /** Mailed codes and tokens; a code itself bears five tries. */
  prove: { account: { free: 10, firstSeconds: 1, maxSeconds: 60, leakSeconds: 60 }, address: manyFromOneAddress },
  /** Whatever ends in a mail to the address. */
  mail: { account: { free: 5, firstSeconds: 30, maxSeconds: 900, leakSeconds: 300 }, address: manyFromOneAddress },
  bootstrap: { account: guessing, address: guessing },
  /** Copies of all that is kept, for which every service works. */
  export: { account: { free: 5, firstSeconds: 60, maxSeconds: 900, leakSeconds: 600 }, address: manyFromOneAddress },
  picture: { account: { free: 30, firstSeconds: 1, maxSeconds: 60, leakSeconds: 10 }, address: manyFromOneAddress },
} satisfies Record<string, Readonly<Record<'account' | 'address', Limit>>>
export type Purpose = keyof typeof limits

/** Longer than any level needs to leak away from where it can get. */
export const THROTTLE_FORGOTTEN_AFTER_MS = 86_400_000
/** How long an address counts as the account's own after signing in from there. */
export const ADDRESS_KNOWN_MS = 30 * 86_400_000

/** An attempt that was counted. */
export interface Attempt {
  readonly accountKey: string
  readonly knownKey: string
  readonly addressKey: string
}

// One statement, so that parallel attempts over all replicas are counted one after another by the rows' locks. A refused
// attempt counts nowhere: hammering does not make the pause longer.
const takeAttempt = sql<{ allowed: boolean; waitSeconds: number }>(
  'auth.take_attempt',
  `with given as (
     select
       $1::text as address_key,
       case when exists (
         select from known_address where account_key = $2 and address_key = $1 and seen_at > $4::timestamptz - make_interval(secs => $13)
       ) then $3::text else $2::text end as account_key,
       $4::timestamptz as now
   ),
   by_address as (
     insert into throttle as t (key, level, next_at, updated_at)
     select address_key, 1, throttle_until(now, 1, $9, $10, $11), now
     from given
     on conflict (key) do update
     set level = greatest(0, t.level - greatest(0, extract(epoch from excluded.updated_at - t.updated_at)) / $12::float8) + 1,
       next_at = throttle_until(
         excluded.updated_at, greatest(0, t.level - greatest(0, extract(epoch from excluded.updated_at - t.updated_at)) / $12::float8) + 1, $9, $10, $11
       ),
       updated_at = excluded.updated_at
     where t.next_at <= excluded.updated_at
     returning 1
   ),
   by_account as (
     insert into throttle as t (key, level, next_at, updated_at)
     select account_key, 1, throttle_until(now, 1, $5, $6, $7), now
     from given
     where exists (select from by_address)
     on conflict (key) do update
     set level = greatest(0, t.level - greatest(0, extract(epoch from excluded.updated_at - t.updated_at)) / $8::float8) + 1,
       next_at = throttle_until(
         excluded.updated_at, greatest(0, t.level - greatest(0, extract(epoch from excluded.updated_at - t.updated_at)) / $8::float8) + 1, $5, $6, $7
       ),
       updated_at = excluded.updated_at
     where t.next_at <= excluded.updated_at
     returning 1
   )
   select
     exists (select from by_account) as allowed,
     coalesce((
       select extract(epoch from max(t.next_at) - given.now)
       from throttle as t, given
       where t.key in (given.address_key, given.account_key)
       group by given.now
     ), 0)::float8 as "waitSeconds"`,
)

const forgiveAttempt = sql(
  'auth.forgive_attempt',
  `with forgiven as (
     delete from throttle where key in ($1, $2)
   ),
   lowered as (
     update throttle set level = greatest(0, level - 1), next_at = least(next_at, $4::timestamptz) where key = $3
   )
   insert into known_address (account_key, address_key, seen_at)
   values ($1, $3, $4)
   on conflict (account_key, address_key) do update
   set seen_at = excluded.seen_at`,
)

const forgiveAccount = sql('auth.forgive_account', 'delete from throttle where key = $1')

/**
 * Counts attempts in Postgres, before any work is done for them, over all replicas, by account and by address. The pause
 * between attempts grows and the count leaks away, so nothing is ever locked for good; and who signed in from an address
 * before is counted apart there, so strangers cannot keep the owner out.
 */
export class Throttle {
  readonly #database: Database
  readonly #clock: Clock
  readonly #keys: DerivedKeys

  constructor(database: Database, clock: Clock, keys: DerivedKeys) {
    this.#database = database
    this.#clock = clock
    this.#keys = keys
  }

  /**
   * Counts one attempt. `account` is what is being guessed: an address, known or not, or an account's id.
   *
   * @throws {ProblemError} `too-many-requests` with `Retry-After`.
   */
  async take(purpose: Purpose, account: string, address: string): Promise<Attempt> {
    const attempt = this.#keysOf(purpose, account, address)
    const waitSeconds = await this.#waitSeconds(purpose, attempt)
    if (waitSeconds === undefined) return attempt
    const seconds = Math.max(1, Math.ceil(waitSeconds))
    throw new ProblemError(problems.tooManyRequests, { headers: { 'retry-after': String(seconds) } })
  }

  /** Counts one attempt and says whether it may go on; for what is done quietly or not at all. */
  async isTaken(purpose: Purpose, account: string, address: string): Promise<boolean> {
    return (await this.#waitSeconds(purpose, this.#keysOf(purpose, account, address))) === undefined
  }

  /** Forgets the account's count, takes back the address's, and remembers the address as the account's own. */
  async forgive(tx: Transaction, { accountKey, knownKey, addressKey }: Attempt): Promise<void> {
    await tx.query(forgiveAttempt, [accountKey, knownKey, addressKey, this.#clock.now()])
  }

  /** Forgets what was counted for the account from anywhere. */
  async forgiveAccount(tx: Transaction, purpose: Purpose, account: string): Promise<void> {
    await tx.query(forgiveAccount, [this.#keysOf(purpose, account, '').accountKey])
  }

  async #waitSeconds(purpose: Purpose, attempt: Attempt): Promise<number | undefined> {
    const { account, address }: Record<'account' | 'address', Limit> = limits[purpose]
    const [verdict] = await this.#database.write(takeAttempt, [
      attempt.addressKey,
      attempt.accountKey,
      attempt.knownKey,
      this.#clock.now(),
      ...[account, address].flatMap((limit) => [limit.free, limit.firstSeconds, limit.maxSeconds, limit.leakSeconds]),
      ADDRESS_KNOWN_MS / 1_000,
    ])
    return verdict?.allowed === true ? undefined : (verdict?.waitSeconds ?? 0)
  }

  #keysOf(purpose: Purpose, account: string, address: string): Attempt {
    const key = (kind: string, ...values: readonly string[]): string =>
      `${purpose}/${kind}/${hmac(this.#keys.lookup, purpose, kind, ...values).toString('base64url')}`
    return {
      accountKey: key('account', account),
      knownKey: key('known', account, address),
      addressKey: key('address', address),
    }
  }
}
