import { optionalMailKinds, wantsMail, type authEvents } from '@saas/contracts'
import { forgetDeadLetters, sql, type MessageOf, type Transaction } from '@saas/state'

// One row a user, the newest wins: a projection, unlike mails, goes by version.
const recordRecipients = sql(
  'notifications.record_recipients',
  `insert into recipient (user_id, version, email, name, language, zone, roles, verified, disabled, declined, updated_at)
   select user_id, version, email, name, language, zone, roles, verified, disabled, declined, $2
   from jsonb_to_recordset($1::jsonb) as changed(
     user_id uuid, version bigint, email text, name text, language text, zone text, roles text[],
     verified boolean, disabled boolean, declined text[]
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
       declined = excluded.declined,
       updated_at = excluded.updated_at
   where recipient.version < excluded.version
     and recipient.deleted_at is null`,
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
    const { userId, email, name, language, zone, roles, verified, disabled, preferences } = data
    const declined = optionalMailKinds.filter((kind) => !wantsMail(preferences, kind))
    return {
      user_id: userId,
      version: aggregateVersion,
      email,
      name,
      language,
      zone,
      roles,
      verified,
      disabled,
      declined,
    }
  })
  await tx.query(recordRecipients, [JSON.stringify(rows), now])
  await tx.query(wakeWaitingMails, [rows.map((row) => row.user_id), now])
}

// Wherever they could be reached, also at what they had registered or changed to.
const selectAddresses = sql<{ email: string }>(
  'notifications.select_addresses',
  `select email from recipient where user_id = any($1::uuid[]) and email is not null
   union
   select email from mail where user_id = any($1::uuid[]) and email is not null`,
)

// An id and a version stay, so that what is told of the person late brings nothing back.
const forgetRecipients = sql(
  'notifications.forget_recipients',
  `insert into recipient (user_id, version, roles, verified, disabled, updated_at, deleted_at)
   select user_id, version, '{}', false, true, $2, deleted_at
   from jsonb_to_recordset($1::jsonb) as gone(user_id uuid, version bigint, deleted_at timestamptz)
   order by user_id
   on conflict (user_id) do update
   set version = greatest(recipient.version, excluded.version),
       email = null,
       name = null,
       language = null,
       zone = null,
       roles = '{}',
       verified = false,
       disabled = true,
       declined = '{}',
       updated_at = excluded.updated_at,
       deleted_at = coalesce(recipient.deleted_at, excluded.deleted_at)`,
)

// One that is being sent in this moment can no longer be recorded as sent: its address would come back.
const forgetMails = sql(
  'notifications.forget_mails',
  `update mail
   set status = case status when 'due' then 'cancelled' else status end,
       last_error = case status when 'due' then 'the account was deleted' end,
       email = null,
       name = null,
       domain = null,
       data = '{}',
       secret = null,
       lease = null
   where user_id = any($1::uuid[])`,
)

const forgetCarts = sql('notifications.forget_carts', 'delete from cart where user_id = any($1::uuid[])')
const forgetWindows = sql('notifications.forget_windows', 'delete from digest_window where user_id = any($1::uuid[])')

type UserDeleted = MessageOf<typeof authEvents.userDeleted>

/**
 * Forgets people who are gone: their address, their name, what was written to them, what lay in their carts, and
 * what nobody could apply that names them.
 */
export async function applyUserDeletions(tx: Transaction, messages: readonly UserDeleted[], now: Date): Promise<void> {
  if (messages.length === 0) return
  const rows = messages.map(({ data, aggregateVersion }) => ({
    user_id: data.userId,
    version: aggregateVersion,
    deleted_at: data.deletedAt,
  }))
  const userIds = rows.map(({ user_id: userId }) => userId)
  const addresses = await tx.query(selectAddresses, [userIds])
  await forgetDeadLetters(tx, [...userIds, ...addresses.map(({ email }) => email)])
  await tx.query(forgetRecipients, [JSON.stringify(rows), now])
  for (const forget of [forgetMails, forgetCarts, forgetWindows]) await tx.query(forget, [userIds])
}
