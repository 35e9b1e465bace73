import { Cron } from 'croner'
import { CATCH_UP_MAX, type CatchUp, type FieldError } from '@saas/contracts'

/** Where it is latest that a local time comes, and where earliest. */
const LAST_ZONE = 'Etc/GMT+12'
const FIRST_ZONE = 'Pacific/Kiritimati'
const ZONE_OF_NOBODY = 'UTC'
/** Above any clock error and pause of a tick: what is no older than this is in time, whatever the policy. */
const IN_TIME_MS = 10 * 60_000
/** 27 years of a daily schedule; a loop needs an end. */
const MISSED_MAX = 10_000
/** How far the check for two occurrences on one date looks. */
const CHECKED_OCCURRENCES = 50

/** When a schedule occurs: exactly one of `cron` and `at`. */
export interface Timing {
  readonly cron: string | undefined
  /** Local date and time, `YYYY-MM-DDTHH:MM`. */
  readonly at: string | undefined
  /** Undefined: the zone of each user. */
  readonly zone: string | undefined
}

/**
 * The first occurrence after a moment, or undefined when there is none. In a gap of local time it is the end of the gap
 * (an `at` moves by the gap's length); of a time that comes twice it is the first.
 */
export function nextOccurrence({ cron, at }: Omit<Timing, 'zone'>, zone: string, after: Date): Date | undefined {
  const pattern = cron ?? (at === undefined ? undefined : `${at}:00`)
  if (pattern === undefined) return undefined
  return new Cron(pattern, { timezone: knownZone(zone) }).nextRun(after) ?? undefined
}

/** What is to fire now, oldest first, and when the next comes. */
export function catchUp(
  timing: Timing,
  policy: CatchUp,
  zone: string,
  nextAt: Date,
  now: Date,
): { fire: readonly Date[]; next: Date | undefined } {
  const missed: Date[] = []
  let next: Date | undefined = nextAt
  for (let steps = 0; next !== undefined && next <= now && steps < MISSED_MAX; steps += 1) {
    missed.push(next)
    if (missed.length > CATCH_UP_MAX) missed.shift()
    next = nextOccurrence(timing, zone, next)
  }
  if (policy === 'all') return { fire: missed, next }
  const last = missed.slice(-1)
  if (policy === 'once') return { fire: last, next }
  return { fire: last.filter((at) => now.getTime() - at.getTime() <= IN_TIME_MS), next }
}

/** `YYYY-MM-DD` of a moment in a zone. */
export function localDate(at: Date, zone: string): string {
  return dateFormatOf(zone).format(at)
}

const dateFormats = new Map<string, Intl.DateTimeFormat>()

/** Making one takes longer than everything else here. There are about 600 zones, so those kept are bounded. */
function dateFormatOf(zone: string): Intl.DateTimeFormat {
  const made = dateFormats.get(zone)
  if (made !== undefined) return made
  if (!isKnownZone(zone)) return dateFormatOf(ZONE_OF_NOBODY)
  const options = { timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit' } as const
  const format = new Intl.DateTimeFormat('en-CA', options)
  dateFormats.set(zone, format)
  return format
}

/** When one that fires once has been due everywhere; undefined for one that recurs. */
export function endOf(timing: Timing): Date | undefined {
  if (timing.at === undefined) return undefined
  return nextOccurrence(timing, timing.zone ?? LAST_ZONE, new Date(0))
}

/** What is wrong with the times of a schedule that is to be made now. */
export function timingErrors({ cron, at, zone }: Timing, now: Date): FieldError[] {
  if ((cron === undefined) === (at === undefined)) {
    return [{ pointer: '/cron', detail: 'either cron or at must be given, and not both' }]
  }
  if (zone !== undefined && !isKnownZone(zone)) {
    return [{ pointer: '/zone', detail: 'must be an IANA time zone, such as Europe/Berlin', code: 'unknown-zone' }]
  }
  if (cron === undefined) {
    const why = atError(at ?? '', zone, now)
    return why === undefined ? [] : [{ pointer: '/at', ...why }]
  }
  const detail = cronError(cron, now)
  return detail === undefined ? [] : [{ pointer: '/cron', detail }]
}

function atError(at: string, zone: string | undefined, now: Date): Omit<FieldError, 'pointer'> | undefined {
  // A date that does not exist would roll over into the next month.
  const written = new Date(`${at}:00.000Z`)
  if (Number.isNaN(written.getTime()) || !written.toISOString().startsWith(at)) {
    return { detail: 'must be a date and time that exist, such as 2026-12-24T08:00', code: 'wrong-form' }
  }
  if (nextOccurrence({ cron: undefined, at }, zone ?? FIRST_ZONE, now) !== undefined) return undefined
  return {
    detail: zone === undefined ? 'has passed already where some users may be' : 'has passed already',
    code: 'past',
  }
}

/** A mail's key is schedule, local date and user: what would occur twice on a date could not mail twice. */
function cronError(cron: string, now: Date): string | undefined {
  let next: Date | undefined = now
  let date = ''
  try {
    for (let count = 0; count < CHECKED_OCCURRENCES; count += 1) {
      next = nextOccurrence({ cron, at: undefined }, ZONE_OF_NOBODY, next)
      if (next === undefined) return count === 0 ? 'never occurs' : undefined
      const following = localDate(next, ZONE_OF_NOBODY)
      if (following === date) return 'must not occur more than once on a day'
      date = following
    }
  } catch {
    return 'must be five fields: minute, hour, day, month, weekday'
  }
  return undefined
}

/** A zone that the runtime does not know is UTC, as on every page and in every mail. */
function knownZone(zone: string): string {
  return isKnownZone(zone) ? zone : ZONE_OF_NOBODY
}

function isKnownZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}
