import { allRoutes, permissionsByRole, type Role, type Route } from '@saas/contracts'

/**
 * What the contract says of a request, told once more without any code of the edge's or of auth's: plain comparison of
 * segments, no router and no pattern of nginx. The differential test compares both.
 */

/** Who presents what, as far as it decides. */
export interface Credential {
  readonly name: string
  /** Absent for nobody, and for whoever presents something that is worth nothing. */
  readonly userId?: string
  readonly role?: Role
}

/** What has to become of a request. */
export type Verdict =
  | { readonly kind: 'through'; readonly route: Route; readonly userId: string | undefined }
  | { readonly kind: 'refused'; readonly status: number }

/** Of one segment that stands for a parameter. */
const PARAM_CHARACTERS_MAX = 512
const PLAIN = /^[A-Za-z0-9._~@:=+,-]+$/

/** The verdict on a request that is well formed but for its target. */
export function verdictOn(method: string, target: string, credential: Credential): Verdict {
  const path = pathOf(target)
  if (path === undefined) return { kind: 'refused', status: 400 }
  const route = routeOf(method === 'HEAD' ? 'GET' : method, path)
  if (route === undefined || route.access === 'internal') return { kind: 'refused', status: 404 }
  if (route.access === 'anyone') return { kind: 'through', route, userId: undefined }
  if (credential.role === undefined) return { kind: 'refused', status: 401 }
  const { access } = route
  const may = access === 'user' || permissionsByRole[credential.role].includes(access)
  return may ? { kind: 'through', route, userId: credential.userId } : { kind: 'refused', status: 403 }
}

/** The segments of a path that is written the one way; a last one that is empty is a path of its own. */
function pathOf(target: string): readonly string[] | undefined {
  // An absolute target says the same as its path, whatever its scheme (RFC 9112, 3.2.2); a name and password in it say nothing.
  const local = /^[a-z]+:\/\/[a-z0-9.-]+(?::\d+)?(?<rest>.*)$/is.exec(target)?.groups?.['rest'] ?? target
  if (!local.startsWith('/') || local.includes('#')) return undefined
  const [path = ''] = local.split('?', 1)
  const segments = path.slice(1).split('/')
  const isPlain = segments.every(
    (segment, index) =>
      (segment === '' && index === segments.length - 1) || (PLAIN.test(segment) && segment !== '.' && segment !== '..'),
  )
  return isPlain ? segments : undefined
}

function routeOf(method: string, segments: readonly string[]): Route | undefined {
  const candidates = allRoutes.filter((route) => {
    const declared = route.path.slice(1).split('/')
    return (
      route.method === method &&
      declared.length === segments.length &&
      declared.every((part, index) => (part.startsWith('{') ? isParam(segments[index]) : part === segments[index]))
    )
  })
  // A name goes before a parameter, at the first place where two paths differ.
  const rank = (route: Route): string => route.path.replaceAll(/\{\w+\}/g, '\uffff')
  return candidates.toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1))[0]
}

function isParam(segment = ''): boolean {
  return segment !== '' && segment.length <= PARAM_CHARACTERS_MAX
}
