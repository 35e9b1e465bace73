import { useSignal } from '@preact/signals'
import { notificationsRoutes, type Schedule } from '@saas/contracts'
import { call } from '../client.ts'
import { AskingButton } from '../components/question.tsx'
import { Empty, ListFrame } from '../components/states.tsx'
import { Cell, Row, Table } from '../components/table.tsx'
import { count, dateTime } from '../formats.ts'
import { texts } from '../language.ts'
import { useList } from '../loaded.ts'
import { say, sayTrouble } from '../notices.ts'
import { AnnouncementForm } from './operate-announcement.tsx'

const PAGE_ITEMS = 50
const badges = { active: 'confirmed', paused: 'pending', cancelled: 'rejected', done: 'sent' } as const

export function Schedules() {
  const { operate } = texts.value
  const { list, more, reload, change } = useList<Schedule>(async (cursor, signal) => {
    const query = { limit: PAGE_ITEMS, cursor }
    return (await call(notificationsRoutes.listSchedules, { query, signal })).body
  }, [])
  const replace = (changed: Schedule): void => change((schedule) => (schedule.id === changed.id ? changed : schedule))
  return (
    <>
      <ListFrame list={list.value} more={more} reload={reload} empty={<Empty title={operate.noSchedules} />}>
        <Table heads={[operate.name, operate.occurs, operate.next, operate.status, operate.mailsMade, operate.action]}>
          {list.value.items.map((schedule) => (
            <ScheduleRow key={schedule.id} schedule={schedule} replace={replace} />
          ))}
        </Table>
      </ListFrame>
      <AnnouncementForm made={reload} />
    </>
  )
}

function ScheduleRow({ schedule, replace }: { schedule: Schedule; replace: (schedule: Schedule) => void }) {
  const { operate } = texts.value
  const isSaving = useSignal(false)
  const act = async (work: () => Promise<Schedule>): Promise<void> => {
    isSaving.value = true
    try {
      const changed = await work()
      replace(changed)
      say(`${changed.name}: ${operate.scheduleStatuses[changed.status]}`)
    } catch (error) {
      sayTrouble(error)
    } finally {
      isSaving.value = false
    }
  }
  const params = { id: schedule.id }
  const isActive = schedule.status === 'active'
  const setStatus = async (): Promise<Schedule> => {
    const status = isActive ? 'paused' : 'active'
    return (await call(notificationsRoutes.changeSchedule, { params, body: { status } })).body
  }
  const cancel = async (): Promise<Schedule> => (await call(notificationsRoutes.cancelSchedule, { params })).body
  return (
    <Row head={schedule.name}>
      <Cell>
        <code>{schedule.cron ?? schedule.at?.replace('T', ' ')}</code>
        <p class="hint">{schedule.zone ?? operate.zoneOfUsers}</p>
      </Cell>
      <Cell kind="when">{schedule.nextAt === null ? '—' : dateTime(schedule.nextAt)}</Cell>
      <Cell>
        <span class={`badge ${badges[schedule.status]}`}>{operate.scheduleStatuses[schedule.status]}</span>
      </Cell>
      <Cell>
        <span class="phone-label">{operate.mailsMade}: </span>
        {count(schedule.mails)}
        {schedule.planning && <p class="hint">{operate.planning}</p>}
      </Cell>
      <Cell>
        {(isActive || schedule.status === 'paused') && (
          <div class="form-actions">
            <button
              type="button"
              class="button quiet small"
              aria-label={`${isActive ? operate.pause : operate.goOn}: ${schedule.name}`}
              disabled={isSaving.value}
              onClick={() => void act(setStatus)}
            >
              {isActive ? operate.pause : operate.goOn}
            </button>
            <AskingButton
              label={operate.cancelSchedule}
              question={operate.askCancelSchedule(schedule.name)}
              confirm={operate.cancelSchedule}
              cancel={operate.keepSchedule}
              kind="button danger quiet small"
              act={() => void act(cancel)}
            />
          </div>
        )}
      </Cell>
    </Row>
  )
}
