import { isAllowed, problems, REFUSAL_HEADER, type Route, type ServiceName } from '@saas/contracts'
import { INTERNAL_TOKEN_HEADER, isRequestId, PreparedAnswer, signInternalToken } from '@saas/http'
import type { Clock } from '@saas/config'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { Reply, Request } from './request.ts'
import { BEARER, type AccessTokens, type VerifiedToken } from './access-token.ts'
import { originalRequest, type Edge } from './original-request.ts'
import type { Policy } from './policy.ts'
import type { RefusalLog } from './refusal-log.ts'
import type { Revocations } from './revocations.ts'

/** Who is calling: somebody, nobody we know, or we cannot say. */
type Caller = VerifiedToken | 'nobody' | 'unknowable'

/** What the edge is answered. */
interface Decision {
  readonly status: 200 | 401 | 403 | 503
  readonly reason: string
  readonly headers?: Readonly<Record<string, string>>
}

const AUTHORIZATION = 'authorization'
const AUTHZ = '/authz'
/** An internal token lives for 60 seconds, so one that is handed out again lives for 30 at least. */
const REUSED_MS = 30_000
/** For one access token. Who walks through all routes has each signed anew. */
const ROUTES_KEPT_MAX = 4

const notSignedIn: Decision = { status: 401, reason: 'not-signed-in', headers: { 'www-authenticate': 'Bearer' } }
const unknowable: Decision = { status: 503, reason: 'unknowable', headers: { 'retry-after': '1' } }
const NOT_SIGNED_IN = new PreparedAnswer(401, ['www-authenticate', 'Bearer'])
const noRoute: Decision = { status: 403, reason: 'no-route' }
const notForOutside: Decision = { status: 403, reason: 'internal' }
const wrongRole: Decision = { status: 403, reason: 'role' }
const secondFactorDue: Decision = {
  status: 403,
  reason: 'second-factor',
  headers: { [REFUSAL_HEADER]: problems.secondFactorRequired.name },
}
const anyone: Decision = { status: 200, reason: 'anyone' }

interface GateContext {
  readonly policy: Policy
  readonly accessTokens: AccessTokens
  readonly revocations: Revocations
  readonly refusals: RefusalLog
  readonly clock: Clock
  readonly edge: Edge
  readonly internalTokenKeysByService: ReadonlyMap<string, readonly Uint8Array[]>
}

/**
 * The decision at the edge: who is calling, and may they. Everything it needs is in memory, so a request waits for nothing unless its token
 * was never seen before. What it cannot decide it refuses.
 */
export class Gate {
  readonly #context: GateContext
  readonly #signingKeys: ReadonlyMap<string, readonly Uint8Array[]>

  constructor(context: GateContext) {
    this.#context = context
    this.#signingKeys = context.internalTokenKeysByService
  }

  /**
   * Answers what is asked most, at once: yes, for a token that was verified before, and no, for a caller without a token or with one
   * that cannot be ours. Whatever is not that simple it leaves to `authorise`. Revocation is looked at each time; only signatures are kept.
   */
  answerAtOnce(request: IncomingMessage, response: ServerResponse): 200 | 401 | undefined {
    const { url, headers } = request
    const isAsked = this.#context.edge === 'envoy' ? url?.startsWith(`${AUTHZ}/`) === true : url === AUTHZ
    if (!isAsked || !isBodiless(headers) || isSaidTwice(request)) return undefined
    const original = originalRequest(request, this.#context.edge)
    const route = original === undefined ? undefined : this.#context.policy.routeOf(original.method, original.url)
    if (route === undefined || route.access === 'anyone' || route.access === 'internal') return undefined
    const { authorization } = headers
    if (authorization !== undefined) {
      const nowMs = this.#context.clock.now().getTime()
      const token = this.#context.accessTokens.cached(authorization, nowMs)
      if (token !== undefined) return this.#admitAtOnce(route, token, { nowMs, response })
      if (!authorization.startsWith(BEARER)) return undefined
      if (!this.#context.accessTokens.isForeign(authorization.slice(BEARER.length))) return undefined
    }
    this.#tell(notSignedIn, { route, method: original?.method, requestId: headers['x-request-id'] })
    NOT_SIGNED_IN.send(response)
    return 401
  }

  #admitAtOnce(
    route: Route,
    token: VerifiedToken,
    { nowMs, response }: { readonly nowMs: number; readonly response: ServerResponse },
  ): 200 | undefined {
    if (!this.#context.revocations.isCurrent || this.#context.revocations.isRevoked(token)) return undefined
    if (!isAllowed(route.access, token.roles)) return undefined
    const admission = this.#admission(route, token, nowMs)
    if (admission === undefined) return undefined
    admission.send(response)
    return 200
  }

  /** Answers `/authn`: the identity in headers, 401, or 503. */
  async authenticate(request: Request, reply: Reply): Promise<'sent'> {
    const caller = await this.#callerOf(request)
    if (typeof caller === 'string') return answer(caller === 'nobody' ? notSignedIn : unknowable, reply)
    const headers = {
      'x-identity-user': caller.userId,
      'x-identity-session': caller.sessionId,
      'x-identity-roles': caller.roles.join(','),
    }
    return answer({ status: 200, reason: 'known', headers }, reply)
  }

  /** Answers `/authz`: an internal token for the original request's route, 401, 403, or 503. */
  async authorise(request: Request, reply: Reply): Promise<'sent'> {
    const original = originalRequest(request.raw, this.#context.edge)
    const route = original === undefined ? undefined : this.#context.policy.routeOf(original.method, original.url)
    const caller = route === undefined || route.access === 'anyone' ? 'nobody' : await this.#callerOf(request)
    const decision = this.#decide(route, caller)
    if (decision.status !== 200) {
      const userId = typeof caller === 'string' ? undefined : caller.userId
      this.#tell(decision, { route, method: original?.method, userId, requestId: request.id })
    }
    return answer(decision, reply)
  }

  #tell(
    { reason }: Decision,
    asked: {
      readonly route: Route | undefined
      readonly method: string | undefined
      readonly userId?: string | undefined
      readonly requestId: string | string[] | undefined
    },
  ): void {
    const { route, method, userId, requestId } = asked
    const id = isRequestId(requestId) ? requestId : undefined
    this.#context.refusals.tell({ reason, route: route?.id, method, userId, requestId: id })
  }

  #decide(route: Route | undefined, caller: Caller): Decision {
    if (route === undefined) return noRoute
    if (route.access === 'anyone') return anyone
    if (route.access === 'internal') return notForOutside
    if (caller === 'nobody') return notSignedIn
    if (caller === 'unknowable') return unknowable
    if (isAllowed(route.access, caller.roles)) return this.#admit(route, caller)
    return caller.isSecondFactorRequired ? secondFactorDue : wrongRole
  }

  #admit(route: Route, caller: VerifiedToken): Decision {
    const token = this.#admission(route, caller, this.#context.clock.now().getTime())?.valueOf(INTERNAL_TOKEN_HEADER)
    if (token === undefined) return unknowable
    return { status: 200, reason: 'allowed', headers: { [INTERNAL_TOKEN_HEADER]: token } }
  }

