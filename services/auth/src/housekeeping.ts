import { sql, type Database } from '@saas/state'
import type { Clock } from '@saas/config'
import { EXPORT_KEPT_MS } from './data-export.ts'
import { ADDRESS_KNOWN_MS, THROTTLE_FORGOTTEN_AFTER_MS } from './throttle.ts'

const DAY_MS = 86_400_000
/** Ended sessions tell for a while which devices are known. */
const SESSION_KEPT_MS = 90 * DAY_MS
/** Far longer than any replica looks back. */
const REVOCATION_KEPT_MS = DAY_MS
const SECRET_KEPT_MS = DAY_MS
/** For whoever finds the mail late and asks for another. */
const REGISTRATION_KEPT_MS = 7 * DAY_MS

// In pieces, each a transaction of its own, so that no lock is held for long.
const deletions = [
  [sql('auth.prune_throttle', piece('throttle', 'key', 'updated_at')), THROTTLE_FORGOTTEN_AFTER_MS],
  [sql('auth.prune_known_address', piece('known_address', 'account_key, address_key', 'seen_at')), ADDRESS_KNOWN_MS],
  [sql('auth.prune_session', piece('session', 'id', 'least(idle_expires_at, expires_at)')), SESSION_KEPT_MS],
  [sql('auth.prune_revocation', piece('revocation', 'id', 'revoked_at')), REVOCATION_KEPT_MS],
  [sql('auth.prune_mailed_token', piece('mailed_token', 'token_hash', 'expires_at')), SECRET_KEPT_MS],
  [sql('auth.prune_registration', piece('registration', 'id', 'created_at')), REGISTRATION_KEPT_MS],
  [sql('auth.prune_email_change', piece('email_change', 'account_id', 'expires_at')), SECRET_KEPT_MS],
  [sql('auth.prune_email_undo', piece('email_undo', 'token_hash', 'expires_at')), SECRET_KEPT_MS],
  [sql('auth.prune_data_export', piece('data_export', 'id', 'requested_at')), EXPORT_KEPT_MS],
  [sql('auth.prune_mailed_code', piece('mailed_code', 'address_hash, purpose', 'expires_at')), SECRET_KEPT_MS],
  [sql('auth.prune_totp_proposal', piece('totp_proposal', 'account_id', 'expires_at')), 0],
  [sql('auth.prune_passkey_challenge', piece('passkey_challenge', 'challenge_hash', 'expires_at')), 0],
  [sql('auth.prune_pending_sign_in', piece('pending_sign_in', 'token_hash', 'expires_at')), 0],
  [sql('auth.prune_provider_sign_in', piece('provider_sign_in', 'state_hash', 'expires_at')), 0],
] as const

function piece(table: string, key: string, time: string): string {
  return `delete from ${table} where (${key}) in (select ${key} from ${table} where ${time} < $1 limit 5000)`
}

/** Deletes what is past its use. */
export async function pruneAuth(database: Database, clock: Clock): Promise<void> {
  for (const [statement, keptMs] of deletions) {
    await database.write(statement, [new Date(clock.now().getTime() - keptMs)])
  }
}
