import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Failures } from './failures.ts'
import { fullMessage, headersOf, matchesSearch, type StoredMessage } from './message.ts'
import type { MessageStore } from './message-store.ts'
import { inboxPage } from './page.ts'

const BODY_BYTES_MAX = 1024 ** 2
const PAGE_LIMIT_DEFAULT = 50
const PAGE_LIMIT_MAX = 2_000
/** A mail may show pictures and styles and open links in a new tab, and nothing else: no script, no form, no frame. */
const MAIL_POLICY =
  "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src data: http: https:; style-src 'unsafe-inline'"

class RequestError extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/**
 * The mailbox's web page and Mailpit's API beside it. On loopback only the machine's own browser is answered; elsewhere whoever
 * reaches it is meant to, by whatever name.
 */
export function mailboxServer(store: MessageStore, failures: Failures, isOnLoopback: boolean): Server {
  return createServer((request, response) => {
    answer(store, failures, isOnLoopback, request, response).catch((error: unknown) => {
      const status = error instanceof RequestError ? error.status : error instanceof RangeError ? 400 : 500
      if (!response.headersSent) sendText(response, error instanceof Error ? error.message : String(error), status)
    })
  })
}

async function answer(
  store: MessageStore,
  failures: Failures,
  isOnLoopback: boolean,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (isOnLoopback) refuseStrangers(request)
  const url = new URL(request.url ?? '/', 'http://localhost')
  const [, id = '', part = ''] = /^\/api\/v1\/message\/([^/]+)(?:\/(\w+))?$/.exec(url.pathname) ?? []
  const viewed = /^\/view\/(\w+)\.(html|txt)$/.exec(url.pathname)
  const query = url.searchParams.get('query') ?? ''
  const isMatch = (message: StoredMessage): boolean => matchesSearch(message, query)
  if (id !== '') {
    sendMessage(store, store.find(id), part, response)
    return
  }
  if (viewed !== null) {
    sendView(store, store.find(viewed[1] ?? ''), viewed[2] ?? '', response)
    return
  }
  switch (`${request.method} ${url.pathname}`) {
    case 'GET /':
      sendPage(response)
      return
    case 'GET /livez':
    case 'GET /readyz':
      sendText(response, 'ok')
      return
    case 'GET /events':
      streamChanges(store, request, response)
      return
    case 'GET /api/v1/info':
      sendJson(response, { Version: 'saas mailbox', Messages: store.list().length, Unread: unread(store.list()) })
      return
    case 'GET /api/v1/messages':
      sendJson(response, listing(store.list(), store.list(), url))
      return
    case 'GET /api/v1/search':
      sendJson(response, listing(store.list(), store.list().filter(isMatch), url))
      return
    case 'DELETE /api/v1/search':
      store.remove(isMatch)
      sendText(response, 'ok')
      return
    case 'DELETE /api/v1/messages': {
      const { IDs = [] } = (await readJson(request)) as { IDs?: string[] }
      store.remove(({ summary }) => IDs.length === 0 || IDs.includes(summary.ID))
      sendText(response, 'ok')
      return
    }
    case 'PUT /api/v1/messages': {
      const { IDs = [], Read = false } = (await readJson(request)) as { IDs?: string[]; Read?: boolean }
      for (const message of store.list()) {
        if (IDs.length === 0 || IDs.includes(message.summary.ID)) store.markRead(message, Read)
      }
      sendText(response, 'ok')
      return
    }
    case 'GET /api/v1/chaos':
      sendJson(response, failures.settings)
      return
    case 'PUT /api/v1/chaos':
      failures.set((await readJson(request)) as Parameters<Failures['set']>[0])
      sendJson(response, failures.settings)
      return
    default:
      throw new RequestError(404, 'There is no such page.')
  }
}

/** A page of another site must not read or delete mails, not even through a name that points to this machine. */
function refuseStrangers({ headers }: IncomingMessage): void {
  const host = headers.host ?? ''
  if (!/^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/.test(host)) throw new RequestError(403, 'Wrong host.')
  if (headers.origin !== undefined && headers.origin !== `http://${host}`) throw new RequestError(403, 'Wrong origin.')
}

function listing(all: readonly StoredMessage[], found: readonly StoredMessage[], url: URL): object {
  const start = Number(url.searchParams.get('start') ?? 0)
  const limit = Math.min(Number(url.searchParams.get('limit') ?? PAGE_LIMIT_DEFAULT), PAGE_LIMIT_MAX)
  if (!Number.isInteger(start) || !Number.isInteger(limit)) throw new RequestError(400, 'start and limit are numbers.')
  return {
    total: all.length,
    unread: unread(all),
    count: found.length,
    messages_count: found.length,
    messages_unread: unread(found),
    start,
    tags: [],
    messages: found.slice(start, start + limit).map(({ summary }) => summary),
  }
}

function unread(messages: readonly StoredMessage[]): number {
  return messages.filter(({ summary }) => !summary.Read).length
}

function sendMessage(
  store: MessageStore,
  message: StoredMessage | undefined,
  part: string,
  response: ServerResponse,
): void {
  if (message === undefined) throw new RequestError(404, 'There is no such message.')
  if (part === 'headers') sendJson(response, headersOf(message))
  else if (part === 'raw') send(response, 200, 'text/plain; charset=utf-8', message.raw)
  else if (part === '') {
    store.markRead(message, true)
    sendJson(response, fullMessage(message))
  } else throw new RequestError(404, 'There is no such part.')
}

function sendView(
  store: MessageStore,
  message: StoredMessage | undefined,
  format: string,
  response: ServerResponse,
): void {
  if (message === undefined) throw new RequestError(404, 'There is no such message.')
  store.markRead(message, true)
  const { text = '', html } = message.parsed
  if (format === 'txt' || html === false) sendText(response, text)
  else send(response, 200, 'text/html; charset=utf-8', `<base target="_blank">${html}`, MAIL_POLICY)
}

function sendPage(response: ServerResponse): void {
  const { html, policy } = inboxPage()
  send(response, 200, 'text/html; charset=utf-8', html, policy)
}

function streamChanges(store: MessageStore, request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  response.write('retry: 1000\ndata: changed\n\n')
  request.once(
    'close',
    store.onChange(() => response.write('data: changed\n\n')),
  )
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > BODY_BYTES_MAX) throw new RequestError(413, 'The body is too large.')
    chunks.push(chunk)
  }
  if (bytes === 0) return {}
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown
  } catch {
    throw new RequestError(400, 'The body is not JSON.')
  }
}

function sendJson(response: ServerResponse, content: object): void {
  send(response, 200, 'application/json', JSON.stringify(content))
}

function sendText(response: ServerResponse, text: string, status = 200): void {
  send(response, status, 'text/plain; charset=utf-8', text)
}

function send(
  response: ServerResponse,
  status: number,
  type: string,
  content: string | Buffer,
  policy = "default-src 'none'",
): void {
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(content),
    'content-security-policy': policy,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
  })
  response.end(content)
}
