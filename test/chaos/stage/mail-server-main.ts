import { fsyncSync, openSync, readFileSync, writeSync } from 'node:fs'
import type { Socket } from 'node:net'
import { SMTPServer, type SMTPServerSession } from 'smtp-server'
import type { MailMode } from './mail-server.ts'

/**
 * A mail server's own process. A mail is in its file, on the disk, before it is answered for: what was accepted is known
 * whenever the server is killed. How it behaves stands in another file, which is read at each mail.
 */
const { MAIL_PORT, MAIL_FILE = '', MAIL_MODE_FILE = '' } = process.env
const file = openSync(MAIL_FILE, 'a')

function mode(): MailMode {
  return readFileSync(MAIL_MODE_FILE, 'utf8').trim() as MailMode
}

const server = new SMTPServer({
  authOptional: true,
  disabledCommands: ['STARTTLS', 'AUTH'],
  disableReverseLookup: true,
  logger: false,
  onRcptTo: (_address, _session, done) => {
    if (mode() === 'refuse-later') done(Object.assign(new Error('Try again later'), { responseCode: 451 }))
    else if (mode() === 'refuse') done(Object.assign(new Error('No such mailbox'), { responseCode: 550 }))
    else done()
  },
  onData: (stream, session, done) => {
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.once('end', () => {
      const now = mode()
      if (now === 'hang') return
      keep(session, Buffer.concat(chunks), now === 'cut')
      if (now === 'cut') cut(session)
      else done()
    })
  },
})
server.on('error', (error) => process.stderr.write(`${error.message}\n`))

function keep(session: SMTPServerSession, raw: Buffer, isCut: boolean): void {
  const to = session.envelope.rcptTo.map(({ address }) => address)
  writeSync(file, `${JSON.stringify({ to, isCut, raw: raw.toString('utf8') })}\n`)
  fsyncSync(file)
}

/** The library's own connection objects are the only way to cut one. */
function cut(session: SMTPServerSession): void {
  for (const connection of server.connections as Iterable<{ id: string; _socket: Socket }>) {
    if (connection.id === session.id) connection._socket.destroy()
  }
}

server.listen(Number(MAIL_PORT), '127.0.0.1')
process.once('SIGTERM', () => process.exit(0))
