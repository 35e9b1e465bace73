import { authEvents } from '@saas/contracts'
import { sql, type MessageOf, type Transaction } from '@saas/state'

// One row a user, the newest wins: a projection, unlike mails, goes by version.
const recordRecipients = sql(
  'notifications.record_recipients',
  `insert into recipient (user_id, version, email, name, language, zone, roles, verified, disabled, updated_at)
   select user_id, version, email, name, language, zone, roles, verified, disabled, $2
   from jsonb_to_recordset($1::jsonb) as changed(
     user_id uuid, version bigint, email text, name text, language text, zone text, roles text[],
     verified boolean, disabled boolean
   )
   order by user_id
   on conflict (user_id) do update
   set version = excluded.version,
       email = excluded.email,
       name = excluded.name,
       language = excluded.language,
       zone = excluded.zone,
       roles = excluded.roles,
       verified = excluded.verified,
       disabled = excluded.disabled,
       updated_at = excluded.updated_at
   where recipient.version < excluded.version`,
)

// Attempts are counted when a mail is claimed and given back while it waits, so 0 says that it was never tried.
const wakeWaitingMails = sql(
  'notifications.wake_waiting_mails',
  `update mail
   set due_at = $2
   where user_id = any($1::uuid[])
     and status = 'due'
     and email is null
     and attempts = 0
     and due_at > $2`,
)

type UserChanged = MessageOf<typeof authEvents.userChanged>

/** Brings the recipients up to date; mails that waited for one of them are due at once. */
export async function applyUserChanges(tx: Transaction, messages: readonly UserChanged[], now: Date): Promise<void> {
  if (messages.length === 0) return
  const rows = messages.map(({ data, aggregateVersion }) => {
    const { userId, email, name, language, zone, roles, verified, disabled } = data
    return { user_id: userId, version: aggregateVersion, email, name, language, zone, roles, verified, disabled }
  })
  await tx.query(recordRecipients, [JSON.stringify(rows), now])
  await tx.query(wakeWaitingMails, [rows.map((row) => row.user_id), now])
}
