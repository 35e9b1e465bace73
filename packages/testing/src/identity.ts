import { newId } from '@saas/config'
import { createHash } from 'node:crypto'
import type { Route, ServiceName } from '@saas/contracts'
import { INTERNAL_TOKEN_HEADER, signInternalToken, type Identity } from '@saas/http'

/** Who calls, in a test. Without a user id it is somebody new. */
export interface Caller {
  readonly userId?: string
  readonly roles?: Identity['roles']
  readonly sessionId?: string
  /** The token's time, for a service that runs on a fake clock. */
  readonly now?: Date
}

/** The key that auth and this service would share. */
export function internalTokenKey(service: ServiceName): Uint8Array {
  return createHash('sha256').update(`internal token of ${service}, for tests`).digest()
}

/** Headers with the internal token that the edge would add for this caller and this one route. */
export function signedIn(route: Pick<Route, 'id' | 'service'>, caller: Caller = {}): Record<string, string> {
  const claims = {
    audience: route.service,
    routeId: route.id,
    userId: caller.userId ?? newId(),
    roles: caller.roles ?? ['customer'],
    sessionId: caller.sessionId ?? newId(),
  }
  return {
    [INTERNAL_TOKEN_HEADER]: signInternalToken(claims, internalTokenKey(route.service), caller.now ?? new Date()),
  }
}
