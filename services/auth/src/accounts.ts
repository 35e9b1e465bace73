import { ProblemError, problems, type Language } from '@saas/contracts'
import { sql, type Bus, type Database } from '@saas/state'
import type { Clock } from '@saas/config'
import { accountColumns, emailKeyOf, usableName, usableZone, type Account } from './account.ts'
import { emit, userChanged } from './account-events.ts'
import type { Client } from './client.ts'
import type { Throttle } from './throttle.ts'

/** What the owner may change. A field left out stays as it is. */
export interface ProfileChange {
  readonly name?: string
  readonly language?: Language
  readonly zone?: string | null
}

const selectById = sql<Account>('auth.account_by_id', `select ${accountColumns} from account where id = $1`)

const selectByEmail = sql<Account>(
  'auth.account_by_email',
  `select ${accountColumns} from account where email_key = $1`,
)

const updateProfile = sql<Account>(
  'auth.update_profile',
  `update account
   set name = coalesce($2, name),
     language = coalesce($3, language),
     zone = case when $4 then $5 else zone end,
     updated_at = $6
   where id = $1
   returning ${accountColumns}`,
)

interface AccountsContext {
  readonly database: Database
  readonly bus: Pick<Bus, 'nudge'>
  readonly clock: Clock
  readonly throttle: Throttle
}

/** The accounts themselves: who they are and what they say of themselves. */
export class Accounts {
  readonly #database: Database
  readonly #bus: Pick<Bus, 'nudge'>
  readonly #clock: Clock
  readonly #throttle: Throttle

  constructor({ database, bus, clock, throttle }: AccountsContext) {
    this.#database = database
    this.#bus = bus
    this.#clock = clock
    this.#throttle = throttle
  }

  async byEmail(email: string): Promise<Account | undefined> {
    const [account] = await this.#database.read(selectByEmail, [emailKeyOf(email)])
    return account
  }

  /** @throws {ProblemError} `not-found` */
  async byId(id: string): Promise<Account> {
    const [account] = await this.#database.read(selectById, [id])
    if (account === undefined) throw new ProblemError(problems.notFound)
    return account
  }

  /** @throws {ProblemError} `invalid-request` for a name or a zone that cannot be used, `too-many-requests` */
  async changeProfile(id: string, change: ProfileChange, client: Client, traceParent: string): Promise<Account> {
    const name = change.name === undefined ? null : usableName(change.name)
    const zone = change.zone === undefined || change.zone === null ? change.zone : usableZone(change.zone)
    await this.#throttle.take('profile', id, client.network)
    const changed = await this.#database.transaction(async (tx) => {
      const values = [id, name, change.language ?? null, zone !== undefined, zone ?? null, this.#clock.now()]
      const [account] = await tx.query(updateProfile, values)
      if (account === undefined) throw new ProblemError(problems.notFound)
      await emit(tx, id, [userChanged(account)], traceParent)
      return account
    })
    this.#bus.nudge()
    return changed
  }
}
