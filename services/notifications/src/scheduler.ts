import { schedule, type ScheduledTask } from 'node-cron'
import { v7 as uuidv7 } from 'uuid'
import { Outage, type Clock } from '@saas/config'
import type { CatchUp, ScheduledKind } from '@saas/contracts'
import type { Logger } from '@saas/http'
import { sql, type Database, type Transaction } from '@saas/state'
import { GIVE_UP_AFTER_MS } from './backoff.ts'
import { configureSchedules } from './built-in.ts'
import { hasDueCarts, remindOfCarts } from './carts.ts'
import { closeWindows } from './digests.ts'
import { factsOfFire } from './fire-facts.ts'
import { catchUp, localDate } from './occurrences.ts'
import type { QuietHours } from './quiet-hours.ts'
import { addMissingZones, timingOf, type NewScheduleRow, type TimingRow } from './schedule-rows.ts'

const EVERY_SECOND = '* * * * * *'
export const PLANNED_USERS_MAX = 1_000

interface DueZone extends TimingRow {
  readonly schedule_id: string
  readonly zone: string
  readonly next_at: Date
  readonly last_fire_at: Date | null
  readonly kind: ScheduledKind
  readonly catch_up: CatchUp
  readonly content: object
}

// Both rows stay locked until the firing and the next time are committed, so cancelling comes before or after, never between.
const claimDueZone = sql<DueZone>(
  'notifications.claim_due_schedule_zone',
  `select schedule_id, schedule_zone.zone, next_at, last_fire_at, kind, catch_up, content, cron, local_at,
     schedule.zone as schedule_zone
   from schedule_zone
   join schedule on schedule.id = schedule_id
   where next_at <= $1
     and schedule.status = 'active'
     and not (schedule_id::text || schedule_zone.zone = any($2::text[]))
   order by next_at
   limit 1
   for no key update skip locked`,
)

const insertFire = sql<{ id: string }>(
  'notifications.insert_fire',
  `insert into fire (id, schedule_id, zone, fire_at, local_date, facts, status, created_at)
   values ($1, $2, $3, $4, $5, $6::jsonb, $7, $8)
   on conflict (schedule_id, zone, fire_at) do nothing
   returning id`,
)

const moveOn = sql(
  'notifications.move_schedule_on',
  `update schedule_zone
   set next_at = $3, last_fire_at = coalesce($4, last_fire_at)
   where schedule_id = $1 and zone = $2`,
)

// One page of users and where the next begins commit together; the key keeps a user who moved from a second mail of the day.
const planPage = sql<{ id: string }>(
  'notifications.plan_fire',
  `with claimed as materialized (
     select fire.id, schedule_id, fire.zone, local_date, planned_until, kind, roles, user_ids, schedule.zone as schedule_zone
     from fire
     join schedule on schedule.id = schedule_id
     where fire.status = 'planning'
     order by fire.id
     limit 1
     for no key update of fire skip locked
   ),
   page as materialized (
     select claimed.id as fire_id, schedule_id, local_date, kind, audience.user_id, audience.domain
     from claimed
     cross join lateral (
       select user_id, lower(split_part(email, '@', 2)) as domain
       from recipient
       where (planned_until is null or user_id > planned_until)
         and verified
         and not disabled
         and not (claimed.kind = any(declined))
         and (schedule_zone is not null or coalesce(recipient.zone, 'UTC') = claimed.zone)
         and (claimed.roles is null or recipient.roles && claimed.roles)
         and (user_ids is null or user_id = any(user_ids))
       order by user_id
       limit ${PLANNED_USERS_MAX}
     ) as audience
   ),
   planned as (
     insert into mail (id, natural_key, kind, user_id, domain, data, has_secret, due_at, gives_up_at, created_at, fire_id)
     select uuidv7(), concat_ws(':', 'schedule', schedule_id, local_date, user_id), kind, user_id, domain, '{}', false, $1,
       $2, $1, fire_id
     from page
     order by user_id
     on conflict (natural_key) do nothing
     returning 1
   )
   update fire
   set planned_until = coalesce((select user_id from page order by user_id desc limit 1), fire.planned_until),
       mails = fire.mails + (select count(*) from planned),
       status = case when (select count(*) from page) < ${PLANNED_USERS_MAX} then 'done' else 'planning' end
   from claimed
   where fire.id = claimed.id
   returning fire.id`,
)

const finishPast = sql(
  'notifications.finish_schedules',
  `update schedule
   set status = 'done'
   where status = 'active'
     and ends_at < $1
     and not exists (select 1 from schedule_zone where schedule_id = schedule.id and next_at is not null)`,
)

export interface SchedulerOptions {
  readonly database: Database
  readonly clock: Clock
  readonly logger: Logger
  readonly builtIn: readonly NewScheduleRow[]
  readonly quiet?: QuietHours | undefined
  /** Whether what happened until a moment ago was applied: nobody is reminded of a cart that may be ordered since. */
  readonly isCaughtUp?: () => Promise<boolean>
  /** Called when mails were written. */
  readonly onPlanned: () => void
}

/**
 * Fires schedules and writes the mails of each firing, a thousand users at a time. Any number of replicas may run: what is
 * due is rows, and whoever holds a row's lock goes on with it. What a killed replica left, the next tick of another finds.
 */
