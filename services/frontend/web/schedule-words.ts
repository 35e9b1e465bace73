/** What a page says of a time that comes again; the lists and names in it are made by `Intl`. */
export interface RhythmTexts {
  readonly everyDay: string
  readonly everyWeekday: (weekdays: string) => string
  readonly onDays: (days: string) => string
  readonly inMonths: (months: string) => string
  readonly or: (first: string, second: string) => string
  readonly at: (when: string, time: string) => string
}

const weekdays = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'] as const
const months = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'] as const
const DAY_MS = 86_400_000
// The fourth of January 1970 was a Sunday.
const SUNDAY_MS = 3 * DAY_MS

/**
 * A cron expression of five fields, of which the first two are a time of day, in words: “Every Monday and Friday at 07:00”.
 * Undefined when it says more than these words can; then it has to speak for itself.
 */
export function rhythmInWords(cron: string, locale: string, texts: RhythmTexts): string | undefined {
  const [minute, hour, day, month, weekday, ...rest] = cron.trim().split(/\s+/)
  if (weekday === undefined || rest.length > 0) return undefined
  const [inHour, inDay, inMonth, inYear, inWeek] = [
    valuesOf(minute, 0, 59),
    valuesOf(hour, 0, 23),
    valuesOf(day, 1, 31),
    valuesOf(month, 1, 12, months),
    valuesOf(weekday, 0, 7, weekdays, 0),
  ]
  if (inHour?.length !== 1 || inDay?.length !== 1 || !inMonth || !inYear || !inWeek) return undefined
  const list = new Intl.ListFormat(locale)
  const dayNames = [...new Set(inWeek.map((value) => value % 7))].toSorted((a, b) => ((a + 6) % 7) - ((b + 6) % 7))
  const hasWeekdays = dayNames.length < 7
  const hasDays = inMonth.length < 31
  const name = (ms: number, style: Intl.DateTimeFormatOptions): string =>
    new Intl.DateTimeFormat(locale, { ...style, timeZone: 'UTC' }).format(ms)
  const onWeekdays = texts.everyWeekday(
    list.format(dayNames.map((value) => name(SUNDAY_MS + value * DAY_MS, { weekday: 'long' }))),
  )
  const onDays = texts.onDays(list.format(inMonth.map(String)))
  const inMonths = texts.inMonths(
    list.format(inYear.map((value) => name(Date.UTC(1970, value - 1), { month: 'long' }))),
  )
  // Where both are given, cron takes either.
  const days = hasDays && hasWeekdays ? texts.or(onDays, onWeekdays) : hasDays ? onDays : onWeekdays
  const when = hasDays || hasWeekdays ? days : texts.everyDay
  const time = name(((inDay[0] ?? 0) * 60 + (inHour[0] ?? 0)) * 60_000, { timeStyle: 'short' })
  return texts.at(inYear.length < 12 ? `${when} ${inMonths}` : when, time)
}

/** The values a field stands for, in order; undefined for what is no list of numbers, names, ranges and steps. */
function valuesOf(
  field = '',
  min: number,
  max: number,
  names: readonly string[] = [],
  firstName = 1,
): number[] | undefined {
  const values = new Set<number>()
  for (const item of field.split(',')) {
    const match = /^(?:\*|(\w+)(?:-(\w+))?)(?:\/(\d+))?$/.exec(item)
    if (match === null) return undefined
    const [, from, to, step] = match
    const numberOf = (text: string): number => {
      const index = names.indexOf(text.toUpperCase())
      return index === -1 ? Number(text) : index + firstName
    }
    const first = from === undefined ? min : numberOf(from)
    const open = from === undefined || (to === undefined && step !== undefined)
    const last = open ? max : numberOf(to ?? from)
    const by = Number(step ?? 1)
    if (!(first >= min && last <= max && first <= last && by >= 1)) return undefined
    for (let value = first; value <= last; value += by) values.add(value)
  }
  return [...values].toSorted((a, b) => a - b)
}
