import {
  problems,
  ProblemError,
  type DeadLetter,
  type DeadLetterStatus,
  type Lag,
  type operatorRoutes,
} from '@saas/contracts'
import type { Handlers } from './call.ts'

/** What the operator routes need of a service: its bus. */
export interface Operated {
  /** `undefined` is that there is none with this id. */
  readonly deadLetters: {
    /** Newest first; `next` is the cursor of the following page. A cursor that cannot be read is an `invalid-request`. */
    list(page: {
      readonly limit: number | undefined
      readonly cursor: string | undefined
      readonly status: DeadLetterStatus | undefined
    }): Promise<{ readonly items: readonly DeadLetter[]; readonly next: string | null }>
    replay(id: string): Promise<DeadLetter | undefined>
    dismiss(id: string, dismissal: { readonly by: string; readonly reason: string }): Promise<DeadLetter | undefined>
    reopen(id: string): Promise<DeadLetter | undefined>
  }
  lag(): Promise<Lag>
}

type OperatorRoutes = ReturnType<typeof operatorRoutes<'auth' | 'products' | 'orders' | 'notifications'>>

/** The handlers of the routes that every service with a database has. */
export function operatorHandlers(operated: Operated): Handlers<OperatorRoutes> {
  const { deadLetters } = operated
  return {
    listDeadLetters: async ({ query: { limit, cursor, status } }) => {
      const page = await deadLetters.list({ limit, cursor, status })
      return { status: 200, body: { items: [...page.items], next: page.next } }
    },
    replayDeadLetter: async ({ params }) => answerWith(await deadLetters.replay(params.id)),
    dismissDeadLetter: async ({ params, body, identity }) =>
      answerWith(await deadLetters.dismiss(params.id, { by: identity.userId, reason: body.reason })),
    reopenDeadLetter: async ({ params }) => answerWith(await deadLetters.reopen(params.id)),
    getLag: async () => ({ status: 200, body: await operated.lag() }),
  }
}

function answerWith(letter: DeadLetter | undefined): { status: 200; body: DeadLetter } {
  if (letter === undefined) throw new ProblemError(problems.notFound)
  return { status: 200, body: letter }
}
