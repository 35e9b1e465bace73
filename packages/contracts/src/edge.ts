import { PARAM_LENGTH_MAX, serviceNames, type Route, type ServiceName } from './route.ts'
import * as problems from './problems.ts'
import type { Problem } from './problem.ts'

/**
 * The parts of the edge's nginx configuration that follow from the contracts. Pure functions of the routes; `pnpm
 * generate` writes their text into `charts/edge/files`.
 */

const GENERATED = '# Generated from packages/contracts by `pnpm generate`. Do not edit.\n'
const INDENT = '  '
/** The largest `proxy_next_upstream_tries` in the edge's files: that of sought.conf. */
const ATTEMPTS_MAX = 8

/** What the proxying of a path needs beyond the ordinary. */
interface Traits {
  /** POST and PATCH here may be sent to another replica after the first one died. */
  readonly repeatable: boolean
  /** They may be when the client sent a key. */
  readonly keyed: boolean
  readonly cacheSeconds: number | undefined
  readonly bodyBytesMax: number | undefined
  readonly streams: boolean
  readonly transfers: boolean
  /** What one replica does not have another may. */
  readonly sought: boolean
}

interface PathGroup {
  readonly path: string
  readonly service: ServiceName
  readonly traits: Traits
}

/**
 * `routes.conf`: two maps at http level. `$route` is the id of the contract's route, empty for what is not in the
 * contract; `$route_access` says whether auth is asked. HEAD is its GET.
 *
 * nginx finds a plain key at once and tries patterns one after another, so a path without parameters is a plain key. It compares
 * those without regard to case: a path with a capital letter is marked, and no plain key has that mark.
 */
export function edgeRoutes(routes: readonly Route[]): string {
  const shown = reachable(routes).toSorted((a, b) => byStaticFirst(a.path, b.path))
  const lines = shown.map((route) => `${quote(mapKey(route))} ${route.id};`)
  const open = shown.filter((route) => route.access === 'anyone').map((route) => `${route.id} anyone;`)
  return [
    GENERATED,
    block('map $uri $letters', ['default small;', "'~[A-Z]' mixed;"]),
    block('map "$letters $route_method $uri" $route', ['default $unlisted_route;', ...lines]),
    block('map $route $route_access', ['default protected;', 'development anyone;', ...open]),
    '# Auth may know better why it refused.',
    block('map $refusal $forbidden_problem', [
      `default ${quote(problemText(problems.forbidden))};`,
      `${problems.secondFactorRequired.name} ${quote(problemText(problems.secondFactorRequired))};`,
    ]),
  ].join('\n')
}

/**
 * `locations.conf`: the locations of a server. A path is matched exactly, or by a prefix that ends in a slash, so
 * `/order` never catches `/orders`. Whatever differs from the ordinary below a prefix is a pattern inside it.
 */
export function edgeLocations(routes: readonly Route[]): string {
  const groups = pathGroups(reachable(routes))
  const exact = groups.filter((group) => !group.path.includes('{'))
  const prefixes = Map.groupBy(
    groups.filter((group) => group.path.includes('{')),
    (group) => group.path.slice(0, group.path.indexOf('{')),
  )
  return [
    GENERATED,
    ...exact.map((group) => exactLocation(group)),
    ...[...prefixes].map(([prefix, members]) => prefixLocation(prefix, members)),
    ...problemLocations(),
  ].join('\n')
}

/** `request-headers.conf`: the only headers of a request that reach a service, besides those the edge makes. */
export function edgeRequestHeaders(routes: readonly Route[]): string {
  const declared = reachable(routes).flatMap((route) => Object.keys(route.headers?.properties ?? {}))
  const refused = declared.filter((name) => neverForwarded.has(name))
  if (refused.length > 0) throw new Error(`The edge never forwards ${refused.join(', ')}`)
  // Not in the cached locations, so it is set with each of the others.
  const names = [...new Set([...commonHeaders, ...declared])].filter((name) => name !== 'if-none-match').toSorted()
  const lines = names.map((name) => `proxy_set_header ${titleCase(name)} $http_${name.replaceAll('-', '_')};`)
  return [GENERATED, ...lines, ''].join('\n')
}

