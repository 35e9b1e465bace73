import { newId } from '@saas/config'
import { setTimeout as wait } from 'node:timers/promises'
import { v7 as uuidv7 } from 'uuid'
import { mailKinds, optionalMailKinds, type MailKind } from '@saas/contracts'
import { sql, type CoalescedWrite, type Database, type Transaction } from '@saas/state'
import { GIVE_UP_AFTER_MS } from './backoff.ts'
import type { Content, Recipient } from './content.ts'
import { DOMAIN_SENDING_MAX } from './places.ts'

const ERROR_LENGTH_MAX = 1000
const EXPIRED_ROWS_MAX = 1000
/** Among how many due mails a claim looks for each that it takes, so that it finds different domains; all of them are locked. */
const CANDIDATES_PER_MAIL = 4
/** What comes of mails within so long is written together: nobody waits for it, and each statement costs as much as a mail. */
const GATHER_MS = 10
const BACKLOG_COUNTED_MAX = 100_001

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
  /** Why it is not to be sent any more. */
  readonly withdrawn: string | undefined
}

const insertMailRows = sql<{ kind: MailKind }>(
  'notifications.insert_mails',
  `insert into mail (
     id, natural_key, kind, user_id, email, name, language, domain, data, secret, has_secret, due_at, expires_at,
     gives_up_at, trace_parent, created_at
   )
   select
     id, natural_key, kind, user_id, promised.email, promised.name, promised.language,
     lower(split_part(coalesce(promised.email, recipient.email), '@', 2)), data, secret, secret is not null, $2, expires_at,
     $3, trace_parent, $2
   from jsonb_to_recordset($1::jsonb) as promised(
     id uuid, natural_key text, kind text, user_id uuid, email text, name text, language text, data jsonb, secret text,
     expires_at timestamptz, trace_parent text
   )
   left join recipient using (user_id)
   order by natural_key
   on conflict (natural_key) do nothing
   returning kind`,
)

/** Writes the rows in the transaction of the events that promise them. Returns the kinds of those that are new. */
export async function insertMails(tx: Transaction, mails: readonly NewMail[], now: Date): Promise<MailKind[]> {
  if (mails.length === 0) return []
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
  const givesUpAt = new Date(now.getTime() + GIVE_UP_AFTER_MS)
  return (await tx.query(insertMailRows, [JSON.stringify(rows), now, givesUpAt])).map(({ kind }) => kind)
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
  withdrawn: string | null
}

// Takes what is due and nobody holds; due_at becomes the end of the lease, so one index serves both searches and a
// dead sender's mails are due again by themselves. Kinds of a newer version are left to it. Domains that are busy enough are
// passed over, and of no domain are there more than so many. What all mails of a firing say is kept once, with the firing.
const claimDue = sql<ClaimedRow>(
  'notifications.claim_due_mails',
  `with candidate as materialized (
     select id, user_id, fire_id, due_at, domain
     from mail
     where status = 'due'
       and due_at <= $1
       and (expires_at is null or expires_at > $1)
       and kind = any($5::text[])
       and (domain is null or domain <> all($6::text[]))
     order by due_at
     limit $2 * ${CANDIDATES_PER_MAIL}
     for update skip locked
   ),
   due as materialized (
     select id, user_id, fire_id
     from (
       select *, row_number() over (partition by coalesce(domain, id::text) order by due_at) as place
       from candidate
     ) as placed
     where place <= ${DOMAIN_SENDING_MAX}
     order by due_at
     limit $2
   )
   update mail
   set lease = $3,
       courier_id = $8,
       due_at = $4,
       attempts = mail.attempts + 1
   from due
   left join recipient using (user_id)
   left join fire on fire.id = due.fire_id
   where mail.id = due.id
   returning mail.id, mail.user_id, mail.kind, coalesce(fire.facts, mail.data) as data,
     coalesce(mail.email, recipient.email) as email, coalesce(mail.name, recipient.name) as name,
     coalesce(mail.language, recipient.language) as language, recipient.zone, mail.secret, mail.attempts, mail.created_at,
     mail.expires_at, mail.gives_up_at, mail.trace_parent,
     case
       when recipient.deleted_at is not null then 'the account was deleted'
       when mail.kind <> all($7::text[]) then null
       when mail.kind = any(recipient.declined) then 'its reader does not want such mails'
       when recipient.disabled then 'the account was disabled'
       when mail.kind = 'abandoned-cart' and not exists (
         select 1 from cart where cart.user_id = mail.user_id and version = (mail.data ->> 'version')::bigint
       ) then 'the cart changed'
     end as withdrawn`,
)

