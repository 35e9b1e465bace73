import { sql, type Transaction } from '@saas/state'
import type { FactorChange } from './second-factors.ts'

// Its parts run on one snapshot, and each deletes from a table of its own. Recovery codes do not say when they were made, and may have
// been read meanwhile: all of them go. What is under way goes too.
const removeAddedSince = sql<{ factor: 'totp' | 'passkey' | 'recovery-codes' | 'identity'; label: string | null }>(
  'auth.remove_factors_added_since',
  `with no_totp as (delete from totp where account_id = $1 and created_at >= $2 returning 1),
     no_proposal as (delete from totp_proposal where account_id = $1),
     no_passkey as (delete from passkey where account_id = $1 and created_at >= $2 returning name),
     no_recovery_code as (delete from recovery_code where account_id = $1 returning 1),
     no_identity as (delete from linked_identity where account_id = $1 and created_at >= $2 returning provider),
     no_provider_sign_in as (delete from provider_sign_in where account_id = $1),
     no_challenge as (delete from passkey_challenge where account_id = $1),
     no_pending_sign_in as (delete from pending_sign_in where account_id = $1)
   select 'totp' as factor, null as label from no_totp
   union all select 'passkey', name from no_passkey
   union all select 'identity', provider from no_identity
   union all select distinct 'recovery-codes', null from no_recovery_code`,
)

/** Takes away every way to sign in that came to an account since, and every recovery code. Answers what that was. */
export async function removeFactorsSince(
  tx: Transaction,
  accountId: string,
  since: Date,
): Promise<readonly FactorChange[]> {
  const removed = await tx.query(removeAddedSince, [accountId, since])
  return removed.map(({ factor, label }) =>
    label === null ? { factor, change: 'removed' } : { factor, change: 'removed', label },
  )
}
