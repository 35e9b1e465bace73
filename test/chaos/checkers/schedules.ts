import type { Checker, Checkers, Queryable } from './evidence.ts'

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
/** What is no older than this when somebody comes round to it is in time. */
const IN_TIME_MS = 10 * MINUTE_MS

interface Firing {
  readonly schedule_id: string
  readonly zone: string
  readonly cron: string
  readonly catch_up: 'once' | 'all' | 'skip'
  readonly created_at: Date
  readonly next_at: Date | null
  readonly fired: readonly { readonly at: string; readonly made: string; readonly date: string }[]
}

const selectFirings = `
  select schedule_id, schedule_zone.zone, cron, catch_up, schedule.created_at, next_at,
    coalesce((
      select jsonb_agg(jsonb_build_object('at', fire_at, 'made', fire.created_at, 'date', local_date) order by fire_at)
      from fire
      where fire.schedule_id = schedule_zone.schedule_id and fire.zone = schedule_zone.zone
    ), '[]') as fired
  from schedule_zone
  join schedule on schedule.id = schedule_id
  where status = 'active' and cron ~ '^\\d+ \\d+ \\* \\* \\*$'`

async function firingsOf(notifications: Queryable | undefined): Promise<Firing[]> {
  return (await notifications?.query<Firing>(selectFirings)) ?? []
}

const formats = new Map<string, Intl.DateTimeFormat>()

function formatOf(zone: string): Intl.DateTimeFormat {
  const format =
    formats.get(zone) ?? new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'short' })
  formats.set(zone, format)
  return format
}

/** The local date and time of a moment, by the runtime's own zone data and nothing of ours. */
function localTime(at: Date, zone: string): { date: string; minute: number } {
  const text = formatOf(zone).format(at)
  const [date = '', time = ''] = text.split(' ')
  const [hours = '0', minutes = '0'] = time.split(':')
  return { date, minute: Number(hours) * 60 + Number(minutes) }
}

/**
 * The moments at which a daily local time comes, found by walking through every minute: the first at or after it on each local
 * date. So a time in a gap comes at the gap's end, and one that comes twice the first time.
 */
function dailyOccurrences(cron: string, zone: string, from: Date, until: Date): Date[] {
  const [minute = 0, hour = 0] = cron.split(' ').slice(0, 2).map(Number)
  const wanted = hour * 60 + minute
  const found: Date[] = []
  let done = ''
  for (let at = Math.floor((from.getTime() - DAY_MS) / MINUTE_MS) * MINUTE_MS; at <= until.getTime(); at += MINUTE_MS) {
    const local = localTime(new Date(at), zone)
    if (local.date === done || local.minute < wanted) continue
    done = local.date
    if (at > from.getTime()) found.push(new Date(at))
  }
  return found
}

/** One firing an occurrence, on its local date, and none that is no occurrence. */
const oneFiring: Checker = async ({ databases: { notifications } }) =>
  (await firingsOf(notifications)).flatMap(({ schedule_id, zone, cron, created_at, fired }) => {
    const last = fired.at(-1)
    if (last === undefined) return []
    const real = new Set(dailyOccurrences(cron, zone, created_at, new Date(last.at)).map(Number))
    const invented = fired.filter(({ at }) => !real.has(Date.parse(at)))
    const dates = new Set(fired.map(({ date }) => date))
    const problems = invented.map(({ at }) => `${schedule_id} in ${zone} fired at ${at}, no occurrence of ${cron}`)
    if (dates.size < fired.length) problems.push(`${schedule_id} in ${zone} fired twice on one date`)
    return problems
  })

/** What was missed follows the policy: all of it, the last of it, or nothing that is late. */
const policyFollowed: Checker = async ({ databases: { notifications } }) =>
  (await firingsOf(notifications)).flatMap(({ schedule_id, zone, cron, catch_up, created_at, next_at, fired }) => {
    const problems: string[] = []
    const made = new Set(fired.map(({ at }) => Date.parse(at)))
    if (catch_up === 'all' && next_at !== null) {
      const due = dailyOccurrences(cron, zone, created_at, new Date(next_at.getTime() - MINUTE_MS))
      for (const at of due) if (!made.has(at.getTime())) problems.push(`${at.toISOString()} was left out`)
    }
    const byVisit = Map.groupBy(fired, ({ made: at }) => at)
    for (const [visit, firings] of byVisit) {
      if (catch_up !== 'all' && firings.length > 1) problems.push(`${firings.length} fired at once at ${visit}`)
      const late = firings.filter(({ at }) => Date.parse(visit) - Date.parse(at) > IN_TIME_MS)
      if (catch_up === 'skip' && late.length > 0) problems.push(`${late[0]?.at} fired late, at ${visit}`)
    }
    return problems.map((problem) => `${schedule_id} in ${zone} (${catch_up}): ${problem}`)
  })

/** The local date that a firing names is the date of its moment in its zone, and its local time is the schedule's or the gap's end. */
const edgesFollowed: Checker = async ({ databases: { notifications } }) =>
  (await firingsOf(notifications)).flatMap(({ schedule_id, zone, cron, fired }) =>
    fired.flatMap(({ at, date }) => {
      const local = localTime(new Date(at), zone)
      const before = localTime(new Date(Date.parse(at) - MINUTE_MS), zone)
      const [minute = 0, hour = 0] = cron.split(' ').slice(0, 2).map(Number)
      const wanted = hour * 60 + minute
      const isTime = local.minute === wanted
      const isGapEnd = local.minute > wanted && (before.date !== local.date || before.minute < wanted)
      return local.date === date && (isTime || isGapEnd)
        ? []
        : [`${schedule_id} fired at ${at}, which is minute ${local.minute} of ${local.date} in ${zone}, for ${date}`]
    }),
  )

/** Of daily schedules, whose occurrences can be counted without our own code. */
export const scheduleCheckers: Checkers = {
  C1: oneFiring,
  C2: policyFollowed,
  C3: edgesFollowed,
}
