import { authEvents } from '@saas/contracts'
import type { Clock } from '@saas/config'
import { sql, type Bus, type Database } from '@saas/state'
import { emission, emit, newTraceParent } from './account-events.ts'

/** Far longer than whatever could still prove the address: a link, a code or a registration. */
const UNPROVEN_KEPT_MS = 30 * 86_400_000
const ACCOUNTS_PER_TRANSACTION = 100

// Whoever an administrator gave a role, or shut out, is no stranger's doing. Another replica's are left to it.
const lockUnproven = sql<{ id: string }>(
  'auth.lock_unproven_accounts',
  `select id
   from account
   where verified_at is null
     and created_at < $1
     and disabled_at is null
     and roles = '{customer}'
     and not exists (select from registration where account_id = account.id)
     and not exists (select from mailed_token where account_id = account.id and expires_at > $2)
   order by created_at
   limit ${ACCOUNTS_PER_TRANSACTION}
   for update skip locked`,
)

const deleteAccounts = sql('auth.delete_unproven_accounts', 'delete from account where id = any($1::uuid[])')

/**
 * Forgets accounts that nobody has proven and nobody tries to any more. Anybody may register any address: without this what strangers typed
 * would be kept for good, here and by everybody who was told of it.
 */
export class UnprovenAccounts {
  readonly #database: Database
  readonly #bus: Pick<Bus, 'nudge'>
  readonly #clock: Clock

  constructor(options: { readonly database: Database; readonly bus: Pick<Bus, 'nudge'>; readonly clock: Clock }) {
    this.#database = options.database
    this.#bus = options.bus
    this.#clock = options.clock
  }

  /** Goes on until there are no more, or `signal` is aborted. */
  async forget(signal: AbortSignal): Promise<void> {
    while ((await this.#forgetSome()) === ACCOUNTS_PER_TRANSACTION && !signal.aborted) this.#bus.nudge()
    this.#bus.nudge()
  }

  async #forgetSome(): Promise<number> {
    const now = this.#clock.now()
    const traceParent = newTraceParent()
    return await this.#database.transaction(async (tx) => {
      const found = await tx.query(lockUnproven, [new Date(now.getTime() - UNPROVEN_KEPT_MS), now])
      for (const { id } of found) {
        const deleted = emission(authEvents.userDeleted, { userId: id, deletedAt: now.toISOString() })
        await emit(tx, id, [deleted], traceParent)
      }
      await tx.query(deleteAccounts, [found.map(({ id }) => id)])
      return found.length
    })
  }
}
