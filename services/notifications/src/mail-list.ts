import { problems, ProblemError, type Mail, type QueryOf, type notificationsRoutes } from '@saas/contracts'
import { IdPage, sql, type Database } from '@saas/state'
import { GIVE_UP_AFTER_MS } from './backoff.ts'

interface MailRow {
  id: string
  kind: Mail['kind']
  status: Mail['status']
  user_id: string
  email: string | null
  attempts: number
  last_error: string | null
  created_at: Date
  due_at: Date
  sent_at: Date | null
}

const columns = `mail.id, kind, status, mail.user_id, coalesce(mail.email, recipient.email) as email, attempts,
     last_error, created_at, due_at, sent_at`

const selectMails = sql<MailRow>(
  'notifications.list_mails',
  `select ${columns}
   from mail
   left join recipient using (user_id)
   where mail.id < $1
     and ($2::text is null or status = $2)
   order by mail.id desc
   limit $3`,
)

// Two searches by index instead of one over every row: mails that have an address, and those that wait for it.
const selectMailsByEmail = sql<MailRow>(
  'notifications.list_mails_by_email',
  `select ${columns}
   from mail
   left join recipient using (user_id)
   where mail.id in (
       select id from mail where lower(email) = lower($4)
       union all
       select mail.id
       from mail
       join recipient using (user_id)
       where status = 'due' and mail.email is null and lower(recipient.email) = lower($4)
     )
     and mail.id < $1
     and ($2::text is null or status = $2)
   order by mail.id desc
   limit $3`,
)

const selectMail = sql<MailRow>(
  'notifications.get_mail',
  `select ${columns} from mail left join recipient using (user_id) where mail.id = $1`,
)

// One whose code or link was erased has nothing to say any more.
const reviveMail = sql<{ id: string }>(
  'notifications.resend_mail',
  `update mail
   set status = 'due', due_at = $2, gives_up_at = $3, attempts = 0
   where id = $1
     and status = 'dead'
     and not has_secret
   returning id`,
)

type ListQuery = QueryOf<typeof notificationsRoutes.listMails>

/** What operators see and do. */
export class MailList {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Newest first. @throws {ProblemError} `invalid-request` when the cursor is not one of ours. */
  async list({ status, email, ...query }: ListQuery): Promise<{ items: Mail[]; next: string | null }> {
    const page = new IdPage(query)
    const values = [page.before, status ?? null, page.rowsMax]
    const rows =
      email === undefined
        ? await this.#database.read(selectMails, values)
        : await this.#database.read(selectMailsByEmail, [...values, email])
    return page.of(rows, mailOf)
  }

  /**
   * Makes a dead mail due again, for another 48 hours. One that is due or sent is left as it is, so a repeated call
   * sends nothing twice.
   *
   * @throws {ProblemError} `not-found`, or `mail-not-resendable` when its code or link was erased.
   */
  async resend(id: string, now: Date): Promise<Mail> {
    await this.#database.write(reviveMail, [id, now, new Date(now.getTime() + GIVE_UP_AFTER_MS)])
    const [row] = await this.#database.read(selectMail, [id])
    if (row === undefined) throw new ProblemError(problems.notFound)
    if (row.status === 'dead') throw new ProblemError(problems.mailNotResendable)
    return mailOf(row)
  }
}

function mailOf(row: MailRow): Mail {
  return {
    id: row.id,
    kind: row.kind,
    status: row.status,
    userId: row.user_id,
    email: row.email,
    attempts: row.attempts,
    lastError: row.last_error,
    createdAt: row.created_at.toISOString(),
    dueAt: row.due_at.toISOString(),
    sentAt: row.sent_at?.toISOString() ?? null,
  }
}
