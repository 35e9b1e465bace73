const QUOTE = '"'

/** What stands in a record: its fields, or what is wrong with it; `open` when a quoted field goes on in the next line. */
export type ParsedRecord = readonly string[] | { readonly wrong: string } | 'open'

/** Reads a record without its line end (RFC 4180). */
export function parseRecord(text: string): ParsedRecord {
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
      if (at < text.length && text[at] !== ',')
        return { wrong: 'After a closing quotation mark there must be a comma.' }
    } else {
      const comma = text.indexOf(',', at)
      const end = comma === -1 ? text.length : comma
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
