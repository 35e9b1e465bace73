/**
 * What a request may cost. Everything a stranger sends is bounded here; `upload` routes name their own body limit.
 */

/** The largest JSON body. An order of 100 lines has 10 kB, the longest product description 40 kB. */
export const BODY_BYTES_MAX = 131_072
/** All request headers together; Node answers more with 431. */
export const HEADER_BYTES_MAX = 16_384
/** Path and query. A hundred ids in `?ids=` take 3,700. */
export const URL_LENGTH_MAX = 8_192
/** Nesting of objects and arrays in a JSON body. */
export const JSON_DEPTH_MAX = 32
/** Places that an `invalid-request` problem lists; what is beyond is found at the next try. */
export const FIELD_ERRORS_MAX = 20

/** From the first byte of a request to its last. */
export const RECEIVE_TIMEOUT_MS = 30_000
/** From a whole request to its answer. More than the longest `Prefer: wait`, which is 30 seconds. */
export const HANDLER_TIMEOUT_MS = 40_000
/** How long a `transfer` route may stand still, neither reading nor writing; it has no other time-out. */
export const TRANSFER_IDLE_MS = 60_000
/** Longer than the edge keeps an idle connection (60 s), so that the edge closes it, never we under a request. */
export const KEEP_ALIVE_MS = 75_000
/** For one readiness check. */
export const CHECK_TIMEOUT_MS = 2_000

/** While stopping: how long an idle connection may still bring a request, which is answered with `Connection: close`. */
export const IDLE_GRACE_MS = 500
/** While stopping: how long connections that the kernel has are still taken, before the port closes. */
export const TAKING_MAX_MS = 1_000
/**
 * While stopping: how long what has begun may still take, requests and whatever else is sent at the same time. Who gives a service less
 * than this and STOP_REST_MS cuts something off; charts/lib and docker/compose.yaml are held to it.
 */
export const STOP_DEADLINE_MS = 25_000
/** After that: what a service takes to let go of its database, the bus and the receiver of its spans. */
export const STOP_REST_MS = 15_000

/** Between two comment lines on a silent event stream, so that proxies keep it open. */
export const EVENT_STREAM_HEARTBEAT_MS = 15_000
