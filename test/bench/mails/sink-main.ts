import { createServer, type AddressInfo, type Socket } from 'node:net'
import type { Taken } from './sink.ts'

const END_OF_MAIL = '\r\n.\r\n'
const ORDER = /\/my\/orders\/([0-9a-f-]{36})/

let count = 0
let bytes = 0
let firstAtMs = 0
let lastAtMs = 0
let atMsByOrder: Record<string, number> = {}

const server = createServer((socket) => serve(socket.setNoDelay(true)))
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))

process.on('message', (question) => {
  if (question === 'start over') {
    count = 0
    bytes = 0
    atMsByOrder = {}
  }
  process.send?.({ count, bytes, firstAtMs, lastAtMs, atMsByOrder } satisfies Taken)
})

function serve(socket: Socket): void {
  let text = ''
  let isMail = false
  socket.setEncoding('latin1')
  socket.on('error', () => undefined)
  socket.write('220 sink\r\n')
  socket.on('data', (chunk: string) => {
    text += chunk
    for (;;) {
      const end = text.indexOf(isMail ? END_OF_MAIL : '\r\n')
      if (end === -1) return
      const part = text.slice(0, end)
      text = text.slice(end + (isMail ? END_OF_MAIL.length : 2))
      if (isMail) take(part)
      const isData = !isMail && /^DATA$/i.test(part)
      socket.write(answerTo(part, isMail))
      isMail = isData
    }
  })
}

function answerTo(part: string, isMail: boolean): string {
  if (isMail) return '250 taken\r\n'
  if (/^EHLO/i.test(part)) return '250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n'
  if (/^DATA$/i.test(part)) return '354 go on\r\n'
  return /^QUIT/i.test(part) ? '221 bye\r\n' : '250 ok\r\n'
}

function take(mail: string): void {
  lastAtMs = performance.timeOrigin + performance.now()
  if (count === 0) firstAtMs = lastAtMs
  count += 1
  bytes += mail.length
  // Quoted-printable may break the address of the page in two.
  const order = ORDER.exec(mail.replaceAll('=\r\n', ''))?.[1]
  if (order !== undefined) atMsByOrder[order] = lastAtMs
}
