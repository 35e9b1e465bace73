import { colonPath, type Route } from '@saas/contracts'
import Router from 'find-my-way'

const URL_LENGTH_MAX = 8_192
/** As in the services' own routers, so that both find the same route. */
const PARAM_LENGTH_MAX = 512

const PATH = /^(?:\/(?:[A-Za-z0-9\-._~!$&'()*+,=:@]|%[0-9A-Fa-f]{2})*)+$/
/** Encoded letters, digits and `-._~`, which need no encoding, and encoded control characters, `%`, `/`, `;`, `\`, `?` and `#`. */
const MISENCODED = /%(?:2[dDeEfF3-35]|3[0-9bBfF]|4[1-9a-fA-F]|5[0-9aAcCfF]|6[1-9a-fA-F]|7[0-9aAeEfF]|[01][0-9a-fA-F])/

/**
 * Whether a path has the one form that the edge, this service and every other read alike: no empty and no dot segments, no
 * trailing slash, nothing encoded that need not be, nothing that is a separator to anybody.
 */
export function isCanonical(path: string): boolean {
  if (path.length > URL_LENGTH_MAX || !PATH.test(path)) return false
  if (path.includes('%') && MISENCODED.test(path)) return false
  if (path === '/') return true
  return path
    .slice(1)
    .split('/')
    .every((segment) => segment !== '' && segment !== '.' && segment !== '..')
}

/** Which route a request is for, by the contracts alone, matched by the router that Fastify matches with. */
export class Policy {
  readonly #router = Router({ maxParamLength: PARAM_LENGTH_MAX })

  constructor(routes: readonly Route[]) {
    for (const route of routes) this.#router.on(route.method, colonPath(route.path), () => undefined, route)
  }

  /** The route of a request, or `undefined` when no route has this method and path. HEAD is its GET. */
  routeOf(method: string, url: string): Route | undefined {
    const queryAt = url.indexOf('?')
    const path = queryAt < 0 ? url : url.slice(0, queryAt)
    if (!isCanonical(path)) return undefined
    const matched = this.#router.find((method === 'HEAD' ? 'GET' : method) as 'GET', path)
    return matched === null ? undefined : (matched.store as Route)
  }
}
