import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { systemClock } from '@saas/config'
import { testLog } from '@saas/testing'
import { expect, test } from 'vitest'
import { SmtpServers, type Outcome } from '../src/smtp.ts'

const FINE = '250 fine'
const END = 'END'

/** What it answers to a command, or to the end of a mail; nothing when it says nothing. */
type Answer = (command: string) => string | undefined

/** A mail server that says whatever a test wants, and the mails that it took. */
async function rudeServer(answer: Answer): Promise<AsyncDisposable & { readonly url: string; connections: number }> {
  const sockets = new Set<{ destroy(): void }>()
  const server = createServer((socket) => {
    sockets.add(socket)
    rude.connections += 1
    let text = ''
    let isMail = false
    socket.on('error', () => undefined)
    socket.write('220 hello\r\n')
    socket.on('data', (chunk) => {
      text += chunk.toString()
      for (;;) {
        const end = isMail ? '\r\n.\r\n' : '\r\n'
        const at = text.indexOf(end)
        if (at === -1) return
        const said = answer(isMail ? END : text.slice(0, at))
        text = text.slice(at + end.length)
        isMail = !isMail && said?.startsWith('354') === true
        if (said !== undefined) socket.write(`${said}\r\n`)
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const rude = {
    url: `smtp://127.0.0.1:${port}`,
    connections: 0,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
  return rude
}

function sender(urls: readonly string[]): SmtpServers {
  const { logger } = testLog('notifications')
  return new SmtpServers({ urls, connectTimeoutMs: 1_000, sendTimeoutMs: 2_000, clock: systemClock, logger })
}

async function sendTo(smtp: SmtpServers, to: string): Promise<Outcome> {
  return await smtp.send({
    envelope: { from: 'shop@example.com', to: [to] },
    raw: Buffer.from('Subject: Hello\r\n\r\nhello\r\n'),
  })
}

test('a recipient who is refused is refused, whatever the server says to what comes then', async () => {
  await using server = await rudeServer((command) => {
    if (command.startsWith('RCPT') && command.includes('nobody')) return '550 5.1.1 no such user'
    if (command === 'DATA') return '354 go on'
    return command === 'RSET' ? undefined : FINE
  })
  using smtp = sender([server.url])
  expect(await sendTo(smtp, 'nobody@example.com')).toEqual({ result: 'refused', words: '550 5.1.1 no such user' })
  expect(await sendTo(smtp, 'somebody@example.com')).toEqual({ result: 'accepted', words: FINE })
  expect(server.connections).toBe(2)
})

test('what is no answer refuses nothing for good', async () => {
  await using server = await rudeServer((command) => {
    if (command === 'DATA') return '354 go on'
    return command === END ? 'so be it' : FINE
  })
  using smtp = sender([server.url])
  expect(await sendTo(smtp, 'somebody@example.com')).toEqual({ result: 'failed', words: 'so be it' })
})

test('a server that does not accept the sender refuses no mail for good, and the next one gets it', async () => {
  const words = '550 5.7.1 we take nothing from you'
  await using rude = await rudeServer((command) => (command.startsWith('MAIL') ? words : FINE))
  await using other = await rudeServer((command) => (command === 'DATA' ? '354 go on' : FINE))
  using alone = sender([rude.url])
  expect(await sendTo(alone, 'somebody@example.com')).toEqual({ result: 'failed', words })
  using both = sender([rude.url, other.url])
  expect(await sendTo(both, 'somebody@example.com')).toEqual({ result: 'accepted', words: FINE })
})