const commonHeaders = [
  'accept',
  'accept-language',
  'content-encoding',
  'content-type',
  'origin',
  'prefer',
  'sec-fetch-site',
  'traceparent',
  'tracestate',
  'user-agent',
]

/** What says who somebody is reaches auth alone, or nobody. */
const neverForwarded = new Set([
  'authorization',
  'cookie',
  'x-internal-token',
  'x-request-id',
  'x-forwarded-for',
  'host',
])

function reachable(routes: readonly Route[]): readonly Route[] {
  return routes.filter((route) => route.access !== 'internal')
}

function pathGroups(routes: readonly Route[]): readonly PathGroup[] {
  return [...Map.groupBy(routes, (route) => route.path)].map(([path, members]) => {
    const services = [...new Set(members.map((route) => route.service))]
    const [service] = services
    if (service === undefined || services.length > 1) throw new Error(`${path} belongs to ${services.join(' and ')}`)
    return { path, service, traits: traitsOf(members) }
  })
}

function traitsOf(routes: readonly Route[]): Traits {
  // nginx never repeats these once they were sent, unless it is told that they may be.
  const writes = routes.filter((route) => route.method === 'POST' || route.method === 'PATCH')
  const isKeyed = (route: Route) => Object.hasOwn(route.headers?.properties ?? {}, 'idempotency-key')
  return {
    repeatable: writes.length > 0 && writes.every((route) => route.repeatable === true),
    keyed: writes.length > 0 && writes.every((route) => route.repeatable === true || isKeyed(route)),
    cacheSeconds: routes.find((route) => route.edgeCacheSeconds !== undefined)?.edgeCacheSeconds,
    bodyBytesMax: routes.find((route) => route.upload !== undefined)?.upload?.bytesMax,
    transfers: routes.some((route) => route.transfer === true),
    sought: routes.some((route) => route.perRelease === true),
    streams: routes.some((route) =>
      Object.values(route.responses).some(
        (response) => 'content' in response && response.content === 'text/event-stream',
      ),
    ),
  }
}

function exactLocation({ path, service, traits }: PathGroup): string {
  if (!traits.keyed || traits.repeatable) return block(`location = ${path}`, forwarding(service, traits))
  const name = path.slice(1).replaceAll('/', '_')
  return [
    block(`location = ${path}`, [
      '# Serves nothing: only sends on to one of the two locations below, which both ask auth.',
      'include error-pages.conf;',
      `error_page 418 = @${name}_keyed;`,
      `error_page 419 = @${name}_unkeyed;`,
      'if ($http_idempotency_key) { return 418; }',
      'return 419;',
    ]),
    block(`location @${name}_keyed`, forwarding(service, { ...traits, repeatable: true })),
    block(`location @${name}_unkeyed`, forwarding(service, traits)),
  ].join('\n')
}

function prefixLocation(prefix: string, members: readonly PathGroup[]): string {
  const [first] = members
  if (first === undefined || members.some((member) => member.service !== first.service)) {
    throw new Error(`Paths below ${prefix} belong to several services`)
  }
  const special = members.filter(({ traits }) => isSpecial(traits))
  const plain: Traits = {
    repeatable: false,
    keyed: false,
    cacheSeconds: undefined,
    bodyBytesMax: undefined,
    streams: false,
    transfers: false,
    sought: false,
  }
  return block(`location ^~ ${prefix}`, [
    ...forwarding(first.service, plain),
    ...special.flatMap(({ path, service, traits }) =>
      block(`location ~ ${quote(`^${pattern(path)}$`)}`, forwarding(service, traits))
        .trimEnd()
        .split('\n'),
    ),
  ])
}

