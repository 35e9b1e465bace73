import type { Problem } from './problem.ts'
import * as problems from './problems.ts'

/** Every problem there is. */
export const allProblems: readonly Problem[] = Object.values(problems)

/** What any route can answer, whatever it says of its own problems. */
export const problemsOfAnyRoute: readonly Problem[] = [
  problems.invalidRequest,
  problems.malformedBody,
  problems.notSignedIn,
  problems.forbidden,
  problems.notFound,
  problems.bodyTooLarge,
  problems.unsupportedMediaType,
  problems.internalError,
  problems.dependencyUnavailable,
]
