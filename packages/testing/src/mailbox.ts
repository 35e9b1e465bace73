import { join } from 'node:path'
import { startMailbox, type MailboxServer } from '@saas/devstack'
import { eventually, type EventuallyOptions } from './eventually.ts'
import { newDirectory } from './servers.ts'

/** A mail as it arrived. */
interface Mail {
  readonly id: string
  readonly messageId: string
  readonly from: string
  readonly to: readonly string[]
  readonly subject: string
  readonly text: string
  readonly html: string
}

/** The mails of a mailbox that answers Mailpit's API. */
export interface MailReader {
  /** Every mail to this address, the oldest first; without an address, every mail. */
  mails(to?: string): Promise<Mail[]>
  /** Waits for a mail to this address that fits. */
  waitForMail(to: string, fits?: (mail: Mail) => boolean, options?: EventuallyOptions): Promise<Mail>
}

/** An SMTP server that keeps every mail. */
export interface TestMailbox extends MailReader, AsyncDisposable {
  readonly child: MailboxServer['child']
  readonly smtpUrl: string
  readonly httpUrl: string
  /** Refuses every recipient with this SMTP code from now on; `undefined` accepts again. */
  refuseRecipients(code: number | undefined): Promise<void>
}

interface Address {
  readonly Address: string
}

/** Starts a mailbox of this test's own. */
export async function testMailbox(): Promise<TestMailbox> {
  const server = await startMailbox({ logFile: join(newDirectory('mailbox'), 'mailbox.log') })
  return {
    ...readMailsAt(server.httpUrl),
    child: server.child,
    smtpUrl: server.smtpUrl,
    httpUrl: server.httpUrl,
    refuseRecipients: async (code) => {
      const body = JSON.stringify(code === undefined ? {} : { Recipient: { ErrorCode: code, Probability: 100 } })
      const answer = await fetch(`${server.httpUrl}/api/v1/chaos`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body,
      })
      if (!answer.ok) throw new Error(`The mailbox answered ${answer.status}`)
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

/** Reads the mails of a mailbox that runs already, whoever started it. */
export function readMailsAt(httpUrl: string): MailReader {
  const mails = async (to?: string): Promise<Mail[]> => {
    const listing = await get<{ messages: { ID: string; To: Address[] }[] }>(httpUrl, '/api/v1/messages?limit=1000')
    const wanted = listing.messages.filter(({ To }) => to === undefined || To.some(({ Address }) => Address === to))
    const found = await Promise.all(wanted.map(({ ID }) => readMail(httpUrl, ID)))
    return found.toReversed()
  }
  return {
    mails,
    waitForMail: async (to, fits = () => true, options) =>
      await eventually(async () => {
        const found = await mails(to)
        const mail = found.find((candidate) => fits(candidate))
        if (mail === undefined)
          throw new Error(`No such mail to ${to} among: ${found.map(({ subject }) => subject).join('; ')}`)
        return mail
      }, options),
  }
}

async function readMail(httpUrl: string, id: string): Promise<Mail> {
  const full = await get<{
    ID: string
    MessageID: string
    From: Address
    To: Address[]
    Subject: string
    Text: string
    HTML: string
  }>(httpUrl, `/api/v1/message/${id}`)
  return {
    id: full.ID,
    messageId: full.MessageID,
    from: full.From.Address,
    to: full.To.map(({ Address }) => Address),
    subject: full.Subject,
    text: full.Text,
    html: full.HTML,
  }
}

async function get<T>(httpUrl: string, path: string): Promise<T> {
  const answer = await fetch(httpUrl + path)
  if (!answer.ok) throw new Error(`The mailbox answered ${answer.status} to ${path}`)
  return (await answer.json()) as T
}