export class Scheduler implements AsyncDisposable {
  readonly #options: SchedulerOptions
  #task: ScheduledTask | undefined
  #ticking: Promise<void> = Promise.resolve()
  #isStopped = false
  #isConfigured = false
  /** Schedules in zones that could not be fired when they were tried last. */
  readonly #failing = new Set<string>()

  constructor(options: SchedulerOptions) {
    this.#options = options
  }

  /** The timer says only that a second passed. It never computes an occurrence: it skips those in gaps of local time. */
  start(): void {
    const outage = new Outage(this.#options.logger, {
      begun: 'Schedules could not be looked at',
      over: 'Schedules are looked at again',
    })
    const silent = { info: () => undefined, debug: () => undefined, warn: () => undefined, error: () => undefined }
    const tick = async (): Promise<void> => {
      this.#ticking = this.tick().then(
        () => outage.worked(),
        (error: unknown) => outage.failed(error),
      )
      await this.#ticking
    }
    this.#task ??= schedule(EVERY_SECOND, tick, { noOverlap: true, suppressMissedWarning: true, logger: silent })
  }

  /** Fires all that is due and plans all that was fired. */
  async tick(): Promise<void> {
    const { database, clock, builtIn } = this.#options
    const now = clock.now()
    if (!this.#isConfigured) await configureSchedules(database, builtIn, now)
    this.#isConfigured = true
    await database.transaction(async (tx) => await addMissingZones(tx, now))
    const failed: string[] = []
    while (!this.#isStopped && (await this.#fireNext(failed)));
    while (!this.#isStopped && (await this.planNextPage()));
    while (!this.#isStopped && (await this.#remind()));
    while (!this.#isStopped && (await this.#digest()));
    await database.write(finishPast, [now])
  }

  /** Closes the windows of digests; false when none is due. */
  async #digest(): Promise<boolean> {
    const { database, clock, quiet, onPlanned } = this.#options
    const closed = await closeWindows(database, quiet, clock.now())
    if (closed > 0) onPlanned()
    return closed > 0
  }

  /** Reminds of the carts that lie still; false when there is nothing left to do for now. */
  async #remind(): Promise<boolean> {
    const { database, clock, isCaughtUp = async () => true, onPlanned } = this.#options
    if (!(await hasDueCarts(database, clock.now())) || !(await isCaughtUp())) return false
    const hasMore = await remindOfCarts(database, clock.now())
    onPlanned()
    return hasMore
  }

  /** Writes the mails of the next thousand users of some firing; false when nothing is left to plan. */
  async planNextPage(): Promise<boolean> {
    const { database, clock, onPlanned } = this.#options
    const now = clock.now()
    const planned = await database.write(planPage, [now, new Date(now.getTime() + GIVE_UP_AFTER_MS)])
    if (planned.length > 0) onPlanned()
    return planned.length > 0
  }

  /** Finishes what it is at; the rest is for another replica. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true
    await this.#task?.destroy()
    await this.#ticking
  }

  /** Fires one schedule in one zone; one that fails is left for the next tick, and the others go on. */
  async #fireNext(failed: string[]): Promise<boolean> {
    const { database, clock, logger } = this.#options
    const now = clock.now()
    let due: DueZone | undefined
    try {
      return await database.transaction(async (tx) => {
        ;[due] = await tx.query(claimDueZone, [now, failed])
        if (due === undefined) return false
        const fired = await fire(tx, due, now)
        const { schedule_id: scheduleId, zone } = due
        this.#failing.delete(scheduleId + zone)
        logger.info({ scheduleId, zone, dueAt: due.next_at, fired }, 'Schedule fired')
        return true
      })
    } catch (error) {
      if (due === undefined) throw error
      const { schedule_id: scheduleId, zone } = due
      // It is tried each second, until somebody has mended or cancelled it.
      if (!this.#failing.has(scheduleId + zone)) {
        logger.error({ err: error, scheduleId, zone }, 'A schedule could not be fired; it is tried again')
      }
      this.#failing.add(scheduleId + zone)
      failed.push(scheduleId + zone)
      return true
    }
  }
}

/** Writes a firing for each occurrence that is to fire, and when the next one comes. Returns how many there are. */
async function fire(tx: Transaction, due: DueZone, now: Date): Promise<number> {
  const { schedule_id: scheduleId, zone, kind, content } = due
  const occurrences = catchUp(timingOf(due), due.catch_up, zone, due.next_at, now)
  let previousAt = due.last_fire_at ?? undefined
  for (const fireAt of occurrences.fire) {
    const date = localDate(fireAt, zone)
    const facts = await factsOfFire(tx, { kind, zone, fireAt, previousAt, localDate: date, content })
    const id = uuidv7({ msecs: now.getTime() })
    const status = facts === undefined ? 'done' : 'planning'
    await tx.query(insertFire, [id, scheduleId, zone, fireAt, date, JSON.stringify(facts ?? {}), status, now])
    previousAt = fireAt
  }
  await tx.query(moveOn, [scheduleId, zone, occurrences.next ?? null, occurrences.fire.at(-1) ?? null])
  return occurrences.fire.length
}
