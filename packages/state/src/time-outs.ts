/*
 * What Postgres ends by itself. They are settings of the service role, because a pooler drops those of connections
 * (`provisionService`, and charts/postgres, which a test holds to it); transactions say the last two themselves as well, for roles that
 * somebody else made.
 *
 * A statement ends before its caller gives up (`CONN_TIMEOUT`, 10 s): Postgres then says that nothing was changed, and the other calls of
 * the connection go on. A call that is given up takes those behind it along, and nobody knows what became of it. So a Postgres that is
 * frozen and refuses nobody is noticed late. Measured: a write fails after 10.1 s and a read, which is sent once more, after 11.1; then both
 * after 1 s, until the connection is back; a transaction after 10 s each time, because making a connection is given as long as waiting
 * for a free one. Less needs either statements that may take less, or a question beside them: `Reachability` asks one, but only of a service that
 * stops. A pooler whose connections are all busy answers it as late as a Postgres that is frozen, and to break off then what is
 * only slow would have it sent again, on top of the load. Kubernetes takes a pod out when `/readyz`
 * has failed twice, some ten seconds as well; from then on the edge says 503 at once.
 */

export const STATEMENT_TIMEOUT_MS = 8_000
export const LOCK_TIMEOUT_MS = 500
/** What a replica holds that is frozen, others wait for. A pass of the relay, the longest of all, waits three seconds for the stream, some times over. */
export const IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000
