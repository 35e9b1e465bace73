import { newId } from '@saas/config'
import { headers as emptyHeaders, type MsgHdrs } from '@nats-io/transport-node'
import { createHash } from 'node:crypto'
import type { DeadLetter } from '@saas/contracts'
import type { IncomingMessage } from './codec.ts'
import type { Consumer } from './consumer.ts'
import type { Database, Transaction } from './database.ts'
import { ProblemError, problems } from '@saas/contracts'
import { DatabaseUnavailable, FROM_NEWER_VERSION, Unprocessable } from './errors.ts'
import { IdPage, isUuid } from './id-page.ts'
import { sql } from './statement.ts'

const REASON_LENGTH_MAX = 1_000
const ADOPTED_PAGE_MAX = 100
const NIL_ID = '00000000-0000-0000-0000-000000000000'

interface Row {
  readonly id: string
  readonly consumer: string
  readonly message_id: string
  readonly subject: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  readonly reason: string
  readonly created_at: Date
  readonly replayed_at: Date | null
}

const columns = 'id, consumer, message_id, subject, headers, body, reason, created_at, replayed_at'

const insertRow = sql(
  'state.insert_dead_letter',
  `insert into dead_letter (id, consumer, message_id, subject, headers, body, reason)
   values ($1, $2, $3, $4, $5::jsonb, $6, $7)
   on conflict (consumer, message_id) do update
   set reason = excluded.reason, replayed_at = null`,
)

const selectPage = sql<Row>(
  'state.select_dead_letters',
  `select ${columns}
   from dead_letter
   where id < $1
   order by id desc
   limit $2`,
)

const selectOne = sql<Row>('state.select_dead_letter', `select ${columns} from dead_letter where id = $1`)

// Only what this version knows now: of the others there may be many, which nobody need read again and again.
const selectFromNewer = sql<{ id: string }>(
  'state.select_dead_letters_from_newer',
  `select id
   from dead_letter
   where consumer = $1
     and replayed_at is null
     and starts_with(reason, '${FROM_NEWER_VERSION}')
     and subject = any($3::text[])
     and headers ->> 'ce-type' = any($4::text[])
     and id > $2
   order by id
   limit ${ADOPTED_PAGE_MAX}`,
)

// Inbox rows go by the age of their message, so that of an old one does not outlive a minute: whether it was replayed is known here.
const markReplayed = sql<{ id: string }>(
  'state.mark_replayed',
  `update dead_letter
   set replayed_at = clock_timestamp()
   where id = $1
     and replayed_at is null
   returning id`,
)

const changeReason = sql('state.change_reason', 'update dead_letter set reason = $2 where id = $1')

// Ids and addresses stand in quotes in JSON, so that nobody's is found as a part of another's.
const forgetBodies = sql(
  'state.forget_dead_letters',
  `update dead_letter
   set body = '{}',
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

/** Keeps a message that cannot be applied, with the reason. The same message again changes only the reason. */
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

/** What Postgres can keep of it. */
function textOf(value: string): string {
  return value.replaceAll('\0', '').toWellFormed()
}

function reasonOf(reason: string): string {
  return textOf(reason).slice(0, REASON_LENGTH_MAX)
}

/** A message without a usable id gets one made of what it holds, so that it too is kept once. */
function messageId(headers: Readonly<Record<string, string>>, { subject, data }: IncomingMessage): string {
  const id = headers['ce-id'] ?? ''
  if (isUuid(id)) return id
  const hash = createHash('sha256').update(subject).update('\0').update(data).digest('hex')
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-8${hash.slice(17, 20)}-${hash.slice(20, 32)}`
}

/** Another replay of the same letter was quicker. */
class AlreadyReplayed extends Error {}

/** Messages that could not be applied, for operators. */
export class DeadLetters {
  readonly #database: Database
  readonly #consumerOf: (durable: string) => Consumer | undefined

  constructor(database: Database, consumerOf: (durable: string) => Consumer | undefined) {
    this.#database = database
    this.#consumerOf = consumerOf
  }

  /** A page, newest first. `cursor` is the `next` of the page before. */
  async list(query: { limit?: number | undefined; cursor?: string | undefined }): Promise<{
    items: DeadLetter[]
    next: string | null
  }> {
    const page = new IdPage(query)
    return page.of(await this.#database.read(selectPage, [page.before, page.rowsMax]), toDeadLetter)
  }

  /**
   * Applies a dead letter again, once. What cannot be applied still comes back with the new reason and no `replayedAt`; one
   * that was replayed before, or whose effect is there already, is only marked.
   *
   * Resolves to `undefined` when there is none with this id.
   *
   * @throws {ProblemError} `not-found` when this service has no consumer of its name any more.
   */
  async replay(id: string): Promise<DeadLetter | undefined> {
    const row = await this.#find(id)
    if (row === undefined) return undefined
    if (row.replayed_at !== null) return toDeadLetter(row)
    const consumer = this.#consumerOf(row.consumer)
    if (consumer === undefined) {
      throw new ProblemError(problems.notFound, { detail: `This service has no consumer ${row.consumer} any more.` })
    }
    try {
      await consumer.applyOne({ subject: row.subject, data: row.body, headers: toHeaders(row.headers) }, async (tx) => {
        const marked = await tx.query(markReplayed, [id])
        if (marked.length === 0) throw new AlreadyReplayed()
      })
    } catch (error) {
      if (error instanceof Unprocessable) await this.#database.write(changeReason, [id, reasonOf(error.message)])
      else if (!(error instanceof AlreadyReplayed)) throw error
    }
    const replayed = await this.#find(id)
    return replayed === undefined ? undefined : toDeadLetter(replayed)
  }

  /**
   * Applies what an older version kept because only a newer one could know it, as far as this one does: what was published
   * before the first replica that understands it came up is late, and not lost. One that fails keeps no other waiting.
   *
   * @throws {unknown} what the last one that failed failed with, when all were tried.
   */
  async adopt({ durable, events }: Pick<Consumer, 'durable' | 'events'>): Promise<void> {
    const known = [events.map(({ subject }) => subject), events.map(({ type }) => type)]
    let failure: { readonly error: unknown } | undefined
    let after = NIL_ID
    for (let size = ADOPTED_PAGE_MAX; size === ADOPTED_PAGE_MAX;) {
      const rows = await this.#database.read(selectFromNewer, [durable, after, ...known])
      for (const { id } of rows) {
        await this.replay(id).catch((error: unknown) => {
          if (error instanceof DatabaseUnavailable) throw error
          failure = { error }
        })
        after = id
      }
      size = rows.length
    }
    if (failure !== undefined) throw failure.error
  }

  async #find(id: string): Promise<Row | undefined> {
    const [row] = await this.#database.read(selectOne, [id])
    return row
  }
}

function toHeaders(kept: Readonly<Record<string, string>>): MsgHdrs {
  const headers = emptyHeaders()
  for (const [name, value] of Object.entries(kept)) headers.set(name, value)
  return headers
}

function toDeadLetter(row: Row): DeadLetter {
  return {
    id: row.id,
    consumer: row.consumer,
    subject: row.subject,
    messageId: row.message_id,
    reason: row.reason,
    data: readable(row.body),
    createdAt: row.created_at.toISOString(),
    replayedAt: row.replayed_at?.toISOString() ?? null,
  }
}

function readable(body: Buffer): unknown {
  const text = body.toString('utf8')
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
