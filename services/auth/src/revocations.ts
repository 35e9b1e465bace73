import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises'
import type { Clock } from '@saas/config'
import { sql, type Database } from '@saas/state'
import type { AccessClaims } from './access-token.ts'

/** Twice as long as an access token lives, so that clocks of replicas may differ by minutes. */
const WINDOW_MS = 10 * 60_000
/**
 * Nobody is let in by knowledge that is older. So a revocation holds within a second on every replica, however late a replica reads: what
 * begins to be read after it was committed has it.
 */
const STALE_AFTER_MS = 1_000
export const REVOCATIONS_READ_EVERY_MS = 250
const ANSWER_WAIT_MS = 300

interface RevocationRow {
  readonly accountId: string
  readonly sessionId: string | null
  readonly securityVersion: number | null
  readonly keptSessionId: string | null
}

// The whole window each time, never from where the last read ended: a transaction that began earlier may commit later.
const selectRevocations = sql<RevocationRow>(
  'auth.revocations',
  `select account_id as "accountId", session_id as "sessionId", security_version as "securityVersion",
     kept_session_id as "keptSessionId"
   from revocation
   where revoked_at > $1`,
)

type Cutoff = Pick<RevocationRow, 'securityVersion' | 'keptSessionId'>

/** What this replica knows of revoked access tokens. The table is the truth; this is never older than it says. */
export class Revocations {
  readonly #database: Database
  readonly #clock: Clock
  #sessions: ReadonlySet<string> = new Set()
  #accounts: ReadonlyMap<string, readonly Cutoff[]> = new Map()
  /** By the monotonic clock: a machine whose time is set must neither forget nor lock out. */
  #readAt = Number.NEGATIVE_INFINITY
  /** By the other clock, which goes on while a machine sleeps. */
  #readOn = 0
  #reading: Promise<void> | undefined

  constructor(database: Database, clock: Clock) {
    this.#database = database
    this.#clock = clock
  }

  async read(): Promise<void> {
    const [startedAt, startedOn] = [performance.now(), Date.now()]
    const rows = await this.#database.read(selectRevocations, [new Date(this.#clock.now().getTime() - WINDOW_MS)])
    // A read that began earlier but came later knows less.
    if (startedAt < this.#readAt) return
    const sessions = new Set<string>()
    const accounts = new Map<string, Cutoff[]>()
    for (const row of rows) {
      if (row.sessionId === null) accounts.set(row.accountId, [...(accounts.get(row.accountId) ?? []), row])
      else sessions.add(row.sessionId)
    }
    this.#sessions = sessions
    this.#accounts = accounts
    this.#readAt = startedAt
    this.#readOn = startedOn
  }

  /**
   * Whether this replica knows who is revoked, if need be after asking at once. A machine that slept, or was too busy to read in
   * time, need not turn anybody away for it; the edge waits for half a second at most.
   */
  async isKnown(): Promise<boolean> {
    if (this.isCurrent) return true
    this.#reading ??= this.read().finally(() => {
      this.#reading = undefined
    })
    const gaveUp = new AbortController()
    // On a machine that was too busy to look at anything the answer may be there already when the timer ends.
    const late = wait(ANSWER_WAIT_MS, undefined, { signal: gaveUp.signal }).then(() => nextTurn())
    await Promise.race([this.#reading, late]).catch(() => undefined)
    gaveUp.abort()
    await late.catch(() => undefined)
    return this.isCurrent
  }

  get isCurrent(): boolean {
    return performance.now() - this.#readAt <= STALE_AFTER_MS && Date.now() - this.#readOn <= STALE_AFTER_MS
  }

  isRevoked({ userId, sessionId, securityVersion }: AccessClaims): boolean {
    if (this.#sessions.has(sessionId)) return true
    const cutoffs = this.#accounts.get(userId)
    if (cutoffs === undefined) return false
    return cutoffs.some(
      (cutoff) => securityVersion < (cutoff.securityVersion ?? 0) && sessionId !== cutoff.keptSessionId,
    )
  }

  /** @throws {Error} while this replica's knowledge is too old to let anybody in. */
  async check(): Promise<void> {
    if (!this.isCurrent) throw new Error('The revoked sessions could not be read for a second')
  }
}
