import { newId } from '@saas/config'
import { sql, type Transaction } from '@saas/state'

/** Why a session ended. */
export type EndReason =
  | 'logout'
  | 'revoked'
  | 'replayed'
  | 'password-changed'
  | 'disabled'
  | 'too-many'
  | 'factor-changed'

const endSessions = sql<{ id: string }>(
  'auth.end_sessions',
  `update session
   set ended_at = $4, ended_reason = $5
   where account_id = $1
     and ended_at is null
     and ($2::uuid is null or id = $2)
     and ($3::uuid is null or id <> $3)
   returning id`,
)

const revokeSessions = sql(
  'auth.revoke_sessions',
  `insert into revocation (id, account_id, session_id, revoked_at)
   select r.id, $1, r.session_id, $3
   from unnest($2::uuid[], $4::uuid[]) as r (session_id, id)`,
)

const revokeVersions = sql(
  'auth.revoke_versions',
  `insert into revocation (id, account_id, security_version, kept_session_id, revoked_at)
   values ($1, $2, $3, $4, $5)`,
)

/** Ends sessions of an account, and with them the access tokens that came from them. Returns their ids. */
export async function endAndRevokeSessions(
  tx: Transaction,
  accountId: string,
  which: { readonly only?: string; readonly but?: string },
  reason: EndReason,
  now: Date,
): Promise<readonly string[]> {
  const ended = await tx.query(endSessions, [accountId, which.only ?? null, which.but ?? null, now, reason])
  const ids = ended.map(({ id }) => id)
  if (ids.length > 0) await tx.query(revokeSessions, [accountId, ids, now, ids.map(() => newId())])
  return ids
}

/** Revokes every access token of the account that is older than its security version, but those of one session. */
export async function revokeOlderTokens(
  tx: Transaction,
  account: { readonly id: string; readonly securityVersion: number },
  keptSessionId: string | undefined,
  now: Date,
): Promise<void> {
  await tx.query(revokeVersions, [newId(), account.id, account.securityVersion, keptSessionId ?? null, now])
}
