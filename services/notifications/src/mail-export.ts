import { newId } from '@saas/config'
import { EXPORT_ITEMS_MAX, exportEvents, ExportParts, type authEvents } from '@saas/contracts'
import { sql, type MessageOf, type Transaction } from '@saas/state'

interface MailRow {
  readonly id: string
  readonly kind: string
  readonly status: string
  readonly email: string | null
  readonly createdAt: Date
  readonly sentAt: Date | null
}

// Whose mail it was is what is asked; codes and links are erased once a mail is sent, and are not in it.
const selectMails = sql<MailRow>(
  'notifications.mails_to_export',
  `select id, kind, status, email, created_at as "createdAt", sent_at as "sentAt"
   from mail
   where user_id = $1
   order by id desc
   limit ${EXPORT_ITEMS_MAX}`,
)

const insertParts = sql(
  'notifications.insert_export_parts',
  `insert into outbox (id, aggregate_type, aggregate_id, aggregate_version, subject, data, trace_parent)
   select p.id, $2, $3, p.version, $4, p.data, $5
   from jsonb_to_recordset($1::jsonb) as p (id uuid, version bigint, data jsonb)`,
)

type ExportRequested = MessageOf<typeof authEvents.exportRequested>

/** Answers each request with all mails to that person, the newest first. */
export async function exportMails(tx: Transaction, messages: readonly ExportRequested[]): Promise<void> {
  for (const { data, traceParent } of messages) {
    const { exportId, userId } = data
    const mails = await tx.query(selectMails, [userId])
    const { parts } = partsOf(mails)
    const made = parts.map((items, index) => ({
      id: newId(),
      version: index + 1,
      data: { exportId, userId, part: index + 1, parts: parts.length, items },
    }))
    const { aggregate, subject } = exportEvents.notificationsExportPartMade
    await tx.query(insertParts, [JSON.stringify(made), aggregate, exportId, subject, traceParent ?? null])
  }
}

function partsOf(mails: readonly MailRow[]): ExportParts<MailRow> {
  const made = new ExportParts<MailRow>()
  for (const mail of mails) if (!made.add(mail)) return made
  return made
}
