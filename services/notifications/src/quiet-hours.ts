import { nextOccurrence } from './occurrences.ts'

const HOURS = /^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)$/
const MINUTE_MS = 60_000
const DAY_MINUTES = 24 * 60
/** By how much clocks are moved at most, twice over. */
const CLOCK_CHANGE_MINUTES = 4 * 60

/** Local times between which nobody is mailed what can wait, in minutes after midnight. */
export interface QuietHours {
  readonly beginsMinutes: number
  readonly endsMinutes: number
}

/** Reads `22:00-07:00`; `off` is undefined. @throws {Error} for anything else. */
export function parseQuietHours(text: string): QuietHours | undefined {
  if (text === 'off') return undefined
  const numbers = HOURS.exec(text)?.slice(1).map(Number)
  const [beginHour = 0, beginMinute = 0, endHour = 0, endMinute = 0] = numbers ?? []
  const hours = { beginsMinutes: beginHour * 60 + beginMinute, endsMinutes: endHour * 60 + endMinute }
  if (numbers === undefined || hours.beginsMinutes === hours.endsMinutes) {
    throw new Error('QUIET_HOURS must be two different local times, such as 22:00-07:00, or off')
  }
  return hours
}

/** Until when a mail that can wait is held back in this zone; undefined when it may go now. */
export function quietUntil(hours: QuietHours | undefined, zone: string | undefined, now: Date): Date | undefined {
  if (hours === undefined) return undefined
  const { beginsMinutes, endsMinutes } = hours
  const known = zone ?? 'UTC'
  const minutes = localMinutes(now, known)
  const isQuiet =
    beginsMinutes < endsMinutes
      ? minutes >= beginsMinutes && minutes < endsMinutes
      : minutes >= beginsMinutes || minutes < endsMinutes
  if (!isQuiet) return undefined
  const cron = `${endsMinutes % 60} ${Math.floor(endsMinutes / 60)} * * *`
  const end = nextOccurrence({ cron, at: undefined }, known, now)
  if (end === undefined) return undefined
  // Where clocks were just set back, an hour after the end is before the end again; it is not held back for a day.
  const leftMinutes = (endsMinutes - minutes + DAY_MINUTES) % DAY_MINUTES
  return (end.getTime() - now.getTime()) / MINUTE_MS > leftMinutes + CLOCK_CHANGE_MINUTES ? undefined : end
}

const formats = new Map<string, Intl.DateTimeFormat>()

/** There are about 600 zones, so the formats kept are bounded; what the runtime does not know is UTC. */
function localMinutes(at: Date, zone: string): number {
  let format = formats.get(zone)
  if (format === undefined) {
    try {
      format = new Intl.DateTimeFormat('en', { timeZone: zone, hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
      formats.set(zone, format)
    } catch {
      return localMinutes(at, 'UTC')
    }
  }
  const [hour = 0, minute = 0] = format.format(at).split(':').map(Number)
  return hour * 60 + minute
}
