import { colonPath, PARAM_LENGTH_MAX, type Route } from '@saas/contracts'
import Router from 'find-my-way'

const URL_LENGTH_MAX = 8_192

const PATH = /^(?:\/[A-Za-z0-9._~@:=+,-]+)+$/

/**
 * Whether a path has the one form that the edge, this service and every other read alike: segments that are neither empty nor dots,
 * of characters that need no encoding. No id, key or name of the contracts needs another, so nothing is decoded anywhere.
 */
export function isCanonical(path: string): boolean {
  if (path === '/') return true
  if (path.length > URL_LENGTH_MAX || !PATH.test(path)) return false
  return path.split('/').every((segment) => segment !== '.' && segment !== '..')
}

/** Which route a request is for, by the contracts alone, matched by the router that Fastify matches with. */
export class Policy {
  readonly #router = Router({ maxParamLength: PARAM_LENGTH_MAX })
  /** Those without a parameter, by path and method: the router prefers them as well, and they are asked about most. */
  readonly #plain = new Map<string, Map<string, Route>>()

  constructor(routes: readonly Route[]) {
    for (const route of routes) {
      this.#router.on(route.method, colonPath(route.path), () => undefined, route)
      if (route.path.includes('{') || !isCanonical(route.path)) continue
      const byMethod = this.#plain.get(route.path) ?? new Map<string, Route>()
      this.#plain.set(route.path, byMethod.set(route.method, route))
    }
  }

  /** The route of a request, or `undefined` when no route has this method and path. HEAD is its GET. */
  routeOf(method: string, url: string): Route | undefined {
    // No request has a fragment, and a proxy that lets one pass may cut it off where another does not.
    if (url.includes('#')) return undefined
    const queryAt = url.indexOf('?')
    const path = queryAt < 0 ? url : url.slice(0, queryAt)
    const asked = method === 'HEAD' ? 'GET' : method
    const plain = this.#plain.get(path)?.get(asked)
    if (plain !== undefined) return plain
    if (!isCanonical(path)) return undefined
    const matched = this.#router.find(asked as 'GET', path)
    return matched === null ? undefined : (matched.store as Route)
  }
}
