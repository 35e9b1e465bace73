import { ProblemError, problems } from '@saas/contracts'

const RETRY_AFTER_SECONDS = '1'

/**
 * Postgres cannot be reached, answers too late, or the connection broke while it worked: the outcome of a write is
 * unknown. Answered as 503 with `Retry-After`; the detail goes to the log only.
 */
export class DatabaseUnavailable extends ProblemError {
  constructor(detail: string, options: { cause?: unknown } = {}) {
    super(problems.dependencyUnavailable, { headers: { 'retry-after': RETRY_AFTER_SECONDS }, ...options })
    this.name = 'DatabaseUnavailable'
    this.message = detail
  }
}

/** More calls wait than a bounded queue takes. Answered as 503 with `Retry-After`. */
export class Overloaded extends ProblemError {
  constructor(detail: string, options: { cause?: unknown } = {}) {
    super(problems.dependencyUnavailable, { headers: { 'retry-after': RETRY_AFTER_SECONDS }, ...options })
    this.name = 'Overloaded'
    this.message = detail
  }
}

/** NATS or the object store cannot be reached or answers too late. Answered as 503 with `Retry-After`. */
export class DependencyUnavailable extends ProblemError {
  constructor(detail: string, options: { cause?: unknown } = {}) {
    super(problems.dependencyUnavailable, { headers: { 'retry-after': RETRY_AFTER_SECONDS }, ...options })
    this.name = 'DependencyUnavailable'
    this.message = detail
  }
}

/**
 * Thrown by a consumer's `apply` when a message can never be applied as it is. The message becomes a dead letter
 * with this reason instead of being tried again.
 */
export class Unprocessable extends Error {
  constructor(reason: string, options?: ErrorOptions) {
    super(reason, options)
    this.name = 'Unprocessable'
  }
}

/** A message that this version does not know and a newer one may: its subject is new to this consumer, or its type's major version. */
export class FromNewerVersion extends Unprocessable {
  constructor(reason: string) {
    super(`${FROM_NEWER_VERSION}: ${reason}`)
    this.name = 'FromNewerVersion'
  }
}

/** How the reason of such a dead letter begins: the first version that knows it finds it by that. */
export const FROM_NEWER_VERSION = 'From a newer version'

/** The five-character SQLSTATE of an error that Postgres reported; `undefined` for every other error. */
export function sqlState(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' && /^[0-9A-Z]{5}$/.test(error.code) && 'severity' in error
    ? error.code
    : undefined
}

const transientStates = new Set(['40001', '40P01', '55P03', '57014'])

/** Whether others were in the way: a serialization failure, a deadlock, a lock or statement time-out. Nothing was changed. */
export function isTransient(error: unknown): boolean {
  return transientStates.has(sqlState(error instanceof Overloaded ? error.cause : error) ?? '')
}

/**
 * Whether the connection broke, or Postgres said that it is going away or not there yet: class 08, class 57P
 * (shutdown, crash, cannot connect now), 53300 (too many connections). The outcome of a write is then unknown.
 */
export function isConnectionLoss(error: unknown): boolean {
  if (error instanceof DatabaseUnavailable) return true
  const state = sqlState(error)
  if (state !== undefined) return state.startsWith('08') || state.startsWith('57P') || state === '53300'
  if (!(error instanceof Error)) return false
  if ('code' in error && typeof error.code === 'string' && socketErrors.has(error.code)) return true
  return driverMessages.some((message) => error.message.startsWith(message))
}

const socketErrors = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
])

/** The driver has no classes for these; its texts are what there is. */
const driverMessages = [
  'Connection terminated',
  'Client has encountered a connection error',
  'Client was closed',
  'timeout exceeded when trying to connect',
  'timeout expired',
  'Query read timeout',
]
