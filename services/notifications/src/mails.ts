import { v7 as uuidv7 } from 'uuid'
import { mailKinds } from '@saas/contracts'
import { sql, type Database, type Transaction } from '@saas/state'
import { GIVE_UP_AFTER_MS } from './backoff.ts'
import type { Content, Recipient } from './content.ts'

const ERROR_LENGTH_MAX = 1000
const EXPIRED_ROWS_MAX = 1000

/** A mail as an event promises it. */
export interface NewMail {
  readonly naturalKey: string
  readonly content: Content
  readonly userId: string
  /** Undefined: to wherever the user can be reached at sending. */
  readonly recipient: Recipient | undefined
  readonly secret: string | undefined
  readonly expiresAt: Date | undefined
  readonly traceParent: string | undefined
}

/** A mail that is ours to send until its lease ends. */
export interface ClaimedMail {
  readonly id: string
  readonly lease: string
  readonly userId: string
  readonly content: Content
  /** Undefined while the user is not known yet. */
  readonly recipient: Recipient | undefined
  readonly zone: string | undefined
  readonly secret: string | undefined
  readonly attempts: number
  readonly createdAt: Date
  readonly expiresAt: Date | undefined
  readonly givesUpAt: Date
  readonly traceParent: string | undefined
}

const insertMailRows = sql(
  'notifications.insert_mails',
  `insert into mail (
     id, natural_key, kind, user_id, email, name, language, data, secret, has_secret, due_at, expires_at, gives_up_at,
     trace_parent, created_at
   )
   select
     id, natural_key, kind, user_id, email, name, language, data, secret, secret is not null, $2, expires_at, $3,
     trace_parent, $2
   from jsonb_to_recordset($1::jsonb) as promised(
     id uuid, natural_key text, kind text, user_id uuid, email text, name text, language text, data jsonb, secret text,
     expires_at timestamptz, trace_parent text
   )
   order by natural_key
   on conflict (natural_key) do nothing`,
)

/** Writes the rows in the transaction of the events that promise them. */
export async function insertMails(tx: Transaction, mails: readonly NewMail[], now: Date): Promise<void> {
  if (mails.length === 0) return
  const rows = mails.map(({ naturalKey, content, userId, recipient, secret, expiresAt, traceParent }) => ({
    id: uuidv7({ msecs: now.getTime() }),
    natural_key: naturalKey,
    kind: content.kind,
    user_id: userId,
    ...recipient,
    data: content.facts,
    secret,
    expires_at: expiresAt,
    trace_parent: traceParent,
  }))
  await tx.query(insertMailRows, [JSON.stringify(rows), now, new Date(now.getTime() + GIVE_UP_AFTER_MS)])
}

interface ClaimedRow {
  id: string
  user_id: string
  kind: Content['kind']
  data: Content['facts']
  email: string | null
  name: string | null
  language: string | null
  zone: string | null
  secret: string | null
  attempts: number
  created_at: Date
  expires_at: Date | null
  gives_up_at: Date
  trace_parent: string | null
}

// Takes what is due and nobody holds; due_at becomes the end of the lease, so one index serves both searches and a
// dead sender's mails are due again by themselves. Kinds of a newer version are left to it. What all mails of a firing say
// is kept once, with the firing.
const claimDue = sql<ClaimedRow>(
  'notifications.claim_due_mails',
  `with due as materialized (
     select id, user_id, fire_id
     from mail
     where status = 'due'
       and due_at <= $1
       and (expires_at is null or expires_at > $1)
       and kind = any($5::text[])
     order by due_at
     limit $2
     for update skip locked
   )
   update mail
   set lease = $3,
       due_at = $4,
       attempts = mail.attempts + 1
   from due
   left join recipient using (user_id)
   left join fire on fire.id = due.fire_id
   where mail.id = due.id
   returning mail.id, mail.user_id, kind, coalesce(fire.facts, data) as data, coalesce(mail.email, recipient.email) as email,
     coalesce(mail.name, recipient.name) as name, coalesce(mail.language, recipient.language) as language,
     recipient.zone, secret, attempts, mail.created_at, expires_at, gives_up_at, trace_parent`,
)

