import type { SendMailOptions } from 'nodemailer'
import addressParser from 'nodemailer/lib/addressparser'
import { isMailAddress, singleLine } from './address.ts'
import type { Rendered } from './templates.ts'

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

/** The same for every attempt, so that a receiver that saw one can tell that another is the same mail (RFC 5322). */
export function messageIdOf(mailId: string, sender: Sender): string {
  return `<${mailId}@${sender.domain}>`
}

/** How a mailbox's own button takes somebody off a list: a POST to this URL, without any page (RFC 8058). */
function oneClickHeaders(url: string) {
  // Prepared: a line break inside the URL, which folding would make, breaks it for some clients.
  return {
    'List-Unsubscribe': { prepared: true, value: `<${url}>` },
    'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click',
  }
}

/**
 * A mail to one address. Its display name is left out: it is text that a stranger may have chosen when registering
 * somebody else's address.
 *
 * @throws {Error} when the address is one that could break out of its header.
 */
export function messageOf(
  mailId: string,
  to: string,
  rendered: Rendered,
  sender: Sender,
  now: Date,
  unsubscribeUrl?: string,
): SendMailOptions {
  if (!isMailAddress(to)) throw new Error('The address is not one a mail can be sent to')
  return {
    messageId: messageIdOf(mailId, sender),
    from: { name: sender.name, address: sender.address },
    to: { name: '', address: to },
    envelope: { from: sender.address, to: [to] },
    date: now,
    subject: rendered.subject,
    text: rendered.text,
    html: rendered.html,
    textEncoding: 'quoted-printable',
    // RFC 3834: no vacation answers. List-Unsubscribe comes only with kinds that people can refuse.
    headers: {
      'Auto-Submitted': 'auto-generated',
      'Content-Language': rendered.language,
      ...(unsubscribeUrl === undefined ? {} : oneClickHeaders(unsubscribeUrl)),
    },
    disableFileAccess: true,
    disableUrlAccess: true,
  }
}