function isSpecial(traits: Traits): boolean {
  const { repeatable, streams, transfers, sought, cacheSeconds, bodyBytesMax } = traits
  return repeatable || streams || transfers || sought || cacheSeconds !== undefined || bodyBytesMax !== undefined
}

function forwarding(service: ServiceName, traits: Traits): readonly string[] {
  return [
    'include forward.conf;',
    ...(service === 'auth' ? ['include credentials.conf;'] : []),
    ...(service === 'frontend' ? ['include pages.conf;'] : []),
    // A cached answer must be whole, so the condition is not passed on; nginx answers 304 itself.
    ...(traits.cacheSeconds === undefined ? ['proxy_set_header If-None-Match $http_if_none_match;'] : []),
    ...(traits.repeatable ? ['proxy_next_upstream error timeout non_idempotent;'] : []),
    ...(traits.streams ? ['include event-stream.conf;'] : []),
    ...(traits.transfers ? ['include transfer.conf;'] : []),
    ...(traits.sought ? ['include sought.conf;'] : []),
    ...(traits.bodyBytesMax === undefined ? [] : [`client_max_body_size ${traits.bodyBytesMax};`]),
    ...(traits.cacheSeconds === undefined
      ? []
      : ['include cache.conf;', `proxy_cache_valid 200 ${traits.cacheSeconds}s;`]),
    `proxy_pass http://${service};`,
  ]
}

/**
 * Where nginx itself refuses; `error-pages.conf` leads here. A client gets the problem. A person, who navigates, gets the shop's
 * document with the same status, in which the router says that there is no such page; while nothing answers, a page that needs no service.
 */
function problemLocations(): readonly string[] {
  const answer = (location: string, text: string, status: number, ...extra: readonly string[]) =>
    block(`location ${location}`, [...extra, 'include response-headers.conf;', `return ${status} ${text};`])
  const client = (name: string, problem: Problem, ...extra: readonly string[]) =>
    answer(`@${name}_client`, quote(problemText(problem)), problem.status, VARIES, ...extra)
  const person = (name: string) => block(`location @${name}_person`, ['include document.conf;'])
  return [
    client('invalid_request', problems.invalidRequest),
    person('invalid_request'),
    // What cannot even be parsed has no path, and without one nginx leads to no named location.
    answer('= /_problem/invalid-request', quote(problemText(problems.invalidRequest)), 400, 'internal;'),
    // WWW-Authenticate is there already: nginx keeps what auth said.
    client('not_signed_in', problems.notSignedIn),
    person('not_signed_in'),
    // Nobody who navigates is somebody to auth, so nobody is somebody who may not.
    answer('@forbidden', '$forbidden_problem', problems.forbidden.status),
    client('not_found', problems.notFound),
    person('not_found'),
    answer('@body_too_large', quote(problemText(problems.bodyTooLarge)), problems.bodyTooLarge.status),
    client('dependency_unavailable', problems.dependencyUnavailable, RETRY),
    answer(
      '@dependency_unavailable_person',
      '$unavailable_page',
      problems.dependencyUnavailable.status,
      "add_header Vary 'Accept, Accept-Language, Authorization' always;",
      'add_header Cache-Control no-store always;',
      RETRY,
      'set $answer unavailable;',
      "default_type 'text/html; charset=utf-8';",
    ),
  ]
}

/** The same path is a page for a person and a problem for a client. */
const VARIES = "add_header Vary 'Accept, Authorization' always;"
const RETRY = 'add_header Retry-After 1 always;'

function problemText({ type, title, status }: Problem): string {
  const body = JSON.stringify({ type, title, status, instance: 'urn:uuid:$request_uuid' })
  if (body.replace('$request_uuid', '').includes('$')) throw new Error(`${type} has a $ in it`)
  return body
}

