import { ProblemError, frontendRoutes, pageRoutes, problems, type Route } from '@saas/contracts'
import { isNotModified, registerRoute, registerRoutes, type App, type Call } from '@saas/http'
import { encodingFor, type BuiltFile } from './built-files.ts'
import { documentsOf } from './documents.ts'
import { securityHeaders } from './security-headers.ts'

const A_YEAR_SECONDS = 31_536_000
/** The names of assets hold a hash of their content. */
const FOREVER = `public, max-age=${A_YEAR_SECONDS}, immutable`
/** The document names the assets, so it is asked for each time; it rarely has changed (304). */
const ASK_FIRST = 'no-cache'
const AN_HOUR = 'public, max-age=3600'

export function registerFrontend(app: App, files: ReadonlyMap<string, BuiltFile>): void {
  registerRoutes(app, frontendRoutes, {
    getAsset: (call) => sendFile(call, files.get(`assets/${call.params.file}`), FOREVER),
    getIcon: (call) => sendFile(call, files.get('favicon.svg'), AN_HOUR),
    getRobots: (call) => sendFile(call, files.get('robots.txt'), AN_HOUR),
  })
  const documentFor = documentsOf(files)
  for (const page of pageRoutes) {
    registerRoute(app, page, (call) => {
      const document = documentFor(call.request.headers['accept-language'])
      return sendFile(call, document, ASK_FIRST, 'accept-encoding, accept-language')
    })
  }
}

function sendFile(
  call: Call<Route>,
  file: BuiltFile | undefined,
  cacheControl: string,
  vary = 'accept-encoding',
): 'sent' {
  if (file === undefined) throw new ProblemError(problems.notFound)
  const { request, reply } = call
  const encoding = encodingFor(request.headers['accept-encoding'], file)
  const tag = file.etags[encoding]
  reply.headers({ ...securityHeaders, etag: tag, 'cache-control': cacheControl, vary })
  if (isNotModified(request.headers['if-none-match'], tag)) {
    reply.code(304).send()
    return 'sent'
  }
  if (encoding !== 'identity') reply.header('content-encoding', encoding)
  reply.code(200).type(file.mediaType).send(file.bodies[encoding])
  return 'sent'
}
