import { newId } from '@saas/config'
import type { DataOf, Event, Language } from '@saas/contracts'
import { authEvents } from '@saas/contracts'
import { sql, type Transaction } from '@saas/state'
import { randomBytes } from 'node:crypto'
import type { Account } from './account.ts'

/** An event that is about to be written, its data checked by the contract's type. */
export interface Emission {
  readonly event: Event
  readonly data: unknown
}

export function emission<const E extends Event>(event: E, data: DataOf<E>): Emission {
  return { event, data }
}

// The account's row is locked by the update, so that its events are numbered 1..n in the order of their commits.
const insertEvents = sql(
  'auth.insert_events',
  `with counted as (
     update account
     set event_version = event_version + $2
     where id = $1
     returning event_version - $2 as before
   )
   insert into outbox (id, aggregate_type, aggregate_id, aggregate_version, subject, data, trace_parent)
   select e.id, e.aggregate, $1::uuid::text, counted.before + e.n, e.subject, e.data, $4
   from counted, jsonb_to_recordset($3::jsonb) as e (n integer, id uuid, aggregate text, subject text, data jsonb)`,
)

/** Writes events about an account into the outbox, in the transaction that changes it. */
export async function emit(
  tx: Transaction,
  accountId: string,
  emissions: readonly Emission[],
  traceParent: string,
): Promise<void> {
  const rows = emissions.map(({ event, data }, index) => ({
    n: index + 1,
    id: newId(),
    aggregate: event.aggregate,
    subject: event.subject,
    data,
  }))
  await tx.query(insertEvents, [accountId, rows.length, JSON.stringify(rows), traceParent])
}

/** Of what no request began. */
export function newTraceParent(): string {
  return `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01`
}

/** What every event about an account says of whom it concerns. */
export function recipientOf(account: Account): { userId: string; email: string; name: string; language: Language } {
  return { userId: account.id, email: account.email, name: account.name, language: account.language }
}

export function userChanged(account: Account): Emission {
  return emission(authEvents.userChanged, {
    ...recipientOf(account),
    zone: account.zone,
    roles: [...account.roles],
    verified: account.verifiedAt !== null,
    disabled: account.disabledAt !== null,
    preferences: account.preferences,
  })
}

/** One session ended, or all of them. */
export function sessionRevoked(accountId: string, sessionId: string | null): Emission {
  return emission(authEvents.sessionRevoked, { userId: accountId, sessionId })
}
