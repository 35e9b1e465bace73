import { isAllowed, problems, REFUSAL_HEADER, type Route, type ServiceName } from '@saas/contracts'
import { INTERNAL_TOKEN_HEADER, isRequestId, PreparedAnswer, signInternalToken } from '@saas/http'
import type { Clock } from '@saas/config'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Reply, Request } from './request.ts'
import type { AccessClaims, AccessTokens } from './access-token.ts'
import { originalRequest, type Edge } from './original-request.ts'
import type { Policy } from './policy.ts'
import type { RefusalLog } from './refusal-log.ts'
import type { Revocations } from './revocations.ts'

/** Who is calling: somebody, nobody we know, or we cannot say. */
type Caller = AccessClaims | 'nobody' | 'unknowable'

/** An internal token that was signed for a route, in the answer that carries it. */
interface Issued {
  readonly routeId: string
  readonly answer: PreparedAnswer
  readonly signedAtMs: number
}

/** What the edge is answered. */
interface Decision {
  readonly status: 200 | 401 | 403 | 503
  readonly reason: string
  readonly headers?: Readonly<Record<string, string>>
}

const AUTHORIZATION = 'authorization'
const BEARER = 'Bearer '
const AUTHZ = '/authz'
/** An internal token lives for 60 seconds, so one that is handed out again lives for 50 at least. */
const REUSED_MS = 10_000
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

/**
 * The decision at the edge: who is calling, and may they. Everything it needs is in memory, so a request waits for nothing unless its token
 * was never seen before. What it cannot decide it refuses.
 */
export class Gate {
  readonly #policy: Policy
  readonly #accessTokens: AccessTokens
  readonly #revocations: Revocations
  readonly #refusals: RefusalLog
  readonly #clock: Clock
  readonly #edge: Edge
  readonly #signingKeys: ReadonlyMap<string, readonly Uint8Array[]>
  /** By what a verified access token says; goes when that is forgotten. */
  readonly #issued = new WeakMap<AccessClaims, readonly Issued[]>()

  constructor(options: {
    readonly policy: Policy
    readonly accessTokens: AccessTokens
    readonly revocations: Revocations
    readonly refusals: RefusalLog
    readonly clock: Clock
    readonly edge: Edge
    readonly internalTokenKeysByService: ReadonlyMap<string, readonly Uint8Array[]>
  }) {
    this.#policy = options.policy
    this.#accessTokens = options.accessTokens
    this.#revocations = options.revocations
    this.#refusals = options.refusals
    this.#clock = options.clock
    this.#edge = options.edge
    this.#signingKeys = options.internalTokenKeysByService
  }

