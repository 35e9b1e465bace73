import { problems, ProblemError } from '@saas/contracts'

const WAIT_SECONDS_MAX = 86_400

/**
 * The value of `Idempotency-Key`, or `undefined` when it was not sent.
 *
 * @throws {ProblemError} `invalid-request` unless it is 1 to 255 visible ASCII characters.
 */
export function parseIdempotencyKey(header: string | undefined): string | undefined {
  if (header === undefined) return undefined
  if (!/^[\x21-\x7e]{1,255}$/.test(header)) {
    throw new ProblemError(problems.invalidRequest, {
      errors: [{ pointer: '/headers/idempotency-key', detail: 'must be 1 to 255 visible ASCII characters' }],
    })
  }
  return header
}

/** What a client would like (RFC 7240). */
export interface Preferences {
  /** Seconds the client is ready to wait. */
  readonly wait?: number
}

/**
 * Reads `Prefer`. Preferences that are unknown or malformed are ignored and the first of several
 * counts, as RFC 7240 section 2 says.
 */
export function parsePrefer(header: string | undefined): Preferences {
  for (const preference of header?.split(',') ?? []) {
    const [name, value] = (preference.split(';', 1)[0] ?? '').split('=', 2).map((part) => part.trim())
    if (name?.toLowerCase() !== 'wait') continue
    const digits = value?.replace(/^"(.*)"$/, '$1') ?? ''
    return /^\d{1,9}$/.test(digits) ? { wait: Math.min(Number(digits), WAIT_SECONDS_MAX) } : {}
  }
  return {}
}

/**
 * The trace context to pass on (W3C Trace Context): the caller's when it is well-formed, else a new one that bears
 * the request id, so that a trace and a log line find each other.
 */
export function traceParentOf(header: string | string[] | undefined, requestId: string): string {
  const isWellFormed =
    typeof header === 'string' && /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/.test(header)
  if (isWellFormed) return header
  const end = requestId.slice(19, 23) + requestId.slice(24)
  return `00-${requestId.slice(0, 8)}${requestId.slice(9, 13)}${requestId.slice(14, 18)}${end}-${end}-00`
}

/** Only the form that the edge makes is taken from a request; anything else could forge log lines. */
export function isRequestId(value: string | string[] | undefined): value is string {
  return typeof value === 'string' && /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(value)
}
