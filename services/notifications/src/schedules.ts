import {
  problems,
  ProblemError,
  type NewSchedule,
  type QueryOf,
  type Schedule,
  type notificationsRoutes,
} from '@saas/contracts'
import { IdPage, sql, type Database, type Transaction } from '@saas/state'
import { endOf, nextOccurrence, timingErrors } from './occurrences.ts'
import { addMissingZones, insertScheduleRow, timingOf, type NewScheduleRow, type TimingRow } from './schedule-rows.ts'

interface ScheduleRow extends TimingRow {
  readonly id: string
  readonly name: string
  readonly kind: Schedule['kind']
  readonly origin: Schedule['origin']
  readonly catch_up: Schedule['catchUp']
  readonly roles: Schedule['roles']
  readonly status: Schedule['status']
  readonly content: object
  readonly created_at: Date
  readonly next_at: Date | null
  readonly last_fire_at: Date | null
  readonly mails: number
  readonly planning: boolean
}

const columns = `id, name, kind, origin, cron, local_at, schedule.zone as schedule_zone, catch_up, roles, schedule.status,
     content, schedule.created_at, stand.next_at, stand.last_fire_at,
     (select coalesce(sum(fire.mails), 0)::int from fire where fire.schedule_id = schedule.id) as mails,
     exists (select 1 from fire where fire.status = 'planning' and fire.schedule_id = schedule.id) as planning
   from schedule
   cross join lateral (
     select case when schedule.status = 'active' then min(next_at) end as next_at, max(last_fire_at) as last_fire_at
     from schedule_zone
     where schedule_id = schedule.id
   ) as stand`

const selectSchedules = sql<ScheduleRow>(
  'notifications.list_schedules',
  `select ${columns} where schedule.id < $1 order by schedule.id desc limit $2`,
)

const selectSchedule = sql<ScheduleRow>('notifications.get_schedule', `select ${columns} where schedule.id = $1`)

const lockSchedule = sql<TimingRow & { status: Schedule['status']; origin: Schedule['origin']; created_at: Date }>(
  'notifications.lock_schedule',
  `select status, origin, cron, local_at, zone as schedule_zone, created_at from schedule where id = $1 for no key update`,
)

// One that fires once has begun when it fired, or would have by now, in the first of its zones.
const selectBegun = sql<{ begun: boolean }>(
  'notifications.schedule_begun',
  `select exists (select 1 from fire where schedule_id = $1)
     or exists (select 1 from schedule_zone where schedule_id = $1 and next_at <= $2) as begun`,
)

const setStatus = sql('notifications.set_schedule_status', `update schedule set status = $2 where id = $1`)
const stopZones = sql(
  'notifications.stop_schedule_zones',
  `update schedule_zone set next_at = null where schedule_id = $1`,
)
const selectZones = sql<{ zone: string; last_fire_at: Date | null }>(
  'notifications.schedule_zones',
  `select zone, last_fire_at from schedule_zone where schedule_id = $1 order by zone`,
)
const setNext = sql(
  'notifications.set_next_times',
  `update schedule_zone
   set next_at = resumed.next_at
   from jsonb_to_recordset($2::jsonb) as resumed(zone text, next_at timestamptz)
   where schedule_id = $1
     and schedule_zone.zone = resumed.zone`,
)

/** What operators see of schedules and do with them. */
export class Schedules {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Newest first. @throws {ProblemError} `invalid-request` when the cursor is not one of ours. */
  async list(
    query: QueryOf<typeof notificationsRoutes.listSchedules>,
  ): Promise<{ items: Schedule[]; next: string | null }> {
    const page = new IdPage(query)
    return page.of(await this.#database.read(selectSchedules, [page.before, page.rowsMax]), scheduleOf)
  }

  /** @throws {ProblemError} `not-found` */
  async get(id: string): Promise<Schedule> {
    return scheduleOf(await this.#row(id))
  }

  /**
   * Makes the schedule unless it is there.
   *
   * @throws {ProblemError} `invalid-request` for times that cannot be, `schedule-taken` when the id says something else.
   */
  async put(id: string, wanted: NewSchedule, now: Date): Promise<{ schedule: Schedule; isNew: boolean }> {
    const row = announcementRow(id, wanted)
    const existing = await this.#database.read(selectSchedule, [id])
    if (existing[0] === undefined) {
      const errors = timingErrors(row, now)
      if (errors.length > 0) throw new ProblemError(problems.invalidRequest, { errors })
      const isNew = await this.#database.transaction(async (tx) => await insertScheduleRow(tx, row, now))
      if (isNew) return { schedule: await this.get(id), isNew }
    }
    const known = await this.#row(id)
    if (!saysTheSame(known, row)) throw new ProblemError(problems.scheduleTaken)
    return { schedule: scheduleOf(known), isNew: false }
  }

  /** @throws {ProblemError} `not-found`, or `schedule-ended` when it was due before now or was cancelled before. */
  async cancel(id: string, now: Date): Promise<Schedule> {
    const verdict = await this.#database.transaction(async (tx) => await cancelSchedule(tx, id, now))
    if (verdict === 'unknown') throw new ProblemError(problems.notFound)
    if (verdict === 'ended') throw new ProblemError(problems.scheduleEnded)
    return await this.get(id)
  }

  /** @throws {ProblemError} `not-found`, or `schedule-ended` when it will never fire again. */
  async change(id: string, status: 'active' | 'paused', now: Date): Promise<Schedule> {
    await this.#database.transaction(async (tx) => {
      const [locked] = await tx.query(lockSchedule, [id])
      if (locked === undefined) throw new ProblemError(problems.notFound)
      if (locked.status === status) return
      if (locked.status === 'cancelled' || locked.status === 'done') throw new ProblemError(problems.scheduleEnded)
      await tx.query(setStatus, [id, status])
      if (status === 'paused') await tx.query(stopZones, [id])
      else await resume(tx, id, locked, now)
    })
    return await this.get(id)
  }

