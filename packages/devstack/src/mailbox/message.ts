import type { AddressObject, Attachment, ParsedMail } from 'mailparser'

/** The field names are Mailpit's, so that a test reads either mailbox alike. */
export interface Address {
  readonly Name: string
  readonly Address: string
}

export interface MessageSummary {
  readonly ID: string
  readonly MessageID: string
  Read: boolean
  readonly From: Address
  readonly To: readonly Address[]
  readonly Cc: readonly Address[]
  readonly Bcc: readonly Address[]
  readonly ReplyTo: readonly Address[]
  readonly Subject: string
  readonly Created: string
  readonly Tags: readonly string[]
  readonly Size: number
  readonly Attachments: number
  readonly Snippet: string
}

export interface StoredMessage {
  readonly summary: MessageSummary
  readonly parsed: ParsedMail
  readonly raw: Buffer
  readonly returnPath: string
}

/** One mail in full, as Mailpit's `/api/v1/message/{id}` answers it. */
export function fullMessage({ summary, parsed, returnPath }: StoredMessage): object {
  const { Read: _read, Created, Snippet: _snippet, ...common } = summary
  return {
    ...common,
    ReturnPath: returnPath,
    ListUnsubscribe: unsubscription(parsed),
    Date: (parsed.date ?? new Date(Created)).toISOString(),
    Text: parsed.text ?? '',
    HTML: parsed.html === false ? '' : parsed.html,
    Inline: parsed.attachments.filter(({ related }) => related).map(describeAttachment),
    Attachments: parsed.attachments.filter(({ related }) => !related).map(describeAttachment),
  }
}

/** Every header with all its values, in canonical case as Mailpit writes them. */
export function headersOf({ parsed }: StoredMessage): Record<string, string[]> {
  const headers: Record<string, string[]> = {}
  for (const { key, line } of parsed.headerLines) {
    const name = key.replaceAll(/(^|-)[a-z]/g, (letter) => letter.toUpperCase())
    const value = line.slice(line.indexOf(':') + 1).replaceAll(/\r?\n[ \t]+/g, ' ')
    ;(headers[name] ??= []).push(value.trim())
  }
  return headers
}

/**
 * Whether a message matches Mailpit's search words: `from:`, `to:`, `cc:`, `bcc:`, `addressed:`, `subject:`, `message-id:`,
 * `is:read`, `is:unread`, plain words and "quoted ones"; `-` or `!` in front negates.
 */
export function matchesSearch(message: StoredMessage, query: string): boolean {
  const words = query.match(/[!-]?(?:[a-z-]+:)?(?:"[^"]*"|\S+)/gi) ?? []
  return words.every((word) => {
    const negated = /^[!-]/.test(word)
    return matchesWord(message, word.slice(negated ? 1 : 0)) !== negated
  })
}

function matchesWord({ summary, parsed }: StoredMessage, word: string): boolean {
  const [, prefix = '', rest = ''] = /^(?:([a-z-]+):)?(.*)$/is.exec(word) ?? []
  const wanted = rest.replaceAll('"', '').toLowerCase()
  const inAddresses = (...lists: (readonly Address[])[]): boolean =>
    lists.flat().some(({ Name, Address }) => `${Name} <${Address}>`.toLowerCase().includes(wanted))
  const inText = (...texts: string[]): boolean => texts.some((text) => text.toLowerCase().includes(wanted))
  switch (prefix.toLowerCase()) {
    case 'from':
      return inAddresses([summary.From])
    case 'to':
      return inAddresses(summary.To)
    case 'cc':
      return inAddresses(summary.Cc)
    case 'bcc':
      return inAddresses(summary.Bcc)
    case 'addressed':
      return inAddresses([summary.From], summary.To, summary.Cc, summary.Bcc, summary.ReplyTo)
    case 'subject':
      return inText(summary.Subject)
    case 'message-id':
      return inText(summary.MessageID)
    case 'is':
      return wanted === 'read' ? summary.Read : wanted === 'unread' && !summary.Read
    case '':
      return (
        inText(summary.Subject, parsed.text ?? '') ||
        inAddresses([summary.From], summary.To, summary.Cc, summary.Bcc, summary.ReplyTo)
      )
    default:
      return false
  }
}

export function addressesOf(field: AddressObject | AddressObject[] | undefined): Address[] {
  return [field ?? []]
    .flat()
    .flatMap(({ value }) => value)
    .flatMap((entry) => entry.group ?? [entry])
    .map(({ name, address }) => ({ Name: name, Address: address ?? '' }))
}

function unsubscription(parsed: ParsedMail): object {
  const lineOf = (name: string): string =>
    parsed.headerLines.find(({ key }) => key === name)?.line.replace(/^[^:]*:\s*/, '') ?? ''
  const header = lineOf('list-unsubscribe')
  return {
    Header: header,
    HeaderPost: lineOf('list-unsubscribe-post'),
    Links: [...header.matchAll(/<([^>]+)>/g)].map((match) => match[1]),
    Errors: '',
  }
}

function describeAttachment({ cid, checksum, contentType, filename, size }: Attachment): object {
  return { PartID: checksum, FileName: filename ?? '', ContentType: contentType, ContentID: cid ?? '', Size: size }
}
