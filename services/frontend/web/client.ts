import type { Route } from '@saas/contracts'
import { Refused, answerOf, send, type Answered, type Input } from './send.ts'
import { refresh, usableToken } from './session.ts'

/**
 * Calls one route of the contract as whoever is signed in; parameters and answer are typed by the description.
 * Throws `Refused` for a problem, `Unanswered` when no answer came.
 */
export async function call<R extends Route>(route: R, input: Input<R>): Promise<Answered<R>> {
  return await answerOf<R>(await open(route, input))
}

/** The same, for answers that are read as a stream. A 401 is met with one refresh and one repetition. */
export async function open<R extends Route>(route: R, input: Input<R>): Promise<Response> {
  if (route.access === 'anyone') return await send(route, input)
  const token = await usableToken()
  try {
    return await send(route, input, token)
  } catch (error) {
    // Other 401s, such as a wrong current password, are about the request and not the session.
    const expired = error instanceof Refused && error.status === 401 && error.problem !== 'wrong-credentials'
    if (!expired || token === undefined || !(await refresh(token))) throw error
    return await send(route, input, await usableToken())
  }
}
