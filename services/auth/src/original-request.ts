import type { IncomingMessage } from 'node:http'

/** The request that the edge asks about. */
export interface OriginalRequest {
  readonly method: string
  /** Path and query as the client sent them. */
  readonly url: string
}

export type Edge = 'nginx' | 'envoy' | 'traefik' | 'caddy'

/** Where Envoy puts the original path behind. */
const ENVOY_PREFIX = '/authz'

/**
 * Reads the original request from the one place where this edge puts it, and from nowhere else: a client may have sent the
 * headers of the others. A header that was sent twice arrives joined by a comma and a space, which no method and no path has.
 */
export function originalRequest(
  request: Pick<IncomingMessage, 'method' | 'url' | 'headers'>,
  edge: Edge,
): OriginalRequest | undefined {
  if (edge === 'envoy') {
    const { method = '', url = '' } = request
    return { method, url: url.startsWith(ENVOY_PREFIX) ? url.slice(ENVOY_PREFIX.length) : '' }
  }
  // Caddy's forward_auth names them as Traefik's ForwardAuth does.
  const prefix = edge === 'nginx' ? 'x-original' : 'x-forwarded'
  const method = request.headers[`${prefix}-method`]
  const url = request.headers[`${prefix}-uri`]
  return typeof method === 'string' && typeof url === 'string' ? { method, url } : undefined
}
