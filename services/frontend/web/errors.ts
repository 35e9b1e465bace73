import { texts } from './language.ts'
import { PasskeyDeclined } from './passkeys.ts'
import { Refused, Unanswered } from './send.ts'
import { user } from './session.ts'

/** What to tell somebody about a failed call, in their language. */
export function describe(error: unknown): string {
  const { failure, problems } = texts.value
  if (error instanceof Unanswered) return failure.unanswered
  if (error instanceof PasskeyDeclined) return failure.passkeyDeclined
  if (!(error instanceof Refused)) return failure.unexpected
  if (error.status === 503) return user.value === undefined ? failure.unavailable : failure.unavailableSignedIn
  if (error.status === 429) return failure.tooMany(error.retryAfterSeconds)
  return problems[error.problem] ?? error.message
}
