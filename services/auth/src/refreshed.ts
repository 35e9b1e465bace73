import { ProblemError, problems } from '@saas/contracts'
import type { Request } from './request.ts'
import type { Client } from './client.ts'
import type { SessionTransport } from './session-transport.ts'
import type { Sessions } from './sessions.ts'

/**
 * Refreshes by body or cookie. A browser whose cookie is no longer good is told to forget it.
 *
 * @throws {ProblemError} `not-signed-in`, `forbidden`
 */
export async function refreshed(
  sessions: Sessions,
  transport: SessionTransport,
  request: Request,
  inBody: string | undefined,
  client: Client,
  traceParent: string,
): Promise<ReturnType<SessionTransport['signedIn']>> {
  const presented = transport.presented(request, inBody)
  if (presented === undefined) throw new ProblemError(problems.notSignedIn)
  try {
    return transport.signedIn(await sessions.refresh(presented.token, client, traceParent), presented.byCookie)
  } catch (error) {
    const isRefused = error instanceof ProblemError && error.problem === problems.notSignedIn
    if (!isRefused || !presented.byCookie) throw error
    throw new ProblemError(problems.notSignedIn, { headers: { 'set-cookie': transport.forgotten } })
  }
}
