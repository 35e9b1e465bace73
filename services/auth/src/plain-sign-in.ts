import { authEvents } from '@saas/contracts'
import { sql, type Database } from '@saas/state'
import { newId, type Clock } from '@saas/config'
import type { Audit } from './audit.ts'
import type { Candidate } from './candidates.ts'
import type { Client } from './client.ts'
import { sha256 } from './derived-keys.ts'
import { LIVE_SESSIONS_MAX, newSession, sessionOpened, type OpenSession, type Sessions } from './sessions.ts'
import { forgiving, type Attempt, type Throttle } from './throttle.ts'

// Every row that changes what may be signed in to comes with an event of the account, so its version tells whether anything was
// changed since the account was read. Who waited here for a change to end sees the account as it left it and opens nothing.
const openSession = sql<{ newDevice: boolean }>(
  'auth.open_plain_session',
  `with met as materialized (
     select
       count(*) > 0 and count(*) filter (where device = $9) = 0 as new_device,
       count(*) filter (where ended_at is null and expires_at > $6 and idle_expires_at > $6) as live
     from session
     where account_id = $1
   ),
   counted as (
     update account
     set event_version = event_version + 1
     from met
     where account.id = $1 and password_hash = $2 and event_version = $3 and security_version = $4
       and disabled_at is null and verified_at is not null and met.live < $5
       and not exists (select from totp where account_id = $1)
       and not exists (select from passkey where account_id = $1)
     returning event_version, met.new_device
   ),
   opened as (
     insert into session (
       id, account_id, device, address, created_at, last_seen_at, authenticated_at, expires_at, idle_expires_at, token_hash
     )
     select $7, $1, $9, $10, $6, $6, $6, $11, $12, $8 from counted
   ),
   sent as (
     insert into outbox (id, aggregate_type, aggregate_id, aggregate_version, subject, data, trace_parent)
     select $13, $14, $1::uuid::text, event_version, $15, $16::jsonb || jsonb_build_object('newDevice', new_device), $17
     from counted
   ),
   audited as (
     insert into audit_entry (id, at, action, account_id, by_id, network, device, detail, once_key)
     select $18, $6, $19, $1, $1, $20, $9, $21::jsonb, null from counted
   ),
   ${forgiving({ accountKey: '$22', knownKey: '$23', addressKey: '$24', now: '$6', when: 'exists (select from counted)' })},
   reauthenticated as (
     delete from throttle where key = $25 and exists (select from counted)
   )
   select new_device as "newDevice" from counted`,
)

interface PlainSignInContext {
  readonly database: Database
  readonly clock: Clock
  readonly audit: Audit
  readonly sessions: Sessions
  readonly throttle: Throttle
}

/**
 * Opens the session of whoever has proven the password, when that is all there is to do: no second factor is due, no other session has
 * to end for it, and nothing about the account has changed since it was read. One statement instead of a transaction of nine.
 *
 * It nudges no relay: the event is for a mail about a new device, and passes by the fifth of a second serve all sign-ins of that time.
 */
export class PlainSignIn {
  readonly #context: PlainSignInContext

  constructor(context: PlainSignInContext) {
    this.#context = context
  }

  /** Answers `undefined`, and has done nothing, when there is more to do. */
  async open(
    { account, eventVersion }: Candidate,
    attempt: Attempt,
    client: Client,
    traceParent: string,
  ): Promise<OpenSession | undefined> {
    const now = this.#context.clock.now()
    const session = newSession(now)
    const { newDevice: _, ...opened } = sessionOpened(account, session.id, client, now, false)
    const { subject, aggregate } = authEvents.sessionOpened
    const [done] = await this.#context.database.write(openSession, [
      account.id,
      account.passwordHash,
      eventVersion,
      account.securityVersion,
      LIVE_SESSIONS_MAX,
      now,
      session.id,
      sha256(session.secret),
      client.device,
      client.address,
      session.expiresAt,
      session.idleExpiresAt,
      newId(),
      aggregate,
      subject,
      JSON.stringify(opened),
      traceParent,
      this.#context.audit.idAt(now),
      'sign-in',
      client.network,
      JSON.stringify({ sessionId: session.id }),
      attempt.accountKey,
      attempt.knownKey,
      attempt.addressKey,
      this.#context.throttle.accountKey('reauthenticate', account.id),
    ])
    if (done === undefined) return undefined
    return await this.#context.sessions.tokensOf(session.id, { ...account, passedSecondFactor: false }, session.secret)
  }
}
