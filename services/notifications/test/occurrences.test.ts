import { describe, expect, test } from 'vitest'
import { catchUp, localDate, nextOccurrence, timingErrors } from '../src/occurrences.ts'

const HOUR_MS = 3_600_000
const now = new Date('2026-01-15T12:00:00.000Z')

/**
 * What happens around each edge, in UTC. In a gap of local time a schedule fires at its end; of a time that comes twice, at
 * the first; and never twice on one local date.
 */
const edges: readonly [zone: string, what: string, cron: string, after: string, occurrences: readonly string[]][] = [
  ['Europe/Berlin', 'gap', '30 2 * * *', '2026-03-28T00:00Z', ['28T01:30', '29T01:00', '30T00:30']],
  ['Europe/Berlin', 'fold', '30 2 * * *', '2026-10-24T00:00Z', ['24T00:30', '25T00:30', '26T01:30']],
  ['America/New_York', 'gap', '30 2 * * *', '2026-03-07T00:00Z', ['07T07:30', '08T07:00', '09T06:30']],
  ['America/New_York', 'fold', '30 1 * * *', '2026-10-31T00:00Z', ['31T05:30', '01T05:30', '02T06:30']],
  ['Australia/Sydney', 'gap', '30 2 * * *', '2026-10-02T20:00Z', ['03T16:00', '04T15:30', '05T15:30']],
  ['Australia/Sydney', 'fold', '30 2 * * *', '2026-04-03T20:00Z', ['04T15:30', '05T16:30', '06T16:30']],
  ['America/Santiago', 'gap at midnight', '0 0 * * *', '2026-09-04T20:00Z', ['05T04:00', '06T04:00', '07T03:00']],
  ['America/Santiago', 'fold at midnight', '30 23 * * *', '2026-04-03T20:00Z', ['04T02:30', '05T02:30', '06T03:30']],
  ['Asia/Beirut', 'gap at midnight', '0 0 * * *', '2026-03-27T20:00Z', ['27T22:00', '28T22:00', '29T21:00']],
  ['Asia/Beirut', 'fold at midnight', '30 23 * * *', '2026-10-23T00:00Z', ['23T20:30', '24T20:30', '25T21:30']],
  ['Australia/Lord_Howe', 'gap of half an hour', '15 2 * * *', '2026-10-02T20:00Z', ['03T15:30', '04T15:15']],
  ['Australia/Lord_Howe', 'fold of half an hour', '45 1 * * *', '2026-04-03T20:00Z', ['04T14:45', '05T15:15']],
  ['Pacific/Apia', 'a day that never was', '30 12 * * *', '2011-12-28T20:00Z', ['28T22:30', '29T22:30', '30T22:30']],
]

describe('daylight-saving edges follow the pinned table', () => {
  test.each(edges)('%s, %s', (zone, _, cron, after, expected) => {
    const occurrences: Date[] = []
    let next: Date | undefined = new Date(after)
    for (let count = 0; count < expected.length; count += 1) {
      next = nextOccurrence({ cron, at: undefined }, zone, next ?? now)
      occurrences.push(next ?? new Date(0))
    }
    expect(occurrences.map((at) => at.toISOString().slice(8, 16))).toEqual(expected)
    const dates = occurrences.map((at) => localDate(at, zone))
    expect(new Set(dates).size).toBe(dates.length)
  })

  test('one that fires once in a gap fires after it, and in a fold the first time', () => {
    const at = (local: string): string | undefined =>
      nextOccurrence({ cron: undefined, at: local }, 'Europe/Berlin', now)?.toISOString()
    expect(at('2026-03-29T02:30')).toBe('2026-03-29T01:30:00.000Z')
    expect(at('2026-10-25T02:30')).toBe('2026-10-25T00:30:00.000Z')
  })

  test('a year of every zone has one occurrence a local date, at every time of day', () => {
    const zones = [...new Set(edges.map(([zone]) => zone))]
    for (const zone of zones) {
      for (const cron of ['0 0 * * *', '15 2 * * *', '30 23 * * *']) {
        const dates = new Set<string>()
        let next: Date | undefined = now
        for (let count = 0; count < 365 && next !== undefined; count += 1) {
          next = nextOccurrence({ cron, at: undefined }, zone, next)
          if (next !== undefined) dates.add(localDate(next, zone))
        }
        expect(dates.size, `${zone} ${cron}`).toBe(365)
      }
    }
  })
})

describe('after an outage', () => {
  const daily = { cron: '0 7 * * *', at: undefined, zone: 'UTC' }
  const first = new Date('2026-01-01T07:00:00.000Z')
  const after = (
    hours: number,
    policy: 'once' | 'all' | 'skip',
  ): { fire: number; last: string | undefined; next: string } => {
    const { fire, next } = catchUp(daily, policy, 'UTC', first, new Date(first.getTime() + hours * HOUR_MS))
    return { fire: fire.length, last: fire.at(-1)?.toISOString(), next: next?.toISOString() ?? '' }
  }

  test('`once` fires the last that was missed', () => {
    expect(after(75, 'once')).toEqual({ fire: 1, last: '2026-01-04T07:00:00.000Z', next: '2026-01-05T07:00:00.000Z' })
  })

  test('`all` fires each that was missed, a hundred at most', () => {
    expect(after(75, 'all')).toEqual({ fire: 4, last: '2026-01-04T07:00:00.000Z', next: '2026-01-05T07:00:00.000Z' })
    expect(after(24 * 365, 'all')).toMatchObject({ fire: 100, next: '2027-01-02T07:00:00.000Z' })
  })

  test('`skip` fires none that is late, and one that is in time', () => {
    expect(after(75, 'skip')).toMatchObject({ fire: 0, next: '2026-01-05T07:00:00.000Z' })
    expect(after(72 + 0.1, 'skip')).toMatchObject({ fire: 1, last: '2026-01-04T07:00:00.000Z' })
  })
})

describe('times that cannot be are refused with the reason', () => {
  test.each([
    [{ cron: '0 0 30 2 *' }, '/cron', 'never occurs'],
    [{ cron: '61 0 * * *' }, '/cron', 'five fields'],
    [{ cron: '0 8,20 * * *' }, '/cron', 'more than once on a day'],
    [{ at: '2026-02-30T08:00' }, '/at', 'exist'],
    [{ at: '2026-13-01T08:00' }, '/at', 'exist'],
    [{ at: '2026-01-15T11:59', zone: 'UTC' }, '/at', 'passed'],
    [{ at: '2026-01-15T20:00' }, '/at', 'where some users'],
    [{ cron: '0 8 * * *', zone: 'Mars/Olympus' }, '/zone', 'IANA'],
    [{ cron: '0 8 * * *', at: '2026-06-01T08:00' }, '/cron', 'not both'],
    [{}, '/cron', 'either'],
  ])('%o', (timing, pointer, detail) => {
    const [error] = timingErrors({ cron: undefined, at: undefined, zone: undefined, ...timing }, now)
    expect(error).toMatchObject({ pointer, detail: expect.stringContaining(detail) })
  })

  test('and those that can be are not', () => {
    const none = { cron: undefined, at: undefined, zone: undefined }
    expect(timingErrors({ ...none, cron: '0 9 * * 5' }, now)).toEqual([])
    expect(timingErrors({ ...none, at: '2026-01-16T08:00' }, now)).toEqual([])
    expect(timingErrors({ ...none, cron: '0 0 29 2 *', zone: 'Asia/Kolkata' }, now)).toEqual([])
  })
})
