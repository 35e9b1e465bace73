import type { scheduleEvents } from '@saas/contracts'
import { Unprocessable, type MessageOf, type Transaction } from '@saas/state'
import { timingErrors } from './occurrences.ts'
import { insertScheduleRow } from './schedule-rows.ts'
import { announcementRow } from './schedules.ts'

type ScheduleRequested = MessageOf<(typeof scheduleEvents)[keyof typeof scheduleEvents]>

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
    await insertScheduleRow(tx, row, time < now ? time : now)
  }
}
