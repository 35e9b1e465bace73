import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { startMailbox, type MailboxServer } from '../src/index.ts'

let directory: string
let mailbox: MailboxServer

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'mailbox-'))
  mailbox = await startMailbox({ logFile: join(directory, 'log') })
})
afterAll(async () => {
  await mailbox[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true })
})
beforeEach(() => api('/api/v1/messages', { method: 'DELETE' }))

async function api(path: string, options: RequestInit = {}): Promise<Response> {
  return fetch(`${mailbox.httpUrl}${path}`, options)
}

/** Sends a mail the way any program does and answers the server's last reply. */
async function send(to: string, message: string): Promise<string> {
  const socket = connect(Number(new URL(mailbox.smtpUrl).port), '127.0.0.1')
  const lines = createInterface({ input: socket })
  const commands = ['HELO test', 'MAIL FROM:<shop@example.com>', `RCPT TO:<${to}>`, 'DATA', `${message}\r\n.`]
  for await (const line of lines) {
    const command = commands.shift()
    if (command === undefined || /^[45]/.test(line)) {
      socket.end()
      return line
    }
    socket.write(`${command}\r\n`)
  }
  return ''
}

const MAIL = [
  'From: Shop <shop@example.com>',
  'To: Ann <ann@example.com>',
  'Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=',
  'Message-ID: <one@example.com>',
  'List-Unsubscribe: <http://localhost/u/1>',
  'Content-Type: multipart/alternative; boundary=b',
  '',
  '--b',
  'Content-Type: text/plain; charset=utf-8',
  '',
  'Your code is 123456.',
  '--b',
  'Content-Type: text/html; charset=utf-8',
  '',
  '<p>Your code is <b>123456</b>.</p><script>parent.alert(1)</script>',
  '--b--',
].join('\r\n')

test("the mailbox speaks Mailpit's API", async () => {
  expect(await send('ann@example.com', MAIL)).toMatch(/^250/)
  const list = (await (await api('/api/v1/messages')).json()) as { messages: { ID: string }[] }
  expect(list).toMatchObject({
    total: 1,
    unread: 1,
    messages_count: 1,
    messages: [
      {
        MessageID: 'one@example.com',
        From: { Name: 'Shop', Address: 'shop@example.com' },
        To: [{ Name: 'Ann', Address: 'ann@example.com' }],
        Subject: 'Grüße',
        Read: false,
      },
    ],
  })
  const id = list.messages[0]?.ID ?? ''
  expect(await (await api(`/api/v1/message/${id}`)).json()).toMatchObject({
    ID: id,
    Subject: 'Grüße',
    ReturnPath: 'shop@example.com',
    Text: expect.stringContaining('Your code is 123456.') as string,
    HTML: expect.stringContaining('<b>123456</b>') as string,
    ListUnsubscribe: { Links: ['http://localhost/u/1'] },
  })
  expect(await (await api(`/api/v1/message/${id}/headers`)).json()).toMatchObject({
    'Message-Id': ['<one@example.com>'],
  })
  expect(await (await api(`/api/v1/message/${id}/raw`)).text()).toContain('Subject: =?utf-8?Q?')
  expect((await api('/api/v1/message/unknown')).status).toBe(404)
})

test.each([
  ['to:ann@example.com', 1],
  ['to:bob@example.com', 0],
  ['subject:"Grüße" from:shop', 1],
  ['123456', 1],
  ['!to:ann@example.com', 0],
  ['is:read', 0],
])('a search for %s finds %i', async (query, count) => {
  await send('ann@example.com', MAIL)
  const found = await api(`/api/v1/search?query=${encodeURIComponent(query)}`)
  expect(await found.json()).toMatchObject({ messages_count: count, total: 1 })
})

test('a blind copy is told from the envelope', async () => {
  await send('quiet@example.com', MAIL)
  expect(await (await api('/api/v1/message/latest')).json()).toMatchObject({ Bcc: [{ Address: 'quiet@example.com' }] })
})

test("a mail's scripts never run, and it can load nothing but pictures", async () => {
  await send('ann@example.com', MAIL)
  const view = await api('/view/latest.html')
  const policy = view.headers.get('content-security-policy')
  expect(policy).toContain('sandbox allow-popups')
  expect(policy).not.toContain('allow-scripts')
  expect(policy).toContain("default-src 'none'")
  const page = await (await api('/')).text()
  expect(page).toMatch(/<iframe[^>]*sandbox="allow-popups allow-popups-to-escape-sandbox"/)
})

test('a page of another site gets nothing, not even by a name that points here', async () => {
  expect((await api('/api/v1/messages', { headers: { origin: 'https://evil.example' } })).status).toBe(403)
  const socket = connect(mailbox.port, '127.0.0.1')
  socket.write('GET /api/v1/messages HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n')
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk as Buffer)
  expect(Buffer.concat(chunks).toString()).toMatch(/^HTTP\/1.1 403/)
})

test('it refuses mails on request, as a broken mail server would', async () => {
  const refuse = { Recipient: { ErrorCode: 550, Probability: 100 } }
  await api('/api/v1/chaos', { method: 'PUT', body: JSON.stringify(refuse) })
  expect(await send('ann@example.com', MAIL)).toMatch(/^550/)
  await api('/api/v1/chaos', { method: 'PUT', body: '{}' })
  expect(await send('ann@example.com', MAIL)).toMatch(/^250/)
  expect((await api('/api/v1/chaos', { method: 'PUT', body: '{"Sender":{"ErrorCode":200}}' })).status).toBe(400)
})
