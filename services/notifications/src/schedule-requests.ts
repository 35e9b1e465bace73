import type { scheduleEvents } from '@saas/contracts'
import { sql, Unprocessable, type MessageOf, type Transaction } from '@saas/state'
import { timingErrors } from './occurrences.ts'
import { insertScheduleRow } from './schedule-rows.ts'
import { announcementRow, cancelSchedule } from './schedules.ts'

type ScheduleRequested = MessageOf<
  (typeof scheduleEvents)['authScheduleRequested' | 'productsScheduleRequested' | 'ordersScheduleRequested']
>
type ScheduleCancelled = MessageOf<
  (typeof scheduleEvents)['authScheduleCancelled' | 'productsScheduleCancelled' | 'ordersScheduleCancelled']
>

const insertWithdrawal = sql(
  'notifications.insert_withdrawal',
  `insert into schedule_withdrawal (schedule_id, withdrawn_at) values ($1, $2) on conflict (schedule_id) do nothing`,
)

const selectWithdrawal = sql<{ schedule_id: string }>(
  'notifications.select_withdrawal',
  'select schedule_id from schedule_withdrawal where schedule_id = $1',
)

/**
 * Makes the schedules that other services ask for. One id is one schedule, however often it is asked for.
 *
 * @throws {Unprocessable} for times that cannot be: the request is a dead letter with the reason, the rest goes on.
 */
export async function applyScheduleRequests(
  tx: Transaction,
  messages: readonly ScheduleRequested[],
  now: Date,
): Promise<void> {
  for (const { data, time } of messages) {
    const row = announcementRow(data.scheduleId, data, { origin: 'event', userIds: data.userIds ?? undefined })
    // As of when it was asked for: a request that comes late fires late, by its policy, and is not refused for that.
    const [error] = timingErrors(row, time)
    if (error !== undefined) throw new Unprocessable(`${error.pointer} ${error.detail}`)
    // A request that was replayed after it had been taken back.
    const [withdrawn] = await tx.query(selectWithdrawal, [data.scheduleId])
    if (withdrawn === undefined) await insertScheduleRow(tx, row, time < now ? time : now)
  }
}

/**
 * Takes back what was asked for, also before it is asked for: a request may be replayed late.
 *
 * @throws {Unprocessable} when it was due already, or nobody asked for it by an event.
 */
export async function applyScheduleCancellations(
  tx: Transaction,
  messages: readonly ScheduleCancelled[],
  now: Date,
): Promise<void> {
  for (const { data, time } of messages) {
    const verdict = await cancelSchedule(tx, data.scheduleId, time < now ? time : now, 'event')
    if (verdict === 'ended') throw new Unprocessable('The schedule was due before it was cancelled')
    if (verdict === 'foreign') throw new Unprocessable('The schedule was not asked for by an event')
    await tx.query(insertWithdrawal, [data.scheduleId, now])
  }
}
