import { headers as emptyHeaders, type MsgHdrs } from '@nats-io/transport-node'
import { ProblemError, problems, type DeadLetter, type DeadLetterStatus } from '@saas/contracts'
import type { Consumer } from './consumer.ts'
import type { Database } from './database.ts'
import { reasonOf } from './dead-letter-rows.ts'
import { DatabaseUnavailable, FROM_NEWER_VERSION, Unprocessable } from './errors.ts'
import { IdPage, NIL_ID } from './id-page.ts'
import { BODY_SHOWN_BYTES_MAX, shownBody } from './shown-body.ts'
import { sql, type Statement } from './statement.ts'

const ADOPTED_PAGE_MAX = 100

/** What an operator is shown of a letter. */
interface Row {
  readonly id: string
  readonly consumer: string
  readonly message_id: string
  readonly subject: string
  readonly beginning: Buffer
  readonly bytes: number
  readonly reason: string
  readonly created_at: Date
  readonly replayed_at: Date | null
  readonly dismissed_at: Date | null
  readonly dismissed_by: string | null
  readonly dismissal_reason: string | null
}

// Bodies are as large as the broker takes them, and a page has a hundred.
const columns = `id, consumer, message_id, subject, substring(body for ${BODY_SHOWN_BYTES_MAX}) as beginning,
     octet_length(body) as bytes, reason, created_at, replayed_at, dismissed_at, dismissed_by, dismissal_reason`

const selectPage = sql<Row>(
  'state.select_dead_letters',
  `select ${columns}
   from dead_letter
   where id < $1
   order by id desc
   limit $2`,
)

const selectOpen = sql<Row>(
  'state.select_open_dead_letters',
  `select ${columns}
   from dead_letter
   where id < $1
     and replayed_at is null
     and dismissed_at is null
   order by id desc
   limit $2`,
)

const selectEnded = sql<Row>(
  'state.select_ended_dead_letters',
  `select ${columns}
   from dead_letter
   where id < $1
     and coalesce(replayed_at, dismissed_at) is not null
   order by id desc
   limit $2`,
)

const selectByStatus: Readonly<Record<DeadLetterStatus, Statement<Row>>> = { open: selectOpen, ended: selectEnded }

const selectOne = sql<Row>('state.select_dead_letter', `select ${columns} from dead_letter where id = $1`)

/** What is delivered again. */
interface Kept {
  readonly consumer: string
  readonly subject: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

const selectOpenMessage = sql<Kept>(
  'state.select_open_message',
  `select consumer, subject, headers, body
   from dead_letter
   where id = $1
     and replayed_at is null
     and dismissed_at is null`,
)

// Only what this version knows now: of the others there may be many, which nobody need read again and again.
const selectFromNewer = sql<{ id: string }>(
  'state.select_dead_letters_from_newer',
  `select id
   from dead_letter
   where consumer = $1
     and replayed_at is null
     and dismissed_at is null
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
     and dismissed_at is null
   returning id`,
)

const dismissOpen = sql<Row>(
  'state.dismiss_dead_letter',
  `update dead_letter
   set dismissed_at = clock_timestamp(),
       dismissed_by = $2,
       dismissal_reason = $3
   where id = $1
     and replayed_at is null
     and dismissed_at is null
   returning ${columns}`,
)

const reopenDismissed = sql<Row>(
  'state.reopen_dead_letter',
  `update dead_letter
   set dismissed_at = null,
       dismissed_by = null,
       dismissal_reason = null
   where id = $1
     and dismissed_at is not null
   returning ${columns}`,
)

const changeReason = sql('state.change_reason', 'update dead_letter set reason = $2 where id = $1')

/** Another call ended the same letter first. */
class AlreadyEnded extends Error {}

/** Who dismisses a letter, and why. */
export interface Dismissal {
  readonly by: string
  readonly reason: string
}

/**
 * Messages that could not be applied, for operators. A letter is open until it is replayed or dismissed; of calls that do both at once one
 * wins, and the other one is told.
 */
export class DeadLetters {
  readonly #database: Database
  readonly #consumerOf: (durable: string) => Consumer | undefined

  constructor(database: Database, consumerOf: (durable: string) => Consumer | undefined) {
    this.#database = database
    this.#consumerOf = consumerOf
  }

