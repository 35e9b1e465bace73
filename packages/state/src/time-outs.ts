/*
 * What Postgres ends by itself. They are settings of the service role, because a pooler drops those of connections
 * (`provisionService`, and charts/postgres, which a test holds to it); transactions say the last two themselves as well, for roles that
 * somebody else made.
 */

export const STATEMENT_TIMEOUT_MS = 8_000
export const LOCK_TIMEOUT_MS = 500
/** What a replica holds that is frozen, others wait for. A pass of the relay, the longest of all, waits three seconds for the stream, some times over. */
export const IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000
