import { useSignal } from '@preact/signals'
import { notificationsRoutes, type Schedule } from '@saas/contracts'
import { call } from '../client.ts'
import { AskingButton } from '../components/question.tsx'
import { Empty, ListFrame } from '../components/states.tsx'
import { Cell, Row, Table } from '../components/table.tsx'
import { count, dateTimeIn, ownZone } from '../formats.ts'
import { locale, texts } from '../language.ts'
import { useList } from '../loaded.ts'
import { say, sayTrouble } from '../notices.ts'
import { rhythmInWords } from '../schedule-words.ts'
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
    if (isSaving.value) return
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
        <Occurs schedule={schedule} />
      </Cell>
      <Cell kind="when">
        <Next schedule={schedule} />
      </Cell>
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
              aria-disabled={isSaving.value}
              onClick={() => void act(setStatus)}
            >
              {isActive ? operate.pause : operate.goOn}
            </button>
            <AskingButton
              label={operate.cancelSchedule}
              to={schedule.name}
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

/** In words, with the expression itself beside them; a local time is in no zone, so it is read as one of UTC. */
function Occurs({ schedule: { cron, at, zone } }: { schedule: Schedule }) {
  const { operate } = texts.value
  const words = cron === null ? undefined : rhythmInWords(cron, locale.value, operate.rhythm)
  return (
    <>
      {words !== undefined && <p>{words}</p>}
      {at !== null && <p>{dateTimeIn(`${at}Z`, 'UTC')}</p>}
      {cron !== null && <code>{cron}</code>}
      <p class="hint">{zone ?? operate.zoneOfUsers}</p>
    </>
  )
}

/** By the viewer's clock, and by the schedule's where that shows something else. */
function Next({ schedule: { nextAt, zone } }: { schedule: Schedule }) {
  const { operate } = texts.value
  if (nextAt === null) return <>—</>
  const here = dateTimeIn(nextAt, ownZone())
  const there = zone === null ? here : dateTimeIn(nextAt, zone)
  return (
    <>
      {here}
      {there !== here && <p class="hint">{operate.thatIs(`${there}, ${zone}`)}</p>}
      {zone === null && <p class="hint">{operate.earliest}</p>}
    </>
  )
}