  async #row(id: string): Promise<ScheduleRow> {
    const [row] = await this.#database.read(selectSchedule, [id])
    if (row === undefined) throw new ProblemError(problems.notFound)
    return row
  }
}

/** An announcement as it is written down. */
export function announcementRow(
  id: string,
  { name, cron, at, zone, catchUp, roles, announcement }: NewSchedule,
  made: Pick<NewScheduleRow, 'origin' | 'userIds'> = { origin: 'operator', userIds: undefined },
): NewScheduleRow {
  return {
    ...made,
    id,
    name,
    kind: 'announcement',
    cron,
    at,
    zone: zone ?? undefined,
    catchUp,
    roles: roles ?? undefined,
    content: announcement,
    status: 'active',
  }
}

/**
 * Cancels until it is due, unless it was cancelled before; the lock of its row decides between this and firing.
 * `foreign`: not of the origin that was named.
 */
export async function cancelSchedule(
  tx: Transaction,
  id: string,
  now: Date,
  origin?: Schedule['origin'],
): Promise<'cancelled' | 'ended' | 'unknown' | 'foreign'> {
  const [locked] = await tx.query(lockSchedule, [id])
  if (locked === undefined) return 'unknown'
  if (origin !== undefined && locked.origin !== origin) return 'foreign'
  if (locked.status === 'cancelled') return 'cancelled'
  if (locked.status === 'done') return 'ended'
  if (locked.local_at !== null && (await hasBegun(tx, id, now))) return 'ended'
  await tx.query(setStatus, [id, 'cancelled'])
  await tx.query(stopZones, [id])
  return 'cancelled'
}

async function hasBegun(tx: Transaction, id: string, now: Date): Promise<boolean> {
  const [answer] = await tx.query(selectBegun, [id, now])
  return answer?.begun === true
}

/** Goes on with what comes after now, and never again with what fired. */
async function resume(tx: Transaction, id: string, row: TimingRow, now: Date): Promise<void> {
  const timing = timingOf(row)
  const end = endOf(timing)
  if (end !== undefined && end <= now) throw new ProblemError(problems.scheduleEnded)
  await addMissingZones(tx, now, id)
  const zones = (await tx.query(selectZones, [id])).map(({ zone, last_fire_at: lastFireAt }) => {
    const after = lastFireAt !== null && lastFireAt > now ? lastFireAt : now
    return { zone, next_at: nextOccurrence(timing, zone, after) ?? null }
  })
  await tx.query(setNext, [id, JSON.stringify(zones)])
}

function saysTheSame(known: ScheduleRow, row: NewScheduleRow): boolean {
  const timing = timingOf(known)
  const said = [known.name, known.kind, timing.cron, timing.at, timing.zone, known.catch_up, known.roles ?? undefined]
  const wanted = [row.name, row.kind, row.cron, row.at, row.zone, row.catchUp, row.roles]
  return JSON.stringify([said, ordered(known.content)]) === JSON.stringify([wanted, ordered(row.content)])
}

/** jsonb keeps its own order of keys. */
function ordered(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, ordered(inner)]),
  )
}

function scheduleOf(row: ScheduleRow): Schedule {
  return {
    id: row.id,
    name: row.name,
    kind: row.kind,
    origin: row.origin,
    cron: row.cron,
    at: row.local_at,
    zone: row.schedule_zone,
    catchUp: row.catch_up,
    roles: row.roles,
    status: row.status,
    nextAt: row.next_at?.toISOString() ?? null,
    lastFireAt: row.last_fire_at?.toISOString() ?? null,
    mails: row.mails,
    planning: row.planning,
    createdAt: row.created_at.toISOString(),
  }
}
