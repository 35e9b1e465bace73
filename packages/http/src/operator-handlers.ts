import { problems, ProblemError, type DeadLetter, type Lag, type operatorRoutes } from '@saas/contracts'
import type { Handlers } from './call.ts'

/** What the operator routes need of a service's state. */
export interface OperatorState {
  /** Newest first; `next` is the cursor of the following page. A cursor that cannot be read is an `invalid-request`. */
  listDeadLetters(page: {
    readonly limit: number | undefined
    readonly cursor: string | undefined
  }): Promise<{ readonly items: readonly DeadLetter[]; readonly next: string | null }>
  /** Applies it again, or resolves to `undefined` when there is none with this id. */
  replayDeadLetter(id: string): Promise<DeadLetter | undefined>
  lag(): Promise<Lag>
}

type OperatorRoutes = ReturnType<typeof operatorRoutes<'auth' | 'products' | 'orders' | 'notifications'>>

/** The handlers of the routes that every service with a database has. */
export function operatorHandlers(state: OperatorState): Handlers<OperatorRoutes> {
  return {
    listDeadLetters: async ({ query }) => {
      const page = await state.listDeadLetters({ limit: query.limit, cursor: query.cursor })
      return { status: 200, body: { items: [...page.items], next: page.next } }
    },
    replayDeadLetter: async ({ params }) => {
      const replayed = await state.replayDeadLetter(params.id)
      if (replayed === undefined) throw new ProblemError(problems.notFound)
      return { status: 200, body: replayed }
    },
    getLag: async () => ({ status: 200, body: await state.lag() }),
  }
}
