import { sql, type Database } from '@saas/state'
import { addMissingZones, insertScheduleRow, type NewScheduleRow } from './schedule-rows.ts'

/**
 * The schedules that configuration makes. What operators decided about them, to pause or to cancel, outlives every start.
 */
export function builtInSchedules(shopZone: string): readonly NewScheduleRow[] {
  const common = { origin: 'configuration', catchUp: 'once', at: undefined, userIds: undefined, content: {} } as const
  return [
    {
      ...common,
      id: '01977c1e-6a00-7000-8000-00000000da17',
      name: 'Sales of the day before',
      kind: 'daily-sales',
      // Every day: after an outage each missed day has its report.
      catchUp: 'all',
      cron: '0 7 * * *',
      zone: shopZone,
      roles: ['manager'],
      status: 'active',
    },
    {
      ...common,
      id: '01977c1e-6a00-7000-8000-00000000eee1',
      name: 'New products of the week',
      kind: 'new-products',
      cron: '0 9 * * 5',
      zone: undefined,
      roles: undefined,
      status: 'active',
    },
  ]
}

const updateBuiltIn = sql<{ id: string }>(
  'notifications.update_built_in_schedule',
  `update schedule
   set name = $2, cron = $3, zone = $4, catch_up = $5, roles = $6
   where id = $1
     and (name, cron, zone, catch_up, roles) is distinct from ($2, $3, $4, $5, $6::text[])
   returning id`,
)

const deleteZones = sql('notifications.delete_schedule_zones', 'delete from schedule_zone where schedule_id = $1')

/** Makes what is missing and changes what configuration changed; such a schedule goes on from now. */
export async function configureSchedules(
  database: Database,
  schedules: readonly NewScheduleRow[],
  now: Date,
): Promise<void> {
  for (const schedule of schedules) {
    await database.transaction(async (tx) => {
      if (await insertScheduleRow(tx, schedule, now)) return
      const { id, name, cron, zone, catchUp, roles } = schedule
      const changed = await tx.query(updateBuiltIn, [id, name, cron ?? null, zone ?? null, catchUp, roles ?? null])
      if (changed.length === 0) return
      await tx.query(deleteZones, [id])
      await addMissingZones(tx, now, id)
    })
  }
}
