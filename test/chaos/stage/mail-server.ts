import { Child, freePort } from '@saas/devstack'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'

/** What the server does with the mails that it is offered. */
export type MailMode =
  | 'accept'
  /** 451: another time. */
  | 'refuse-later'
  /** 550: never. */
  | 'refuse'
  /** Takes the whole mail and never answers. */
  | 'hang'
  /** Takes and keeps the whole mail and cuts the connection instead of answering. */
  | 'cut'

/** A mail as the server kept it. */
export interface KeptMail {
  readonly to: readonly string[]
  /** With quoted-printable undone. */
  readonly text: string
  /** Without its angle brackets. */
  readonly messageId: string
  /** It was kept, and its sender never heard so. */
  readonly isCut: boolean
}

/** A mail server as a process of its own, whose mails outlive it. */
export class MailServer implements AsyncDisposable {
  readonly child: Child
  readonly smtpUrl: string
  readonly #file: string
  readonly #modeFile: string

  private constructor(child: Child, port: number, file: string, modeFile: string) {
    this.child = child
    this.smtpUrl = `smtp://127.0.0.1:${port}`
    this.#file = file
    this.#modeFile = modeFile
  }

  static async start(directory: string): Promise<MailServer> {
    mkdirSync(directory, { recursive: true })
    const [file, modeFile, port] = [join(directory, 'mails.jsonl'), join(directory, 'mode'), await freePort()]
    writeFileSync(modeFile, 'accept')
    const child = await Child.start({
      name: 'mail server',
      command: process.execPath,
      arguments: [join(import.meta.dirname, 'mail-server-main.ts')],
      environment: { MAIL_PORT: String(port), MAIL_FILE: file, MAIL_MODE_FILE: modeFile },
      logFile: join(directory, 'mail-server.log'),
      isReady: (signal) => greets(port, signal),
    })
    return new MailServer(child, port, file, modeFile)
  }

  behave(mode: MailMode): void {
    writeFileSync(this.#modeFile, mode)
  }

  /** Every mail that it took, the oldest first. */
  mails(): KeptMail[] {
    if (!existsSync(this.#file)) return []
    // Line by line: after ten minutes of load all of it is longer than a text may be.
    const bytes = readFileSync(this.#file)
    const mails: KeptMail[] = []
    for (let start = 0, end = bytes.indexOf('\n'); end !== -1; start = end + 1, end = bytes.indexOf('\n', start)) {
      const line = bytes.toString('utf8', start, end)
      // A server that was killed while it wrote leaves half a line, and a mail that it did not answer for.
      if (line.endsWith('}')) mails.push(keptMailOf(line))
    }
    return mails
  }

  mailsTo(address: string): KeptMail[] {
    return this.mails().filter(({ to }) => to.includes(address))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.child.stop()
  }
}

function keptMailOf(line: string): KeptMail {
  const { to, raw, isCut } = JSON.parse(line) as { to: string[]; raw: string; isCut: boolean }
  const bytes = raw
    .replaceAll('=\r\n', '')
    .replaceAll(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCodePoint(Number.parseInt(hex, 16)))
  const text = Buffer.from(bytes, 'latin1').toString('utf8')
  return { to, text, messageId: /^Message-ID: <(.+)>/im.exec(raw)?.[1] ?? '', isCut }
}

async function greets(port: number, signal: AbortSignal): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' })
  try {
    return await new Promise<boolean>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error('timed out')))
      socket.once('error', reject)
      socket.once('data', () => resolve(true))
    })
  } finally {
    socket.destroy()
  }
}
