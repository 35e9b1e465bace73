import { ProblemError, problems } from '@saas/contracts'
import { sql, type Database, type Statement, type Transaction } from '@saas/state'
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

/** By which somebody shows that an address is theirs. Where one of them did, attempts at the address by the others are the owner’s too. */
const bySigningIn = ['sign-in', 'prove'] as const

const limits = {
  /** Passwords. */
  'sign-in': { account: guessing, address: manyFromOneAddress, knownBy: bySigningIn },
  /** Passwords of somebody who is signed in already. */
  reauthenticate: { account: guessing, address: manyFromOneAddress },
  /** Codes of authenticator apps and recovery codes, of whoever has passed the first factor. */
  'second-factor': { account: guessing, address: manyFromOneAddress },
  /** What passkeys are to sign. Each is a row until it is used or has expired. */
  challenge: { account: manyFromOneAddress, address: manyFromOneAddress },
  /**
   * Mailed codes and tokens; a code itself bears five tries. The pauses are short, or whoever has no password would miss the ten
   * minutes of their code; what keeps the one who guesses from being right is how long codes are then.
   */
  prove: {
    account: { free: 10, firstSeconds: 1, maxSeconds: 60, leakSeconds: 21_600 },
    address: manyFromOneAddress,
    knownBy: bySigningIn,
  },
  /** Whatever ends in a mail to the address. */
  mail: {
    account: { free: 5, firstSeconds: 30, maxSeconds: 900, leakSeconds: 300 },
    address: manyFromOneAddress,
    knownBy: bySigningIn,
  },
  bootstrap: { account: guessing, address: guessing },
  /** Copies of all that is kept, for which every service works. */
  export: { account: { free: 5, firstSeconds: 60, maxSeconds: 900, leakSeconds: 600 }, address: manyFromOneAddress },
  /** What they say of themselves and which mails they want: every service hears of each change. */
  profile: { account: { free: 30, firstSeconds: 1, maxSeconds: 60, leakSeconds: 10 }, address: manyFromOneAddress },
  picture: { account: { free: 30, firstSeconds: 1, maxSeconds: 60, leakSeconds: 10 }, address: manyFromOneAddress },
} satisfies Record<string, Readonly<Record<'account' | 'address', Limit>> & { readonly knownBy?: typeof bySigningIn }>
export type Purpose = keyof typeof limits

/** A fifth try within hours is beyond it, which is as many as a code bears: whoever needs more does not read it. */
const PRESSED_ABOVE_LEVEL = 4
/** What nobody has tried for so long is forgotten, however high its level. */
export const THROTTLE_FORGOTTEN_AFTER_MS = 86_400_000
/** How long an address counts as the account's own after signing in from there. */
export const ADDRESS_KNOWN_MS = 30 * 86_400_000

/** An attempt that was counted. */
export interface Attempt {
  readonly accountKey: string
  readonly knownKey: string
  readonly addressKey: string
  /** As what the address may be known to be the account's own: keys of an account and an address each. */
  readonly knownAs: readonly (readonly [accountKey: string, addressKey: string])[]
}

interface Verdict {
  readonly allowed: boolean
  readonly waitSeconds: number
}

// One statement, so that parallel attempts over all replicas are counted one after another by the rows' locks. A refused
// attempt counts nowhere: hammering makes no pause longer, neither the account's nor that of others at the address. The address's row is locked first, here as where attempts are
// forgiven, so that no two wait for each other. The commit need not wait for the disk: what a crash of the database takes back are the
// counts of its last half second, which nobody who guesses can bring about; everybody else sees them at once.
const countAttempt = `given as (
     select
       $1::text as address_key,
       case when exists (
         select from known_address
         where (account_key, address_key) in (($14, $15), ($16, $17)) and seen_at > $4::timestamptz - make_interval(secs => $13)
       ) then $3::text else $2::text end as account_key,
       $4::timestamptz as now,
       set_config('synchronous_commit', 'off', true)
   ),
   by_address as (
     insert into throttle as t (key, level, next_at, updated_at)
     select address_key, 1, throttle_until(now, 1, $9, $10, $11), now
     from given
     where not exists (select from throttle as refusing where refusing.key = given.account_key and refusing.next_at > given.now)
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
   ),
   verdict as (
     select
       exists (select from by_account) as allowed,
       coalesce((
         select extract(epoch from max(t.next_at) - given.now)
         from throttle as t, given
         where t.key in (given.address_key, given.account_key)
         group by given.now
       ), 0)::float8 as "waitSeconds"
   )`

const takeAttempt = sql<Verdict>('auth.take_attempt', `with ${countAttempt} select allowed, "waitSeconds" from verdict`)

/** Counts an attempt and, when it is allowed, reads one row for it: `wanted` selects it, with parameters from `$18` on. */
export function takingAttempt<Row>(
  name: string,
  wanted: string,
): Statement<Verdict & (Row | { [Name in keyof Row]: null })> {
  return sql(
    name,
    `with ${countAttempt}
   select verdict.allowed, verdict."waitSeconds", wanted.*
   from verdict
   left join lateral (${wanted}) as wanted on verdict.allowed`,
  )
}

/** Where a statement finds what it forgives by: its parameters' names, and what must hold. */
interface Forgiveness {
  readonly accountKey: string
  readonly knownKey: string
  readonly addressKey: string
  readonly now: string
  readonly when: string
}

