import { types } from 'pg'

const INT8 = 20
const DATE = 1082
const TIMESTAMPTZ = 1184
const INT8_ARRAY = 1016
const DATE_ARRAY = 1182
const TEXT_ARRAY = 1009

type Parse = (text: string) => unknown

/** The driver's own parsers; its types name only the column types that it knows. */
const parserOf = types.getTypeParser as (id: number, format: 'text' | 'binary') => Parse

/**
 * How column values become JavaScript. `bigint` becomes a number: versions, counts and minor units stay far below
 * 2^53. `date` stays text, because a day without a time zone is not a Date.
 */
export function typeParsers(id: number, format: 'text' | 'binary' = 'text'): Parse {
  if (format === 'binary') return parserOf(id, 'binary')
  if (id === INT8) return Number
  if (id === DATE) return (text) => text
  if (id === TIMESTAMPTZ) return parseTime
  if (id === DATE_ARRAY) return parserOf(TEXT_ARRAY, 'text')
  if (id === INT8_ARRAY) return parseNumbers
  return parserOf(id, 'text')
}

function parseNumbers(text: string): (number | null)[] {
  const items = parserOf(INT8_ARRAY, 'text')(text) as (string | null)[]
  return items.map((item) => (item === null ? null : Number(item)))
}

const parseAnyTime = parserOf(TIMESTAMPTZ, 'text')
/** `2026-11-23 05:42:29.123456+00`: in UTC, and after the year 1000, because JavaScript takes 0044 for 2044. */
const TIME_LENGTH_MIN = 22
const TIME_LENGTH_MAX = 29

/** A time as Postgres writes it in a session in UTC is one that JavaScript reads by itself, in less than half the time. */
function parseTime(text: string): unknown {
  const isPlain =
    text.length >= TIME_LENGTH_MIN &&
    text.length <= TIME_LENGTH_MAX &&
    text >= '1' &&
    text[10] === ' ' &&
    text.endsWith('+00')
  return isPlain ? new Date(text) : parseAnyTime(text)
}