function mapKey({ id, method, path }: Route): string {
  if (path.includes('{')) return `~^\\w+ ${method} ${pattern(path)}$`
  if (path !== path.toLowerCase()) throw new Error(`The path of ${id} has a capital letter`)
  return `small ${method} ${path}`
}

function pattern(path: string): string {
  return path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, `[^/]{1,${PARAM_LENGTH_MAX}}`)
}

/** At the first place where two paths differ a name goes before a parameter, as the services' router decides. */
function byStaticFirst(a: string, b: string): number {
  const rank = (path: string) => path.replaceAll(/\{\w+\}/g, '\uffff')
  return rank(a) < rank(b) ? -1 : Number(rank(a) > rank(b))
}

function block(head: string, lines: readonly string[]): string {
  return `${head} {\n${lines.map((line) => `${INDENT}${line}\n`).join('')}}\n`
}

function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`\'`)}'`
}

function titleCase(name: string): string {
  return name.replaceAll(/(^|-)([a-z])/g, (_, before: string, letter: string) => before + letter.toUpperCase())
}

/** What differs between environments. */
export interface EdgeEnvironment {
  /** nginx `listen` values, such as `127.0.0.1:8080`. */
  readonly listen: readonly string[]
  /** Where each service's replicas are, as `host:port`. */
  readonly upstreams: Readonly<Record<ServiceName, readonly string[]>>
  /** Where people reach the shop; decides what is said about the scheme. */
  readonly publicUrl: string
  /** Proxies in front of the edge. */
  readonly trustedHops: number
  /** A path nginx can open for appending. */
  readonly accessLog: string
  /** The front end is a development server with hot reload: its modules and web socket are reachable. */
  readonly developmentServer?: boolean
}

/** `upstreams.conf`: the one file that differs between environments. */
export function edgeUpstreams(environment: EdgeEnvironment): string {
  const isDevelopment = environment.developmentServer === true
  const scheme = new URL(environment.publicUrl).protocol.slice(0, -1)
  const client = `~(?:^|,\\s*)(?<hop>[^,\\s]+)(?:\\s*,\\s*[^,\\s]+){${environment.trustedHops}}$`
  return [
    ...serviceNames.map((service) => upstream(service, environment.upstreams[service])),
    block('map "" $public_scheme', [`default ${scheme};`]),
    '# Counted from the right: what stands further left was written by the client itself.',
    block('map $proxy_add_x_forwarded_for $client_address', ['default $remote_addr;', `${quote(client)} $hop;`]),
    block('map "$request_method $uri" $unlisted_route', [
      "default '';",
      ...(isDevelopment
        ? [String.raw`'~^GET /(@|node_modules/|[^?]*\.(tsx?|m?js|json|css|svg|png|woff2|map)$)' development;`]
        : []),
    ]),
    block('map $http_upgrade $development_upgrade', [
      "default '';",
      ...(isDevelopment ? ['websocket websocket;'] : []),
    ]),
    block('map "" $development', [`default ${isDevelopment ? 'yes' : 'no'};`]),
    `access_log ${environment.accessLog} edge buffer=64k flush=1s;\n`,
    block('server', [...environment.listen.map((address) => `listen ${address};`), 'include server.conf;']),
  ].join('\n')
}

/**
 * nginx sends a request to each line of an upstream once at most, so that a single address, such as a Service of Kubernetes with all
 * its replicas behind it, stands as often as anything is ever tried (`proxy_next_upstream_tries`). Several stand in turns, so
 * that the next try meets another. None is ever put aside.
 */
function upstream(service: ServiceName, addresses: readonly string[]): string {
  const rounds = Math.max(2, Math.ceil(ATTEMPTS_MAX / addresses.length))
  const servers = Array.from({ length: rounds }, () => addresses).flat()
  const lines = servers.map((address) => `server ${address} max_fails=0;`)
  return block(`upstream ${service}`, [...lines, 'keepalive 64;', 'keepalive_timeout 60s;'])
}
