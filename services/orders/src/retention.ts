import type { Clock } from '@saas/config'
import { sql, type Database } from '@saas/state'

/** How long a key is remembered: a client that retries has long given up or been answered. */
const KEY_KEPT_MS = 7 * 86_400_000
const ROWS_PER_STATEMENT = 1_000

// The order stays; only the key that made it is forgotten.
const pruneKeys = sql<{ pruned: number }>(
  'orders.prune_keys',
  `
with pruned as (
  delete from idempotency
  where (user_id, key) in (
    select user_id, key
    from idempotency
    where created_at < $1::text::timestamptz
    order by created_at
    limit ${ROWS_PER_STATEMENT}
    for update skip locked
  )
  returning 1
)
select count(*)::int as pruned from pruned
`,
)

/** Forgets keys that are past their time, a bounded batch a statement until `signal` is aborted, and says how many those were. */
export async function forgetOldKeys(database: Database, clock: Clock, signal: AbortSignal): Promise<number> {
  const before = new Date(clock.now().getTime() - KEY_KEPT_MS).toISOString()
  let total = 0
  for (let pruned = ROWS_PER_STATEMENT; pruned === ROWS_PER_STATEMENT && !signal.aborted; total += pruned) {
    const [row] = await database.write(pruneKeys, [before])
    pruned = row?.pruned ?? 0
  }
  return total
}
