import { randomUUIDv7 } from 'node:crypto'

/** Where the time ends and the 12 bits that we count in begin: `tttttttt-tttt-7ccc-…`. */
const TIME_END = 13
const COUNT_START = 15
const COUNT_END = 18
/** A millisecond's first count leaves room for as many as there can be in it. */
const COUNT_HALF = 0x800
const COUNT_MAX = 0xfff

let newest = ''

/**
 * A new id: a UUID of version 7 (RFC 9562), higher than all that this process made before, so that what is made later is
 * sorted later (section 6.2, method 1).
 *
 * Node's own generator, which it starts from, takes 0.5 µs and the one of the package `uuid` 7 µs; an order needs five ids.
 */
export function newId(): string {
  const id = randomUUIDv7()
  if (id.slice(0, TIME_END) > newest.slice(0, TIME_END)) {
    const count = Number.parseInt(id.slice(COUNT_START, COUNT_END), 16) % COUNT_HALF
    newest = withCount(id, count, id)
    return newest
  }
  // The same millisecond, or a clock that was set back: counting goes on where it was.
  const count = Number.parseInt(newest.slice(COUNT_START, COUNT_END), 16) + 1
  newest = count > COUNT_MAX ? withCount(nextMillisecond(newest), 0, id) : withCount(newest, count, id)
  return newest
}

/** The time of the first, the count, and what is random of the second. */
function withCount(time: string, count: number, random: string): string {
  return `${time.slice(0, COUNT_START)}${count.toString(16).padStart(3, '0')}${random.slice(COUNT_END)}`
}

function nextMillisecond(id: string): string {
  const next = (Number.parseInt(id.slice(0, TIME_END).replace('-', ''), 16) + 1).toString(16).padStart(12, '0')
  return `${next.slice(0, 8)}-${next.slice(8)}-7`
}