  /**
   * Answers what is asked most, at once: yes, for a token that was verified before, and no, for a caller without a token or with one
   * that cannot be ours. Whatever is not that simple it leaves to `authorise`. Revocation is looked at each time; only signatures are kept.
   */
  answerAtOnce(request: IncomingMessage, response: ServerResponse): 200 | 401 | undefined {
    const { url } = request
    const isAsked = this.#edge === 'envoy' ? url?.startsWith(`${AUTHZ}/`) === true : url === AUTHZ
    const said = isAsked ? saidOnce(request.rawHeaders) : undefined
    if (said === undefined || !isBodiless(said)) return undefined
    const original = originalRequest({ method: request.method, url, headers: said }, this.#edge)
    const route = original === undefined ? undefined : this.#policy.routeOf(original.method, original.url)
    if (route === undefined || route.access === 'anyone' || route.access === 'internal') return undefined
    const { authorization } = said
    if (authorization !== undefined) {
      if (!authorization.startsWith(BEARER)) return undefined
      const token = authorization.slice(BEARER.length)
      const claims = this.#accessTokens.cached(token)
      if (claims !== undefined) return this.#admitAtOnce(route, claims, response)
      if (!this.#accessTokens.isForeign(token)) return undefined
    }
    this.#tell(notSignedIn, { route, method: original?.method, requestId: request.headers['x-request-id'] })
    NOT_SIGNED_IN.send(response)
    return 401
  }

  #admitAtOnce(route: Route, claims: AccessClaims, response: ServerResponse): 200 | undefined {
    if (!this.#revocations.isCurrent || this.#revocations.isRevoked(claims)) return undefined
    if (!isAllowed(route.access, claims.roles)) return undefined
    const admission = this.#admission(route, claims)
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
    const original = originalRequest(request.raw, this.#edge)
    const route = original === undefined ? undefined : this.#policy.routeOf(original.method, original.url)
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
    this.#refusals.tell({ reason, route: route?.id, method, userId, requestId: id })
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

  #admit(route: Route, claims: AccessClaims): Decision {
    const token = this.#admission(route, claims)?.valueOf(INTERNAL_TOKEN_HEADER)
    if (token === undefined) return unknowable
    return { status: 200, reason: 'allowed', headers: { [INTERNAL_TOKEN_HEADER]: token } }
  }

  /** Signed anew for each route of each access token, but no more often than every few seconds: it says the same each time. */
  #admission(route: Route, claims: AccessClaims): PreparedAnswer | undefined {
    const nowMs = this.#clock.now().getTime()
    const issued = this.#issued.get(claims)
    const known = issued?.find(({ routeId }) => routeId === route.id)
    // Neither later than that nor from the future: the clock of a machine may be set back.
    if (known !== undefined && nowMs - known.signedAtMs < REUSED_MS && nowMs >= known.signedAtMs) return known.answer
    const key = this.#signingKeyOf(route.service)
    if (key === undefined) return undefined
    const { userId, roles, sessionId } = claims
    const token = signInternalToken(
      { audience: route.service, userId, roles, sessionId, routeId: route.id },
      key,
      new Date(nowMs),
    )
    const answer = new PreparedAnswer(200, [INTERNAL_TOKEN_HEADER, token])
    const others = issued?.filter(({ routeId }) => routeId !== route.id).slice(0, ROUTES_KEPT_MAX - 1) ?? []
    this.#issued.set(claims, [{ routeId: route.id, answer, signedAtMs: nowMs }, ...others])
    return answer
  }

  #signingKeyOf(service: ServiceName): Uint8Array | undefined {
    return this.#signingKeys.get(service)?.[0]
  }

  async #callerOf(request: Request): Promise<Caller> {
    const token = bearerToken(request.headers.authorization)
    if (token === undefined || isSaidTwice(request.raw)) return 'nobody'
    try {
      const claims = this.#accessTokens.cached(token) ?? (await this.#accessTokens.verify(token))
      if (claims === undefined) return 'nobody'
      if (!this.#revocations.isCurrent && !(await this.#revocations.isKnown())) return 'unknowable'
      return this.#revocations.isRevoked(claims) ? 'nobody' : claims
    } catch (error) {
      request.log.error({ err: error }, 'an access token could not be judged')
      return 'unknowable'
    }
  }
}

/** The headers that a decision may rest on, by the lengths of their names. */
const DECISIVE = Map.groupBy(
  [
    AUTHORIZATION,
    'content-length',
    'transfer-encoding',
    ...['x-original', 'x-forwarded'].flatMap((prefix) => [`${prefix}-method`, `${prefix}-uri`]),
  ],
  ({ length }) => length,
)

/**
 * What was said in the headers that a decision may rest on; `undefined` when one of them was said twice. Node's own `headers`, which it makes
 * when they are asked for, take three times as long.
 */
function saidOnce(rawHeaders: readonly string[]): Readonly<Record<string, string>> | undefined {
  const said: Record<string, string> = {}
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const given = rawHeaders[index] ?? ''
    const candidates = DECISIVE.get(given.length)
    if (candidates === undefined) continue
    const name = given.toLowerCase()
    if (!candidates.includes(name)) continue
    if (said[name] !== undefined) return undefined
    said[name] = rawHeaders[index + 1] ?? ''
  }
  return said
}

function isBodiless(said: Readonly<Record<string, string>>): boolean {
  const length = said['content-length']
  return said['transfer-encoding'] === undefined && (length === undefined || length === '0')
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
