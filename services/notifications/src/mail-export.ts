import { EXPORT_ITEMS_MAX, exportEvents, ExportParts, type authEvents } from '@saas/contracts'
import { sendExportParts, sql, type MessageOf, type Transaction } from '@saas/state'

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

type ExportRequested = MessageOf<typeof authEvents.exportRequested>

/** Answers each request with all mails to that person, the newest first. */
export async function exportMails(tx: Transaction, messages: readonly ExportRequested[]): Promise<void> {
  for (const { data, traceParent } of messages) {
    const mails = await tx.query(selectMails, [data.userId])
    const { parts } = ExportParts.of(mails)
    const event = exportEvents.notificationsExportPartMade
    await sendExportParts(tx, { event, request: data, parts, traceParent })
  }
}