// Without the lease: whoever sent it, it is sent, and nobody shall try again.
const markSent = sql(
  'notifications.mark_mail_sent',
  `update mail
   set status = 'sent',
       sent_at = $2,
       email = $3,
       name = $4,
       language = $5,
       secret = null,
       lease = null,
       last_error = null
   where id = $1
     and status = 'due'`,
)

const markDead = sql(
  'notifications.mark_mail_dead',
  `update mail
   set status = 'dead',
       last_error = $3,
       secret = null,
       lease = null
   where id = $1
     and lease = $2
     and status = 'due'`,
)

const putOff = sql(
  'notifications.put_off_mail',
  `update mail
   set due_at = least($3, expires_at),
       last_error = $4,
       attempts = attempts - $5,
       lease = null
   where id = $1
     and lease = $2
     and status = 'due'`,
)

const expireDue = sql<{ id: string }>(
  'notifications.expire_mails',
  `with expired as materialized (
     select id
     from mail
     where status = 'due'
       and expires_at <= $1
       and due_at <= $1
     order by id
     limit ${EXPIRED_ROWS_MAX}
     for update skip locked
   )
   update mail
   set status = 'dead',
       last_error = left(
         concat_ws('; before that: ', 'expired: its code or link was no longer valid', last_error),
         ${ERROR_LENGTH_MAX}
       ),
       secret = null,
       lease = null
   from expired
   where mail.id = expired.id
   returning mail.id`,
)

/** The rows of mails, as far as sending them goes. */
export class Mails {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Takes at most `count` mails for ourselves until `leaseEndsAt`. */
  async claim(count: number, now: Date, leaseEndsAt: Date): Promise<ClaimedMail[]> {
    const lease = uuidv7()
    const rows = await this.#database.write(claimDue, [now, count, lease, leaseEndsAt, mailKinds])
    return rows.map((row) => claimedMailOf(row, lease))
  }

  /** What expired before it could be sent is dead, its secret erased. Returns how many. */
  async expire(now: Date): Promise<number> {
    return (await this.#database.write(expireDue, [now])).length
  }

  async markSent(mail: ClaimedMail, { email, name, language }: Recipient, now: Date): Promise<void> {
    await this.#database.write(markSent, [mail.id, now, email, name, language])
  }

  async markDead(mail: ClaimedMail, reason: string): Promise<void> {
    await this.#database.write(markDead, [mail.id, mail.lease, bounded(reason)])
  }

  async retryAt(mail: ClaimedMail, dueAt: Date, reason: string): Promise<void> {
    await this.#database.write(putOff, [mail.id, mail.lease, dueAt, bounded(reason), 0])
  }

  /** It was not tried: the attempt does not count. */
  async waitUntil(mail: ClaimedMail, dueAt: Date, reason: string): Promise<void> {
    await this.#database.write(putOff, [mail.id, mail.lease, dueAt, bounded(reason), 1])
  }
}

function claimedMailOf(row: ClaimedRow, lease: string): ClaimedMail {
  const { email, name, language } = row
  return {
    id: row.id,
    lease,
    userId: row.user_id,
    // The kind decides what its facts are; both were written together.
    content: { kind: row.kind, facts: row.data } as Content,
    recipient: email === null || name === null || language === null ? undefined : { email, name, language },
    zone: row.zone ?? undefined,
    secret: row.secret ?? undefined,
    attempts: row.attempts,
    createdAt: row.created_at,
    expiresAt: row.expires_at ?? undefined,
    givesUpAt: row.gives_up_at,
    traceParent: row.trace_parent ?? undefined,
  }
}

function bounded(reason: string): string {
  return reason.slice(0, ERROR_LENGTH_MAX)
}
