import { createReadStream } from 'node:fs'
import { createServer, request as httpRequest, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { asyncapi } from '@saas/contracts/asyncapi'
import { openapi } from '@saas/contracts/openapi'
import { eventsPage } from './events-page.ts'
import { indexPage } from './index-page.ts'
import { mailsPage } from './mails-page.ts'

/** The files of Swagger UI that the page uses. */
const SWAGGER_FILES: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css',
  'swagger-ui-bundle.js': 'text/javascript',
  'favicon-32x32.png': 'image/png',
}
/** Swagger UI sets styles by script. */
const SWAGGER_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'"
/** Below it the shop is called by the page. */
const SHOP_PREFIX = '/shop'
const CALL_TIMEOUT_MS = 30_000
const SWAGGER_START =
  "SwaggerUIBundle({ url: '/openapi.json', dom_id: '#page', deepLinking: true, persistAuthorization: true, docExpansion: 'list', defaultModelsExpandDepth: 0 })"
const PLAIN_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'"

/** The pages of the API: an index, Swagger UI for HTTP, and pages of our own for events and mails. */
export async function startDocsServer(
  port: number,
  edgeUrl: string,
): Promise<AsyncDisposable & { readonly url: string }> {
  const folder = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'))
  const server = createServer((request, response) => {
    if (!/^(localhost|127\.0\.0\.1)(:\d+)?$/.test(request.headers.host ?? '')) {
      send(response, 403, 'text/plain', 'Wrong host.')
      return
    }
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    const file = pathname.slice(1)
    if (pathname.startsWith(`${SHOP_PREFIX}/`)) passOn(request, response, edgeUrl)
    else if (pathname === '/') send(response, 200, 'text/html', indexPage())
    else if (pathname === '/http') send(response, 200, 'text/html', swaggerPage(), SWAGGER_POLICY)
    else if (pathname === '/http.js') send(response, 200, 'text/javascript', SWAGGER_START)
    else if (pathname === '/events') send(response, 200, 'text/html', eventsPage())
    else if (pathname === '/mails')
      void mailsPage().then(({ status, type, content }) => send(response, status, type, content))
    else if (pathname === '/openapi.json')
      send(response, 200, 'application/json', JSON.stringify({ ...openapi(), servers: [{ url: SHOP_PREFIX }] }))
    else if (pathname === '/asyncapi.json') send(response, 200, 'application/json', JSON.stringify(asyncapi()))
    else if (file in SWAGGER_FILES) {
      response.writeHead(200, { 'content-type': SWAGGER_FILES[file], 'cache-control': 'max-age=3600' })
      createReadStream(join(folder, file)).pipe(response)
    } else send(response, 404, 'text/plain', 'There is no such page.')
  })
  await listen(server, port)
  return {
    url: `http://localhost:${port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function swaggerPage(): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>HTTP API</title>
<link rel="icon" href="/favicon-32x32.png">
<link rel="stylesheet" href="/swagger-ui.css">
</head>
<body>
<div id="page"></div>
<script src="/swagger-ui-bundle.js"></script>
<script src="/http.js"></script>
</body>
</html>
`
}

/**
 * Passes a call of the page on to the shop: a browser lets a page call its own origin only. Cookies stay behind, so what is
 * tried here is what a client with a bearer token sees.
 */
function passOn(request: IncomingMessage, response: ServerResponse, edgeUrl: string): void {
  const { cookie: _cookie, origin: _origin, host: _host, ...headers } = request.headers
  const path = (request.url ?? '').slice(SHOP_PREFIX.length)
  const call = httpRequest(new URL(path, edgeUrl), { method: request.method, headers, timeout: CALL_TIMEOUT_MS })
  call.once('response', (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers)
    answer.pipe(response)
  })
  call.once('timeout', () => call.destroy(new Error('the shop did not answer in time')))
  call.once('error', (error) => {
    if (!response.headersSent) send(response, 502, 'text/plain', error.message)
    else response.destroy()
  })
  request.pipe(call)
}

async function listen(server: Server, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
}

function send(response: ServerResponse, status: number, type: string, content: string, policy = PLAIN_POLICY): void {
  response.writeHead(status, {
    'content-type': `${type}; charset=utf-8`,
    'content-security-policy': policy,
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
  })
  response.end(content)
}
