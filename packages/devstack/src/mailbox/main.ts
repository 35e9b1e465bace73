import { callbackify } from 'node:util'
import { simpleParser } from 'mailparser'
import { SMTPServer } from 'smtp-server'
import { mailboxServer } from './api.ts'
import { Failures } from './failures.ts'
import { MessageStore } from './message-store.ts'

/** The mailbox's own process. */
const MAIL_BYTES_MAX = 10 * 1024 ** 2
const CLOSE_TIMEOUT_MS = 1_000

const { MAILBOX_HTTP_PORT, MAILBOX_SMTP_PORT, MAILBOX_HOST = '127.0.0.1' } = process.env
const store = new MessageStore()
const failures = new Failures()

const smtp = new SMTPServer({
  size: MAIL_BYTES_MAX,
  authOptional: true,
  allowInsecureAuth: true,
  disabledCommands: ['STARTTLS'],
  disableReverseLookup: true,
  closeTimeout: CLOSE_TIMEOUT_MS,
  logger: false,
  onAuth: ({ username = 'anyone' }, _session, done) => {
    const failure = failures.at('Authentication')
    if (failure === undefined) done(undefined, { user: username })
    else done(failure)
  },
  onMailFrom: (_address, _session, done) => done(failures.at('Sender')),
  onRcptTo: (_address, _session, done) => done(failures.at('Recipient')),
  onData: (stream, session, done) => {
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.once('end', () => {
      if (stream.sizeExceeded) {
        done(Object.assign(new Error('The mail is too large'), { responseCode: 552 }))
        return
      }
      const { mailFrom, rcptTo } = session.envelope
      const from = mailFrom === false ? '' : mailFrom.address
      const envelope = { from, to: rcptTo.map(({ address }) => address) }
      callbackify(take)(Buffer.concat(chunks), envelope, (error) => done(error))
    })
  },
})
smtp.on('error', (error) => process.stderr.write(`SMTP: ${error.message}\n`))

const http = mailboxServer(store, failures, MAILBOX_HOST === '127.0.0.1')

async function take(raw: Buffer, envelope: { from: string; to: string[] }): Promise<void> {
  store.add(await simpleParser(raw), raw, envelope)
}

// The web page answers only after the SMTP port is open: whoever waits for the page may send at once.
smtp.listen(Number(MAILBOX_SMTP_PORT), MAILBOX_HOST, () => {
  http.listen(Number(MAILBOX_HTTP_PORT), MAILBOX_HOST)
})

process.once('SIGTERM', () => {
  http.close()
  http.closeAllConnections()
  smtp.close(() => process.exit(0))
})
