import type { Route } from '@saas/contracts'
import type { Call } from '@saas/http'

/** A request and its reply as the http package hands them to a handler. */
export type Request = Call<Route>['request']
export type Reply = Call<Route>['reply']
