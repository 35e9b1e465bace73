import { newId, Outage } from '@saas/config'
import { setTimeout as wait } from 'node:timers/promises'
import type { Logger } from '@saas/http'
import { sql, type Database } from '@saas/state'

const BEAT_MS = 2_000
/** Who has not been heard for so long sends nothing more. */
const FRESH_MS = 8_000
/** A program that the system stops for half a minute comes back to what it holds. */
const SILENCE_MS_MIN = 40_000
const RESERVE_MS = 5_000

const beat = sql<{ id: string; beats: string }>(
  'notifications.courier_beat',
  `with own as (
     insert into courier (id, beats)
     values ($1, 1)
     on conflict (id) do update
     set beats = courier.beats + 1
   )
   select id, beats::text from courier where id <> $1`,
)

const leave = sql('notifications.courier_leave', 'delete from courier where id = $1')

// It sends no more, so nobody waits for the end of its leases.
const release = sql<{ id: string }>(
  'notifications.release_mails',
  `with gone as (
     delete from courier where id = any($1::uuid[])
   )
   update mail
   set due_at = $2,
       lease = null,
       courier_id = null
   where status = 'due'
     and courier_id = any($1::uuid[])
     and lease is not null
   returning id`,
)

export interface PresenceOptions {
  readonly database: Database
  readonly logger: Logger
  readonly now: () => Date
  /** The longest time that one attempt at sending takes. */
  readonly sendTimeoutMs: number
  readonly beatMs?: number | undefined
  readonly silenceMs?: number | undefined
}

/**
 * Says that a courier lives, and finds out which others do not. Times of two machines are never compared: a courier is dead when
 * its count stood still over so many of our own counts. Nobody could count while the database was away, so after that nobody is dead.
 */
export class Presence implements AsyncDisposable {
  readonly id = newId()
  readonly #options: PresenceOptions
  readonly #beatMs: number
  readonly #silentBeatsMax: number
  readonly #others = new Map<string, { readonly beats: string; readonly silentBeats: number }>()
  readonly #stopping = new AbortController()
  readonly #outage: Outage
  #beatenAtMs = Number.NEGATIVE_INFINITY
  #running: Promise<void> | undefined

  constructor(options: PresenceOptions) {
    const { sendTimeoutMs, beatMs = BEAT_MS, silenceMs } = options
    this.#options = options
    this.#outage = new Outage(options.logger, {
      begun: 'A courier could not say that it lives',
      over: 'A courier says again that it lives',
    })
    this.#beatMs = beatMs
    // Whoever was heard last so long ago has ended its last attempt.
    const silence = silenceMs ?? Math.max(FRESH_MS + sendTimeoutMs + RESERVE_MS, SILENCE_MS_MIN)
    this.#silentBeatsMax = Math.ceil(silence / beatMs)
  }

  /** Whether nobody can take us for dead before an attempt that begins now has ended. */
  get isFresh(): boolean {
    return performance.now() - this.#beatenAtMs <= FRESH_MS
  }

  /** `onWork` is called when mails may be sent that could not be before. */
  start(onWork: () => void): void {
    this.#running ??= this.#run(onWork)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    await this.#running
    // Who cannot say so is found silent.
    await this.#options.database.write(leave, [this.id]).catch(() => undefined)
  }

  async #run(onWork: () => void): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await this.#beat(onWork).then(
        () => this.#outage.worked(),
        (error: unknown) => this.#outage.failed(error),
      )
      await wait(this.#beatMs, undefined, { signal }).catch(() => undefined)
    }
  }

  async #beat(onWork: () => void): Promise<void> {
    const startedAtMs = performance.now()
    const wasFresh = this.isFresh
    const others = await this.#options.database.write(beat, [this.id])
    this.#beatenAtMs = startedAtMs
    if (!wasFresh) onWork()
    const silent = this.#hear(others)
    if (silent.length === 0) return
    const { database, logger, now } = this.#options
    const released = await database.write(release, [silent, now()])
    for (const id of silent) this.#others.delete(id)
    logger.warn({ couriers: silent, mails: released.length }, 'Couriers were silent; their mails are due again')
    onWork()
  }

  /** Who has been silent for too long. */
  #hear(others: readonly { id: string; beats: string }[]): string[] {
    const ids = new Set(others.map(({ id }) => id))
    for (const id of this.#others.keys()) if (!ids.has(id)) this.#others.delete(id)
    const silent: string[] = []
    for (const { id, beats } of others) {
      const known = this.#others.get(id)
      const silentBeats = known?.beats === beats ? known.silentBeats + 1 : 0
      this.#others.set(id, { beats, silentBeats })
      if (silentBeats >= this.#silentBeatsMax) silent.push(id)
    }
    return silent
  }
}