/** Parts of a statement that forgive an attempt. The counts' rows are locked in the order in which an attempt takes them. */
export function forgiving({ accountKey, knownKey, addressKey, now, when }: Forgiveness): string {
  return `lowered as (
     update throttle
     set level = greatest(0, level - 1), next_at = least(next_at, ${now}::timestamptz)
     where key = ${addressKey} and ${when}
     returning key
   ),
   forgiven as (
     delete from throttle where key in (${accountKey}, ${knownKey}) and ${when} and (select count(*) from lowered) >= 0
   ),
   remembered as (
     insert into known_address (account_key, address_key, seen_at)
     select ${accountKey}, ${addressKey}, ${now}
     where ${when}
     on conflict (account_key, address_key) do update
     set seen_at = excluded.seen_at
   )`
}

const forgiveAttempt = sql(
  'auth.forgive_attempt',
  `with ${forgiving({ accountKey: '$1', knownKey: '$2', addressKey: '$3', now: '$4', when: 'true' })} select`,
)

const selectPressed = sql<{ isPressed: boolean }>(
  'auth.is_account_pressed',
  `select level - extract(epoch from $2::timestamptz - updated_at) / $3::float8 > ${PRESSED_ABOVE_LEVEL} as "isPressed"
   from throttle
   where key = $1`,
)

const forgiveAccount = sql('auth.forgive_account', 'delete from throttle where key = $1')

/**
 * Counts attempts in Postgres, before any work is done for them, over all replicas, by account and by address. The pause
 * between attempts grows and the count leaks away, so nothing is ever locked for good; and who signed in from an address
 * before is counted apart there, so strangers cannot keep the owner out, nor from what is mailed.
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
    return (await this.takeReading(purpose, { account, address }, takeAttempt)).attempt
  }

  /**
   * Counts one attempt as `take` does, and reads the row that it is about in the same round trip. It answers the statement's row
   * even when there is nothing to be read: then what it reads is null.
   *
   * @throws {ProblemError} `too-many-requests` with `Retry-After`.
   */
  async takeReading<Row extends Verdict>(
    purpose: Purpose,
    { account, address }: { readonly account: string; readonly address: string },
    statement: Statement<Row>,
    values: readonly unknown[] = [],
  ): Promise<{ attempt: Attempt; row: Row }> {
    const attempt = this.#keysOf(purpose, account, address)
    const row = await this.#count(purpose, attempt, statement, values)
    if (row.allowed) return { attempt, row }
    const seconds = Math.max(1, Math.ceil(row.waitSeconds))
    throw new ProblemError(problems.tooManyRequests, { headers: { 'retry-after': String(seconds) } })
  }

  /** Counts one attempt and says whether it may go on; for what is done quietly or not at all. */
  async isTaken(purpose: Purpose, account: string, address: string): Promise<boolean> {
    return (await this.#count(purpose, this.#keysOf(purpose, account, address), takeAttempt)).allowed
  }

  /** Forgets the account's count, takes back the address's, and remembers the address as the account's own. */
  async forgive(tx: Transaction, { accountKey, knownKey, addressKey }: Attempt): Promise<void> {
    await tx.query(forgiveAttempt, [accountKey, knownKey, addressKey, this.#clock.now()])
  }

  /** Forgets what was counted for the account from anywhere. */
  async forgiveAccount(tx: Transaction, purpose: Purpose, account: string): Promise<void> {
    await tx.query(forgiveAccount, [this.accountKey(purpose, account)])
  }

  /** Whether somebody is guessing at the account, from elsewhere than its owner signs in from. */
  async isPressed(tx: Transaction, purpose: Purpose, account: string): Promise<boolean> {
    const { leakSeconds } = limits[purpose].account
    const [found] = await tx.query(selectPressed, [this.accountKey(purpose, account), this.#clock.now(), leakSeconds])
    return found?.isPressed === true
  }

  /** By which an account is counted wherever it is tried from. */
  accountKey(purpose: Purpose, account: string): string {
    return this.#key(purpose, 'account', account)
  }

  async #count<Row extends Verdict>(
    purpose: Purpose,
    attempt: Attempt,
    statement: Statement<Row>,
    values: readonly unknown[] = [],
  ): Promise<Row> {
    const { account, address }: Record<'account' | 'address', Limit> = limits[purpose]
    const [row] = await this.#database.write(statement, [
      attempt.addressKey,
      attempt.accountKey,
      attempt.knownKey,
      this.#clock.now(),
      ...[account, address].flatMap((limit) => [limit.free, limit.firstSeconds, limit.maxSeconds, limit.leakSeconds]),
      ADDRESS_KNOWN_MS / 1_000,
      ...attempt.knownAs.flat(),
      ...values,
    ])
    if (row === undefined) throw new Error('An attempt was counted without a verdict')
    return row
  }

  #keysOf(purpose: Purpose, account: string, address: string): Attempt {
    return {
      accountKey: this.accountKey(purpose, account),
      knownKey: this.#key(purpose, 'known', account, address),
      addressKey: this.#key(purpose, 'address', address),
      knownAs: this.#knownAs(purpose, account, address),
    }
  }

  /** Two, so that every purpose is counted by one statement. */
  #knownAs(purpose: Purpose, account: string, address: string): Attempt['knownAs'] {
    const limit = limits[purpose]
    const knownBy: readonly [Purpose, Purpose] = 'knownBy' in limit ? limit.knownBy : [purpose, purpose]
    return knownBy.map((by) => [this.accountKey(by, account), this.#key(by, 'address', address)] as const)
  }

  #key(purpose: Purpose, kind: string, ...values: readonly string[]): string {
    return `${purpose}/${kind}/${hmac(this.#keys.lookup, purpose, kind, ...values).toString('base64url')}`
  }
}
