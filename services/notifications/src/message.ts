import addressParser from 'nodemailer/lib/addressparser'
import MimeNode from 'nodemailer/lib/mime-node'
import { isMailAddress, singleLine } from './address.ts'
import { encodeText } from './quoted-printable.ts'
import type { Rendered } from './templates.ts'

const DOT_FIRST = Buffer.from('\r\n.')
// What needs neither encoding nor folding.
const PLAIN_ADDRESS = /^(?=.{1,70}$)[\w+-]+(?:\.[\w+-]+)*@[\da-z-]+(?:\.[\da-z-]+)*$/
const PLAIN_SUBJECT = /^[\w!#%&()*+,./:;?@-](?:[\w !#%&()*+,./:;?@-]{0,62}[\w!#%&()*+,./:;?@-])?$/

/** Who a mail is from. */
export interface Sender {
  readonly name: string
  readonly address: string
  /** The right side of every Message-ID. */
  readonly domain: string
}

/** Reads MAIL_FROM. @throws {Error} when it is not one address with an optional name. */
export function parseSender(mailFrom: string): Sender {
  const [parsed, ...others] = addressParser(singleLine(mailFrom), { flatten: true })
  if (parsed === undefined || others.length > 0 || !isMailAddress(parsed.address)) {
    throw new Error('MAIL_FROM must be one address, such as Shop <shop@example.com>')
  }
  const domain = parsed.address.slice(parsed.address.indexOf('@') + 1)
  return { name: parsed.name === '' ? domain : parsed.name, address: parsed.address, domain }
}

/** A mail as a mail server takes it. */
export interface Message {
  readonly envelope: { readonly from: string; readonly to: readonly string[] }
  /** Whole lines that end with CRLF, none of them with a dot at its beginning: it can go to a server as it is. */
  readonly raw: Buffer
}

/** The same for every attempt, so that a receiver that saw one can tell that another is the same mail (RFC 5322). */
export function messageIdOf(mailId: string, sender: Sender): string {
  return `<${mailId}@${sender.domain}>`
}

/** How a mailbox's own button takes somebody off a list: a POST to this URL, without any page (RFC 8058). */
function oneClickHeaders(url: string): string[] {
  // Not folded: a line break inside the URL breaks it for some clients.
  return [`List-Unsubscribe: <${url}>`, 'List-Unsubscribe-Post: List-Unsubscribe=One-Click']
}

/**
 * Makes mails of what was rendered, in HTML and in text. The display name of whom it goes to is left out: it is text that a
 * stranger may have chosen when registering somebody else's address.
 *
 * Nodemailer's composer and streams take 900 µs of CPU for a mail of 8 kB whose parts are encoded already; this takes 10.
 */
export class Composer {
  readonly #sender: Sender
  readonly #from: Header

  constructor(sender: Sender) {
    this.#sender = sender
    this.#from = headerOf('From', { name: sender.name, address: sender.address })
  }

  /** @throws {Error} when the address is one that could break out of its header. */
  compose(mailId: string, to: string, rendered: Rendered, now: Date, unsubscribeUrl?: string): Message {
    if (!isMailAddress(to)) throw new Error('The address is not one a mail can be sent to')
    const recipient = recipientHeader(to)
    const boundary = `part-${mailId}`
    const lines = [
      this.#from.line,
      recipient.line,
      subjectLine(rendered.subject),
      `Message-ID: ${messageIdOf(mailId, this.#sender)}`,
      `Date: ${now.toUTCString().replace('GMT', '+0000')}`,
      // RFC 3834: no vacation answers. List-Unsubscribe comes only with kinds that people can refuse.
      'Auto-Submitted: auto-generated',
      `Content-Language: ${rendered.language}`,
      ...(unsubscribeUrl === undefined ? [] : oneClickHeaders(unsubscribeUrl)),
      'MIME-Version: 1.0',
      `Content-Type: multipart/alternative; boundary="${boundary}"`,
      '',
    ]
    // The better part stands last (RFC 2046).
    for (const subtype of ['text', 'html'] as const) {
      lines.push(
        `--${boundary}`,
        `Content-Type: text/${subtype === 'text' ? 'plain' : subtype}; charset=utf-8`,
        'Content-Transfer-Encoding: quoted-printable',
        '',
        rendered.isEncoded === true ? rendered[subtype] : encodeText(rendered[subtype]),
      )
    }
    lines.push(`--${boundary}--`, '')
    const raw = Buffer.from(lines.join('\r\n'))
    if (raw.includes(DOT_FIRST))
      throw new Error('A line begins with a dot, at which a server could take the mail for ended')
    return { envelope: { from: this.#from.address, to: [recipient.address] }, raw }
  }
}

/** A header as it is sent and, of one with an address, that address as the server is told it. */
interface Header {
  readonly line: string
  readonly address: string
}

/** What is not plain ASCII is encoded by nodemailer: names, domains of other scripts, local parts that need SMTPUTF8. */
function headerOf(name: string, value: string | { name: string; address: string }): Header {
  const node = new MimeNode()
  node.setHeader(name, value)
  const [line = ''] = node.buildHeaders().split('\r\nDate: ', 1)
  const { from, to } = node.getEnvelope()
  return { line, address: to[0] ?? String(from) }
}

function recipientHeader(to: string): Header {
  return PLAIN_ADDRESS.test(to) ? { line: `To: ${to}`, address: to } : headerOf('To', { name: '', address: to })
}

function subjectLine(subject: string): string {
  return PLAIN_SUBJECT.test(subject) ? `Subject: ${subject}` : headerOf('Subject', subject).line
}
