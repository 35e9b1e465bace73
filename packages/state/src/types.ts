import { types } from 'pg'

const INT8 = 20
const DATE = 1082
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
  if (id === DATE_ARRAY) return parserOf(TEXT_ARRAY, 'text')
  if (id === INT8_ARRAY) return parseNumbers
  return parserOf(id, 'text')
}

function parseNumbers(text: string): (number | null)[] {
  const items = parserOf(INT8_ARRAY, 'text')(text) as (string | null)[]
  return items.map((item) => (item === null ? null : Number(item)))
}