  /** Signed anew for each route of each access token, but no more often than every few seconds: it says the same each time. */
  #admission(route: Route, verified: VerifiedToken, nowMs: number): PreparedAnswer | undefined {
    const { admissions } = verified
    const at = admissions.findIndex((admission) => admission.route === route)
    const known = admissions[at]
    // Neither later than that nor from the future: the clock of a machine may be set back.
    if (known !== undefined && nowMs - known.signedAtMs < REUSED_MS && nowMs >= known.signedAtMs) return known.answer
    const key = this.#signingKeyOf(route.service)
    if (key === undefined) return undefined
    const { userId, roles, sessionId } = verified
    const token = signInternalToken(
      { audience: route.service, userId, roles, sessionId, routeId: route.id },
      key,
      new Date(nowMs),
    )
    const answer = new PreparedAnswer(200, [INTERNAL_TOKEN_HEADER, token])
    if (known !== undefined) admissions.splice(at, 1)
    admissions.unshift({ route, answer, signedAtMs: nowMs })
    admissions.length = Math.min(admissions.length, ROUTES_KEPT_MAX)
    return answer
  }

  #signingKeyOf(service: ServiceName): Uint8Array | undefined {
    return this.#signingKeys.get(service)?.[0]
  }

  async #callerOf(request: Request): Promise<Caller> {
    const token = bearerToken(request.headers.authorization)
    if (token === undefined || isSaidTwice(request.raw)) return 'nobody'
    try {
      const known = this.#context.accessTokens.cached(`${BEARER}${token}`, this.#context.clock.now().getTime())
      const verified = known ?? (await this.#context.accessTokens.verify(token))
      if (verified === undefined) return 'nobody'
      if (!this.#context.revocations.isCurrent && !(await this.#context.revocations.isKnown())) return 'unknowable'
      return this.#context.revocations.isRevoked(verified) ? 'nobody' : verified
    } catch (error) {
      request.log.error({ err: error }, 'an access token could not be judged')
      return 'unknowable'
    }
  }
}

function isBodiless(headers: IncomingHttpHeaders): boolean {
  const length = headers['content-length']
  return headers['transfer-encoding'] === undefined && (length === undefined || length === '0')
}

/** Node keeps the first of several, others may keep the last; nginx joins them, which is no token. */
function isSaidTwice({ rawHeaders }: IncomingMessage): boolean {
  let count = 0
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]
    if (name?.length === AUTHORIZATION.length && name.toLowerCase() === AUTHORIZATION) count += 1
  }
  return count > 1
}

function bearerToken(authorization: string | undefined): string | undefined {
  if (authorization === undefined) return undefined
  return /^Bearer ([A-Za-z0-9._-]+)$/i.exec(authorization)?.[1]
}

/** Without a body Fastify says `Content-Length: 0`; nginx drops the connection after an answer of unknown length. */
function answer({ status, headers }: Decision, reply: Reply): 'sent' {
  reply.code(status)
  if (headers !== undefined) reply.headers(headers)
  void reply.send()
  return 'sent'
}