// A mail that was sent is sent, whoever holds its lease by now: nobody shall try again. Everything else only its holder says, and
// holds it no more: an older version that claims it next says no name.
// Not `status = 'due'`: the planner would take the index of all mails that are due, and for each batch read a hundred thousand.
export const recordOutcomes = sql<{ n: number }>(
  'notifications.record_outcomes',
  `with outcome as materialized (
     select n, id, lease, result, at, words, uncounted, email, name, language
     from jsonb_to_recordset($1::jsonb) as outcome(
       n int, id uuid, lease uuid, result text, at timestamptz, words text, uncounted int, email text, name text, language text
     )
   ),
   recorded as (
     update mail
     set status = outcome.result,
         sent_at = case when outcome.result = 'sent' then outcome.at end,
         due_at = case when outcome.result = 'due' then least(outcome.at, expires_at) else due_at end,
         attempts = attempts - outcome.uncounted,
         email = case when outcome.result <> 'cancelled' then coalesce(outcome.email, mail.email) end,
         name = case when outcome.result <> 'cancelled' then coalesce(outcome.name, mail.name) end,
         language = coalesce(outcome.language, mail.language),
         data = case when outcome.result <> 'cancelled' then data else '{}' end,
         secret = case when outcome.result = 'due' then secret end,
         lease = null,
         courier_id = null,
         last_error = outcome.words
     from outcome
     where mail.id = any(array(select id from outcome))
       and mail.id = outcome.id
       and case mail.status when 'due' then true end
       and (outcome.result = 'sent' or mail.lease = outcome.lease)
   )
   select n from outcome`,
)

const countDue = sql<{ count: number; oldest: Date | null }>(
  'notifications.count_due_mails',
  `select
     (select count(*)::int from (select 1 from mail where status = 'due' limit ${BACKLOG_COUNTED_MAX}) as waiting) as count,
     (select min(due_at) from mail where status = 'due') as oldest`,
)

const expireDue = sql<{ id: string; kind: MailKind }>(
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
   returning mail.id, kind`,
)

/** What is to be written about a mail that was claimed. */
interface OutcomeOfMail {
  readonly mail: ClaimedMail
  readonly result: 'sent' | 'dead' | 'cancelled' | 'due'
  /** When it was sent, or is due again. */
  readonly at: Date
  readonly words?: string
  readonly recipient?: Recipient
  /** It was not tried: the attempt does not count. */
  readonly isUntried?: boolean
}

/** The rows of mails, as far as sending them goes. */
export class Mails {
  readonly #database: Database
  readonly #outcomes: CoalescedWrite<OutcomeOfMail, { n: number }>
  #gathering: Promise<void> | undefined

  constructor(database: Database) {
    this.#database = database
    this.#outcomes = database.coalescedWrite({
      statement: recordOutcomes,
      toRow: ({ mail, result, at, words, recipient, isUntried = false }) => ({
        ...recipient,
        id: mail.id,
        lease: mail.lease,
        result,
        at,
        words: words?.slice(0, ERROR_LENGTH_MAX),
        uncounted: isUntried ? 1 : 0,
      }),
      conflictKeys: ({ mail }) => [mail.id],
      lockKey: ({ mail }) => mail.id,
    })
  }

  /** Takes at most `count` mails for this courier until `leaseEndsAt`, none of them to these domains. */
  async claim(
    courierId: string,
    count: number,
    fullDomains: readonly string[],
    now: Date,
    leaseEndsAt: Date,
  ): Promise<ClaimedMail[]> {
    const lease = newId()
    const values = [now, count, lease, leaseEndsAt, mailKinds, fullDomains, optionalMailKinds, courierId]
    const rows = await this.#database.write(claimDue, values)
    return rows.map((row) => claimedMailOf(row, lease))
  }

  /** What expired before it could be sent is dead, its secret erased. */
  async expire(now: Date): Promise<MailKind[]> {
    return (await this.#database.write(expireDue, [now])).map(({ kind }) => kind)
  }

  async markSent(mail: ClaimedMail, { email, name, language }: Recipient, now: Date): Promise<void> {
    await this.#record({ mail, result: 'sent', at: now, recipient: { email, name, language } })
  }

  async markDead(mail: ClaimedMail, words: string, now: Date): Promise<void> {
    await this.#record({ mail, result: 'dead', at: now, words })
  }

  async markCancelled(mail: ClaimedMail, words: string, now: Date): Promise<void> {
    await this.#record({ mail, result: 'cancelled', at: now, words })
  }

  async retryAt(mail: ClaimedMail, at: Date, words: string): Promise<void> {
    await this.#record({ mail, result: 'due', at, words })
  }

  /** It was not tried: the attempt does not count. */
  async waitUntil(mail: ClaimedMail, at: Date, words: string): Promise<void> {
    await this.#record({ mail, result: 'due', at, words, isUntried: true })
  }

  async #record(outcome: OutcomeOfMail): Promise<void> {
    this.#gathering ??= wait(GATHER_MS).finally(() => (this.#gathering = undefined))
    await this.#gathering
    await this.#outcomes.call(outcome)
  }

  /** How many wait, counted up to a limit, and for how long the oldest has been due. */
  async backlog(now: Date): Promise<{ count: number; overdueSeconds: number }> {
    const [row] = await this.#database.read(countDue)
    const oldest = row?.oldest ?? now
    return { count: row?.count ?? 0, overdueSeconds: Math.max(0, (now.getTime() - oldest.getTime()) / 1_000) }
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
    withdrawn: row.withdrawn ?? undefined,
  }
}
