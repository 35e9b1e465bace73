const QUOTE = '"'

const NOT_CLOSED = 'A quotation mark is not closed.'

/** What stands in a record: its fields, or what is wrong with it. */
export type Fields = readonly string[] | { readonly wrong: string }

/**
 * What ends a field: the first in the header that may. Where a comma belongs to numbers spreadsheets write semicolons, and some programs
 * write tabs. No name of a column has any of them.
 */
function delimiterOf(header: string): string {
  return /[,;\t]/.exec(header)?.[0] ?? ','
}

/** Reads a record without its line end (RFC 4180, but for the delimiter); `open` when a quoted field goes on in the next line. */
function parseRecord(text: string, delimiter: string): Fields | 'open' {
  const fields: string[] = []
  for (let at = 0; ; at += 1) {
    if (text[at] === QUOTE) {
      let field = ''
      let from = at + 1
      let end = text.indexOf(QUOTE, from)
      while (end !== -1 && text[end + 1] === QUOTE) {
        field += text.slice(from, end + 1)
        from = end + 2
        end = text.indexOf(QUOTE, from)
      }
      if (end === -1) return 'open'
      fields.push(field + text.slice(from, end))
      at = end + 1
      if (at < text.length && text[at] !== delimiter)
        return { wrong: 'After a closing quotation mark the field must end.' }
    } else {
      const next = text.indexOf(delimiter, at)
      const end = next === -1 ? text.length : next
      const field = text.slice(at, end)
      if (field.includes(QUOTE)) return { wrong: 'A field with a quotation mark in it must be quoted.' }
      fields.push(field)
      at = end
    }
    if (at >= text.length) return fields
  }
}

export function formatRecord(fields: readonly string[]): string {
  const written = fields.map((field) =>
    /[",\r\n]/.test(field) ? `${QUOTE}${field.replaceAll(QUOTE, QUOTE + QUOTE)}${QUOTE}` : field,
  )
  return `${written.join(',')}\r\n`
}

/** A line without its line feed, or why there is none. */
export interface CsvLine {
  readonly number: number
  readonly text: string | { readonly wrong: string }
}

/** `line` is where it begins, counted from 1. */
export interface CsvRecord {
  readonly line: number
  readonly fields: Fields
}

interface HeldLine {
  readonly number: number
  readonly text: string
}

/**
 * Puts the lines of a file together to records. A quotation mark that somebody forgot costs the line it stands in and no other: when what
 * it opened turns out to be no record, the lines after that one are read again, each by itself. One record is held at most.
 */
export class CsvRecords {
  readonly #lengthMax: number
  /** The lines since the quotation mark that is open. */
  #held: HeldLine[] = []
  #length = 0
  #delimiter = ','

  constructor(lengthMax: number) {
    this.#lengthMax = lengthMax
  }

  /** The records that this line completes. */
  *add({ number, text }: CsvLine): Generator<CsvRecord> {
    if (typeof text === 'string') {
      if (number === 1) this.#delimiter = delimiterOf(text)
      yield* this.#read([{ number, text }])
      return
    }
    yield* this.end()
    yield { line: number, fields: text }
  }

  /** No line follows that could close what is open. */
  *end(): Generator<CsvRecord> {
    for (let [first, ...rest] = this.#release(); first !== undefined; [first, ...rest] = this.#release()) {
      yield { line: first.number, fields: { wrong: NOT_CLOSED } }
      yield* this.#read(rest)
    }
  }

  *#read(lines: readonly HeldLine[]): Generator<CsvRecord> {
    const waiting = lines.toReversed()
    for (let line = waiting.pop(); line !== undefined; line = waiting.pop()) {
      const fields = this.#hold(line)
      if (fields === undefined) continue
      const [first = line, ...rest] = this.#release()
      const isForgotten = 'wrong' in fields && rest.length > 0
      yield { line: first.number, fields: isForgotten ? { wrong: NOT_CLOSED } : fields }
      if (isForgotten) for (const again of rest.toReversed()) waiting.push(again)
    }
  }

  /** What is held with this line, unless a quotation mark is open. */
  #hold(line: HeldLine): Fields | undefined {
    // Where one is open an even number of them closes nothing, so that no text is looked at for each of its lines.
    const mayEnd = this.#held.length === 0 || line.text.split(QUOTE).length % 2 === 0
    this.#held.push(line)
    this.#length += line.text.length + 1
    if (this.#length > this.#lengthMax) return { wrong: NOT_CLOSED }
    const record = mayEnd ? parseRecord(this.#text(), this.#delimiter) : 'open'
    return record === 'open' ? undefined : record
  }

  #text(): string {
    return this.#held
      .map(({ text }) => text)
      .join('\n')
      .replace(/\r$/, '')
  }

  #release(): HeldLine[] {
    const held = this.#held
    this.#held = []
    this.#length = 0
    return held
  }
}