  /** A page, newest first: all that are kept, or those of one status. `cursor` is the `next` of the page before. */
  async list(query: {
    limit?: number | undefined
    cursor?: string | undefined
    status?: DeadLetterStatus | undefined
  }): Promise<{
    items: DeadLetter[]
    next: string | null
  }> {
    const page = new IdPage(query)
    const statement = query.status === undefined ? selectPage : selectByStatus[query.status]
    return page.of(await this.#database.read(statement, [page.before, page.rowsMax]), toDeadLetter)
  }

  /**
   * Applies a dead letter again, once. What cannot be applied still comes back with the new reason and no `replayedAt`; one
   * that was replayed before, or whose effect is there already, is only marked.
   *
   * Resolves to `undefined` when there is none with this id.
   *
   * @throws {ProblemError} `dead-letter-ended` when it was dismissed, `not-found` when this service has no consumer of its name any more.
   */
  async replay(id: string): Promise<DeadLetter | undefined> {
    await this.#applyOpen(id)
    const row = await this.#find(id)
    if (row?.dismissed_at) {
      throw new ProblemError(problems.deadLetterEnded, { detail: 'It was dismissed. Reopen it first.' })
    }
    return row === undefined ? undefined : toDeadLetter(row)
  }

  /**
   * Ends a letter without applying it. One that was dismissed before stays as it is, with the first reason.
   *
   * Resolves to `undefined` when there is none with this id.
   *
   * @throws {ProblemError} `dead-letter-ended` when it was replayed.
   */
  async dismiss(id: string, { by, reason }: Dismissal): Promise<DeadLetter | undefined> {
    const [dismissed] = await this.#database.write(dismissOpen, [id, by, reason])
    return this.#unlessReplayed(dismissed ?? (await this.#find(id)))
  }

  /**
   * Takes a dismissal back: the letter counts again, and can be replayed. One that is open stays as it is.
   *
   * Resolves to `undefined` when there is none with this id.
   *
   * @throws {ProblemError} `dead-letter-ended` when it was replayed.
   */
  async reopen(id: string): Promise<DeadLetter | undefined> {
    const [reopened] = await this.#database.write(reopenDismissed, [id])
    return this.#unlessReplayed(reopened ?? (await this.#find(id)))
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
        await this.#applyOpen(id).catch((error: unknown) => {
          if (error instanceof DatabaseUnavailable) throw error
          failure = { error }
        })
        after = id
      }
      size = rows.length
    }
    if (failure !== undefined) throw failure.error
  }

  /** Applies a letter again when it is open; one that is ended meanwhile is left as it is. */
  async #applyOpen(id: string): Promise<void> {
    const [kept] = await this.#database.read(selectOpenMessage, [id])
    if (kept === undefined) return
    const consumer = this.#consumerOf(kept.consumer)
    if (consumer === undefined) {
      throw new ProblemError(problems.notFound, { detail: `This service has no consumer ${kept.consumer} any more.` })
    }
    const message = { subject: kept.subject, data: kept.body, headers: toHeaders(kept.headers) }
    try {
      await consumer.applyOne(message, async (tx) => {
        const marked = await tx.query(markReplayed, [id])
        if (marked.length === 0) throw new AlreadyEnded()
      })
    } catch (error) {
      if (error instanceof Unprocessable) await this.#database.write(changeReason, [id, reasonOf(error.message)])
      else if (!(error instanceof AlreadyEnded)) throw error
    }
  }

  async #find(id: string): Promise<Row | undefined> {
    const [row] = await this.#database.read(selectOne, [id])
    return row
  }

  #unlessReplayed(row: Row | undefined): DeadLetter | undefined {
    if (row?.replayed_at) throw new ProblemError(problems.deadLetterEnded, { detail: 'It was replayed.' })
    return row === undefined ? undefined : toDeadLetter(row)
  }
}

function toHeaders(kept: Readonly<Record<string, string>>): MsgHdrs {
  const headers = emptyHeaders()
  for (const [name, value] of Object.entries(kept)) headers.set(name, value)
  return headers
}

function toDeadLetter(row: Row): DeadLetter {
  const cut = row.bytes > row.beginning.byteLength
  return {
    id: row.id,
    consumer: row.consumer,
    subject: row.subject,
    messageId: row.message_id,
    reason: row.reason,
    data: shownBody(row.beginning, cut),
    bytes: row.bytes,
    cut,
    createdAt: row.created_at.toISOString(),
    replayedAt: row.replayed_at?.toISOString() ?? null,
    dismissal: dismissalOf(row),
  }
}

function dismissalOf({ dismissed_at, dismissed_by, dismissal_reason }: Row): DeadLetter['dismissal'] {
  if (dismissed_at === null || dismissed_by === null || dismissal_reason === null) return null
  return { at: dismissed_at.toISOString(), by: dismissed_by, reason: dismissal_reason }
}
