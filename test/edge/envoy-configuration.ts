import type { ServiceName } from '@saas/contracts'

/** An object of one of the worked examples. */
export interface Applied {
  readonly kind: string
  readonly spec: unknown
}

/** What the examples say of asking auth, whichever of the two ways they say it in. */
interface Asking {
  readonly path: string
  readonly requestHeaders: readonly string[]
  readonly answerHeaders: readonly string[]
  readonly failOpen: boolean
  readonly statusOnError?: number
}

interface Filter {
  readonly type: string
  readonly requestHeaderModifier?: { readonly remove: readonly string[] }
  readonly externalAuth?: {
    readonly http: { readonly path: string; readonly allowedResponseHeaders: readonly string[] }
  }
}

interface Rule {
  readonly matches: readonly { readonly path: { readonly type: string; readonly value: string } }[]
  readonly filters?: readonly Filter[]
  readonly backendRefs: readonly { readonly name: string }[]
}

interface Policy {
  readonly extAuth: {
    readonly failOpen: boolean
    readonly statusOnError: number
    readonly headersToExtAuth: readonly string[]
    readonly http: { readonly path: string; readonly headersToBackend: readonly string[] }
  }
}

interface ClientTraffic {
  readonly headers: {
    readonly withUnderscoresAction: string
    readonly earlyRequestHeaders: { readonly remove: string[] }
  }
  readonly path: { readonly escapedSlashesAction: string; readonly disableMergeSlashes: boolean }
}

/** Where the parts are on this machine, as `host:port`. */
export interface Places {
  readonly port: number
  readonly auth: string
  readonly services: Readonly<Record<ServiceName, string>>
}

const extension = (path: string) => `type.googleapis.com/envoy.extensions.${path}`

/**
 * An example as the configuration of Envoy that a gateway makes of it: a gateway's own program would run in a cluster only. What it does without
 * being told is written as Envoy Gateway does it: paths are normalised, and a prefix ends at a slash. Held once against what its own translator
 * makes of the example (docs/decisions/0125).
 */
export function envoyConfiguration(applied: readonly Applied[], places: Places): object {
  const specOf = (kind: string): unknown => applied.find((object) => object.kind === kind)?.spec
  const { rules = [] } = (specOf('HTTPRoute') ?? {}) as { rules?: readonly Rule[] }
  const client = specOf('ClientTrafficPolicy') as ClientTraffic | undefined
  const asking = askingOf(specOf('SecurityPolicy') as Policy | undefined, rules)
  const manager = {
    '@type': extension('filters.network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: 'shop',
    use_remote_address: true,
    normalize_path: true,
    merge_slashes: client?.path.disableMergeSlashes !== true,
    ...(client?.path.escapedSlashesAction === 'RejectRequest' && {
      path_with_escaped_slashes_action: 'REJECT_REQUEST',
    }),
    ...(client?.headers.withUnderscoresAction === 'DropHeader' && {
      common_http_protocol_options: { headers_with_underscores_action: 'DROP_HEADER' },
    }),
    ...(client !== undefined && {
      early_header_mutation_extensions: [removal(client.headers.earlyRequestHeaders.remove)],
    }),
    http_filters: [
      { name: 'envoy.filters.http.ext_authz', typed_config: question(asking) },
      { name: 'envoy.filters.http.router', typed_config: { '@type': extension('filters.http.router.v3.Router') } },
    ],
    route_config: {
      virtual_hosts: [
        {
          name: 'shop',
          domains: ['*'],
          routes: rules
            .flatMap(routesOf)
            .toSorted(byLength)
            .map(({ route }) => route),
        },
      ],
    },
  }
  const addresses = { ask: places.auth, ...places.services }
  return {
    static_resources: {
      listeners: [
        {
          address: socketAddress(`127.0.0.1:${places.port}`),
          filter_chains: [
            { filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }] },
          ],
        },
      ],
      clusters: Object.entries(addresses).map(([name, address]) => ({
        name,
        connect_timeout: '5s',
        load_assignment: {
          cluster_name: name,
          endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress(address) } }] }],
        },
      })),
    },
  }
}

function askingOf(policy: Policy | undefined, rules: readonly Rule[]): Asking {
  if (policy !== undefined) {
    const { failOpen, statusOnError, headersToExtAuth, http } = policy.extAuth
    const headers = { requestHeaders: headersToExtAuth, answerHeaders: http.headersToBackend }
    return { path: http.path, ...headers, failOpen, statusOnError }
  }
  const filters = rules.map((rule) => rule.filters?.find(({ type }) => type === 'ExternalAuth')?.externalAuth)
  const [first] = filters
  if (first === undefined || filters.some((filter) => JSON.stringify(filter) !== JSON.stringify(first)))
    throw new Error('Not every route asks auth in the same way')
  // The filter always passes this header on, and fails closed.
  const { path, allowedResponseHeaders } = first.http
  return { path, requestHeaders: ['authorization'], answerHeaders: allowedResponseHeaders, failOpen: false }
}

function question({ path, requestHeaders, answerHeaders, failOpen, statusOnError }: Asking): object {
  const names = (headers: readonly string[]) => ({ patterns: headers.map((exact) => ({ exact, ignore_case: true })) })
  return {
    '@type': extension('filters.http.ext_authz.v3.ExtAuthz'),
    transport_api_version: 'V3',
    failure_mode_allow: failOpen,
    ...(statusOnError !== undefined && { status_on_error: { code: statusOnError } }),
    allowed_headers: names(requestHeaders),
    http_service: {
      server_uri: { uri: 'http://saas-auth:3000', cluster: 'ask', timeout: '10s' },
      path_prefix: path,
      authorization_response: { allowed_upstream_headers: names(answerHeaders) },
    },
  }
}

function removal(headers: readonly string[]): object {
  return {
    name: 'envoy.http.early_header_mutation.header_mutation',
    typed_config: {
      '@type': extension('http.early_header_mutation.header_mutation.v3.HeaderMutation'),
      mutations: headers.map((remove) => ({ remove })),
    },
  }
}

interface Routed {
  readonly length: number
  readonly route: object
}

function routesOf({ matches, filters = [], backendRefs }: Rule): Routed[] {
  const cluster = String(backendRefs[0]?.name).replace('saas-', '')
  const removed = filters.flatMap(({ requestHeaderModifier }) => requestHeaderModifier?.remove ?? [])
  return matches.map(({ path: { type, value } }) => {
    const prefix = value === '/' ? { prefix: '/' } : { path_separated_prefix: value }
    const match = type === 'Exact' ? { path: value } : prefix
    return {
      length: value.length,
      route: { match, route: { cluster }, ...(removed.length > 0 && { request_headers_to_remove: removed }) },
    }
  })
}

/** The Gateway API wants the longest to win; Envoy takes the first. */
const byLength = (a: Routed, b: Routed): number => b.length - a.length

function socketAddress(address: string): object {
  const [host, port] = address.split(':')
  return { socket_address: { address: host, port_value: Number(port) } }
}
