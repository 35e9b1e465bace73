import { allRoutes, serviceNames, type Route, type ServiceName } from '@saas/contracts'
import { verifyInternalToken } from '@saas/http'
import { internalTokenKey } from '@saas/testing'
import type { Echo, Seen } from './echo.ts'
import { sendRaw, type RawAnswer } from './raw-request.ts'
import { verdictOn, type Verdict } from './table.ts'
import type { Variant } from './variants.ts'

const AT_ONCE = 12
const PATIENCE_MS = 3_000
/** How often a request that could not be decided is sent again. */
const REPETITIONS_MAX = 5

/** What the services saw, and what the clients were told. */
export interface Comparison {
  readonly sent: number
  readonly through: number
  readonly refused: number
  /** A sentence each. */
  readonly disagreements: readonly string[]
}

/** Headers that a service may see: what the edge makes, a common few, and what the contract declares. */
const mayBeSeen = new Set([
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'x-internal-token',
  'x-request-id',
  'x-forwarded-for',
  'x-forwarded-proto',
  'accept',
  'accept-encoding',
  'accept-language',
  'content-encoding',
  'content-type',
  'if-none-match',
  'origin',
  'prefer',
  'sec-fetch-site',
  'traceparent',
  'tracestate',
  'user-agent',
  ...allRoutes.flatMap((route) => Object.keys(route.headers?.properties ?? {})),
])
const ofTheEdge = new Set([
  'host',
  'connection',
  'accept',
  'accept-encoding',
  'x-request-id',
  'x-forwarded-for',
  'x-forwarded-proto',
])
const secrets = new Set(['authorization', 'cookie'])

/** What is asked of an edge beyond letting through exactly whom the table lets through. Our own does all of it. */
export interface Strictness {
  /** It refuses with the table's status. */
  readonly statuses: boolean
  /** It passes only the headers that the contract names, and no message that anybody could read otherwise. */
  readonly messages: boolean
}

/** Sends every variant through the edge and compares who was let through with the table. */
export async function compare(
  port: number,
  echoes: Readonly<Record<ServiceName, readonly Echo[]>>,
  variants: Iterable<Variant>,
  strictness: Strictness = { statuses: true, messages: true },
): Promise<Comparison> {
  const answers = new Map<Variant, RawAnswer>()
  const waiting = variants[Symbol.iterator]()
  const client = async (): Promise<void> => {
    for (let next = waiting.next(); next.done !== true; next = waiting.next()) {
      let answer = await sendRaw(port, next.value.text, PATIENCE_MS)
      // No verdict: on a full machine auth may not answer in time, and then nobody is let in. Who asks again is told.
      for (let sent = 1; answer.status === 503 && sent <= REPETITIONS_MAX; sent += 1) {
        answer = await sendRaw(port, next.value.text, PATIENCE_MS)
      }
      answers.set(next.value, answer)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, client))
  const arrived = serviceNames
    .flatMap((service) => echoes[service].flatMap(({ seen }) => seen.map((request) => ({ service, request }))))
    .filter((arrival) => !isDocument(arrival))
  const byNumber = Map.groupBy(arrived, ({ request }) => numberOf(request))
  const disagreements = (byNumber.get(-1) ?? []).map(
    ({ service, request }) => `${service} got ${request.method} ${request.url}, which nobody sent as a request`,
  )
  let through = 0
  for (const [variant, answer] of answers) {
    const seen = byNumber.get(variant.number) ?? []
    if (seen.length > 0) through += 1
    const wrong = disagreement(variant, answer, seen, strictness)
    if (wrong !== undefined) disagreements.push(`${wrong}: ${variant.what}`)
  }
  return { sent: answers.size, through, refused: answers.size - through, disagreements }
}

interface Arrival {
  readonly service: ServiceName
  readonly request: Seen
}

/** What the edge shows to people instead of a problem. Of their request nothing goes along but what the edge says of each (`ofTheEdge`). */
function isDocument({ service, request: { method, url, headers, body } }: Arrival): boolean {
  const isPlain = Object.keys(headers).every((name) => ofTheEdge.has(name))
  return service === 'frontend' && ['GET', 'HEAD'].includes(method) && url === '/' && isPlain && body === ''
}

/** Of the variant that a request belongs to; −1 for one that was smuggled. */
function numberOf({ url, headers }: Seen): number {
  const agent = /^v-(\d+)$/.exec(headers['user-agent']?.toString() ?? '')?.[1]
  return Number(agent ?? /^[^?]*\?n=(\d+)/.exec(url)?.[1] ?? -1)
}

function disagreement(
  variant: Variant,
  answer: RawAnswer,
  seen: readonly Arrival[],
  strictness: Strictness,
): string | undefined {
  const form = variant.form === 'broken' && !strictness.messages ? 'doubtful' : variant.form
  const verdict: Verdict =
    form === 'broken' ? { kind: 'refused', status: 400 } : verdictOn(variant.method, variant.target, variant.credential)
  const [arrival] = seen
  if (arrival === undefined) {
    if (verdict.kind === 'through') {
      const isRefused = form === 'doubtful' && (answer.status >= 400 || answer.status === 0)
      return isRefused ? undefined : `kept out with ${answer.status}, though ${verdict.route.id} is for them`
    }
    if (form !== 'sound' || !strictness.statuses)
      return answer.status >= 400 || answer.status === 0 ? undefined : `told ${answer.status}`
    return answer.status === verdict.status ? undefined : `refused with ${answer.status}, not ${verdict.status}`
  }
  if (verdict.kind === 'refused') return `let through to ${arrival.service} instead of ${verdict.status}`
  if (seen.length > 1) return `arrived ${seen.length} times`
  return arrivalProblem(verdict, variant, arrival, strictness)
}

function arrivalProblem(
  { route, userId }: Extract<Verdict, { kind: 'through' }>,
  variant: Variant,
  { service, request }: Arrival,
  { messages }: Strictness,
): string | undefined {
  if (service !== route.service) return `arrived at ${service} instead of ${route.service}`
  if (request.method !== variant.method) return `arrived as ${request.method}`
  const target = variant.target.replace(/^[a-z]+:\/\/[^/]+/i, '')
  if (request.url !== target) return `arrived at the path ${request.url}`
  const odd = Object.keys(request.headers).filter(
    (name) => (service !== 'auth' && secrets.has(name)) || (messages && !mayBeSeen.has(name) && !secrets.has(name)),
  )
  if (odd.length > 0) return `arrived with ${odd.join(', ')}`
  return tokenProblem(route, userId, request)
}

function tokenProblem(route: Route, userId: string | undefined, { headers }: Seen): string | undefined {
  const token = headers['x-internal-token']
  if (userId === undefined) return token === undefined ? undefined : 'arrived with a token though nobody was asked'
  const verdict = verifyInternalToken(String(token), [internalTokenKey(route.service)], route.service, new Date())
  if ('refused' in verdict) return `arrived with a token that is refused: ${verdict.refused}`
  if (verdict.claims.routeId !== route.id) return `arrived with a token for ${verdict.claims.routeId}`
  return verdict.claims.userId === userId ? undefined : `arrived as ${verdict.claims.userId}`
}
