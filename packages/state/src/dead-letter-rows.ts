import { newId } from '@saas/config'
import { createHash } from 'node:crypto'
import type { IncomingMessage } from './codec.ts'
import type { Database, Transaction } from './database.ts'
import { isUuid } from './id-page.ts'
import { sql } from './statement.ts'

const REASON_LENGTH_MAX = 1_000

const insertRow = sql(
  'state.insert_dead_letter',
  `insert into dead_letter (id, consumer, message_id, subject, headers, body, reason)
   values ($1, $2, $3, $4, $5::jsonb, $6, $7)
   on conflict (consumer, message_id) do update
   set reason = excluded.reason, replayed_at = null`,
)

/**
 * Keeps a message that cannot be applied, with the reason. The same message again changes only the reason; one that was dismissed stays so.
 */
export async function insertDeadLetter(
  database: Database,
  consumer: string,
  message: IncomingMessage,
  reason: string,
): Promise<void> {
  const headers = Object.fromEntries(
    [...(message.headers ?? [])].map(([name, values]) => [textOf(name), textOf(values.at(-1) ?? '')]),
  )
  await database.write(insertRow, [
    newId(),
    consumer,
    messageId(headers, message),
    textOf(message.subject),
    JSON.stringify(headers),
    Buffer.from(message.data),
    reasonOf(reason),
  ])
}

// Ids and addresses stand in quotes in JSON, so that nobody's is found as a part of another's.
const forgetBodies = sql(
  'state.forget_dead_letters',
  `update dead_letter
   set body = '{}',
       dismissal_reason = case when dismissal_reason is not null then 'forgotten with the account' end,
       reason = left('about a deleted account, and forgotten with it; before that: ' || reason, ${REASON_LENGTH_MAX})
   where body <> '{}'
     and exists (
       select 1
       from unnest($1::text[]) as mark
       where position(convert_to(to_json(mark)::text, 'UTF8') in body) > 0
     )`,
)

/**
 * Empties the dead letters that name somebody who is gone, by an id or an address. That there were such messages, and why
 * nobody could apply them, stays known.
 */
export async function forgetDeadLetters(tx: Transaction, marks: readonly string[]): Promise<void> {
  await tx.query(forgetBodies, [marks])
}

/** What Postgres can keep of it. */
function textOf(value: string): string {
  return value.replaceAll('\0', '').toWellFormed()
}

/** What is kept of the reason why a message could not be applied. */
export function reasonOf(reason: string): string {
  return textOf(reason).slice(0, REASON_LENGTH_MAX)
}

/** A message without a usable id gets one made of what it holds, so that it too is kept once. */
function messageId(headers: Readonly<Record<string, string>>, { subject, data }: IncomingMessage): string {
  const id = headers['ce-id'] ?? ''
  if (isUuid(id)) return id
  const hash = createHash('sha256').update(subject).update('\0').update(data).digest('hex')
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-8${hash.slice(17, 20)}-${hash.slice(20, 32)}`
}
