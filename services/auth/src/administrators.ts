import { ProblemError, problems } from '@saas/contracts'
import { sql, type Transaction } from '@saas/state'
import type { Account } from './account.ts'

// Whoever changes who is an administrator waits for whoever else does, so that two cannot take the last two away at once.
const lock = sql('auth.lock_administrators', `select pg_advisory_xact_lock(hashtextextended('auth.administrators', 0))`)

const others = sql<{ id: string }>(
  'auth.other_administrators',
  `select id
   from account
   where 'admin' = any (roles) and id <> $1 and disabled_at is null and verified_at is not null
   limit 1`,
)

export async function lockAdministrators(tx: Transaction): Promise<void> {
  await tx.query(lock)
}

/** @throws {ProblemError} `last-administrator` when nobody else could let people in again. */
export async function refuseLastAdministrator(tx: Transaction, account: Account): Promise<void> {
  if (!account.roles.includes('admin')) return
  if ((await tx.query(others, [account.id])).length === 0) throw new ProblemError(problems.lastAdministrator)
}
