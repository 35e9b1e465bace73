import { join } from 'node:path'
import { Child } from '../child.ts'
import { freePort } from '../ports.ts'
import type { ProgressStep } from '../progress.ts'

export interface MailboxOptions {
  readonly logFile: string
  /** Port of the web page and its API. */
  readonly port?: number
  readonly smtpPort?: number
  readonly step?: ProgressStep
}

/** A running mailbox: takes every mail by SMTP, shows them on a web page and through Mailpit's API. */
export interface MailboxServer extends AsyncDisposable {
  readonly child: Child
  readonly port: number
  readonly smtpUrl: string
  readonly httpUrl: string
}

/** Starts the mailbox. Mails live in its memory and end with it. */
export async function startMailbox(options: MailboxOptions): Promise<MailboxServer> {
  const port = options.port ?? (await freePort())
  const smtpPort = options.smtpPort ?? (await freePort())
  const httpUrl = `http://127.0.0.1:${port}`
  options.step?.update('starting')
  const child = await Child.start({
    name: 'mailbox',
    command: process.execPath,
    arguments: [join(import.meta.dirname, '../mailbox/main.ts')],
    environment: { MAILBOX_HTTP_PORT: String(port), MAILBOX_SMTP_PORT: String(smtpPort) },
    logFile: options.logFile,
    isReady: async (signal) => (await fetch(`${httpUrl}/readyz`, { signal })).ok,
  })
  return { child, port, httpUrl, smtpUrl: `smtp://127.0.0.1:${smtpPort}`, [Symbol.asyncDispose]: () => child.stop() }
}
