import type { CatchUp, Role, Schedule, ScheduledKind } from '@saas/contracts'
import { sql, type Transaction } from '@saas/state'
import { endOf, nextOccurrence, type Timing } from './occurrences.ts'

/** A schedule as it is written down. */
export interface NewScheduleRow extends Timing {
  readonly id: string
  readonly name: string
  readonly kind: ScheduledKind
  readonly origin: Schedule['origin']
  readonly catchUp: CatchUp
  readonly roles: readonly Role[] | undefined
  readonly userIds: readonly string[] | undefined
  /** What its mails say, when they all say the same each time. */
  readonly content: object
  readonly status: 'active' | 'paused'
}

/** The columns from which occurrences follow. */
export interface TimingRow {
  readonly cron: string | null
  readonly local_at: string | null
  readonly schedule_zone: string | null
}

export function timingOf({ cron, local_at, schedule_zone }: TimingRow): Timing {
  return { cron: cron ?? undefined, at: local_at ?? undefined, zone: schedule_zone ?? undefined }
}

const insertSchedule = sql<{ id: string }>(
  'notifications.insert_schedule',
  `insert into schedule (
     id, name, kind, origin, cron, local_at, zone, catch_up, roles, user_ids, content, status, created_at, ends_at
   )
   values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::jsonb, $12, $13, $14)
   on conflict (id) do nothing
   returning id`,
)

/** Writes the schedule and where it stands in its zones; false when there is one with this id. */
export async function insertScheduleRow(tx: Transaction, schedule: NewScheduleRow, now: Date): Promise<boolean> {
  const { id, name, kind, origin, cron, at, zone, catchUp, roles, userIds, content, status } = schedule
  const inserted = await tx.query(insertSchedule, [
    id,
    name,
    kind,
    origin,
    cron ?? null,
    at ?? null,
    zone ?? null,
    catchUp,
    roles ?? null,
    userIds ?? null,
    JSON.stringify(content),
    status,
    now,
    endOf(schedule) ?? null,
  ])
  if (inserted.length === 0) return false
  await addMissingZones(tx, now, id)
  return true
}

interface MissingZone extends TimingRow {
  readonly id: string
  readonly zone: string
  readonly created_at: Date
}

// Zones of users are found by jumping from one to the next in the index: a few hundred steps for any number of users.
const selectMissingZones = sql<MissingZone>(
  'notifications.missing_schedule_zones',
  `with recursive known(zone) as (
     (select coalesce(zone, 'UTC') from recipient order by 1 limit 1)
     union all
     select (select coalesce(recipient.zone, 'UTC') from recipient
             where coalesce(recipient.zone, 'UTC') > known.zone order by 1 limit 1)
     from known
     where known.zone is not null
   )
   select schedule.id, schedule.cron, schedule.local_at, schedule.zone as schedule_zone, schedule.created_at, wanted.zone
   from schedule
   cross join lateral (
     select schedule.zone as zone where schedule.zone is not null
     union all
     select known.zone from known where schedule.zone is null and known.zone is not null
   ) as wanted
   where schedule.status = 'active'
     and ($1::uuid is null or schedule.id = $1)
     and not exists (
       select 1 from schedule_zone
       where schedule_zone.schedule_id = schedule.id and schedule_zone.zone = wanted.zone
     )`,
)

const insertZones = sql(
  'notifications.insert_schedule_zones',
  `insert into schedule_zone (schedule_id, zone, next_at)
   select schedule_id, zone, next_at
   from jsonb_to_recordset($1::jsonb) as missing(schedule_id uuid, zone text, next_at timestamptz)
   order by schedule_id, zone
   on conflict (schedule_id, zone) do nothing`,
)

/**
 * Adds the zones that users turned out to live in. One that recurs begins there from now on; one that fires once still does
 * where nobody was known before.
 */
export async function addMissingZones(tx: Transaction, now: Date, scheduleId?: string): Promise<void> {
  const missing = await tx.query(selectMissingZones, [scheduleId ?? null])
  if (missing.length === 0) return
  const rows = missing.map((row) => {
    const after = row.local_at === null ? now : row.created_at
    return { schedule_id: row.id, zone: row.zone, next_at: nextOccurrence(timingOf(row), row.zone, after) ?? null }
  })
  await tx.query(insertZones, [JSON.stringify(rows)])
}
