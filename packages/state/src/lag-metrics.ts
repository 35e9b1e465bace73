import type { Lag } from '@saas/contracts'
import { Gauge, type Registry } from 'prom-client'
import { sql } from './statement.ts'

/** A scrape shows the other metrics when the database or the bus takes longer. */
const TIMEOUT_MS = 2_000
const DEAD_LETTERS_MAX = 1_000

export const countDeadLetters = sql<{ readonly count: number }>(
  'state.count_dead_letters',
  `select count(*)::integer as count
   from (
     select
     from dead_letter
     where replayed_at is null
     limit ${DEAD_LETTERS_MAX + 1}
   ) waiting`,
)

/** What is asked once a scrape. */
export interface LagSource {
  readonly service: string
  lag(): Promise<Lag>
  /** Letters that nobody replayed yet. */
  deadLetters(): Promise<number>
}

/** How far a service is behind, over all its replicas, asked for whenever its metrics are read. Unknown is no value. */
export function exposeLag(registry: Registry, source: LagSource): void {
  const { service } = source
  let asked: ReturnType<typeof ask> | undefined
  const once = (): ReturnType<typeof ask> => {
    asked ??= ask(source).finally(() => {
      asked = undefined
    })
    return asked
  }
  const gauge = <L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    show: (gauge: Gauge<L | 'service'>, known: Known) => void,
  ): void => {
    const shown: Gauge<L | 'service'> = new Gauge({
      name,
      help,
      labelNames: ['service', ...labelNames],
      registers: [registry],
      collect: async () => {
        shown.reset()
        const known = await once()
        if (known !== undefined) show(shown, known)
      },
    })
  }
  gauge('saas_outbox_waiting', 'Outbox rows not yet on the stream, over all replicas', [], (shown, { lag }) =>
    shown.set({ service }, lag.outboxPending),
  )
  gauge(
    'saas_consumer_pending',
    'Messages of the stream not yet delivered to a durable',
    ['durable'],
    (shown, { lag }) => {
      for (const { durable, pending } of lag.consumers) shown.set({ service, durable }, pending)
    },
  )
  gauge(
    'saas_consumer_unacknowledged',
    'Messages delivered to a durable and not yet acknowledged',
    ['durable'],
    (shown, { lag }) => {
      for (const { durable, unacknowledged } of lag.consumers) shown.set({ service, durable }, unacknowledged)
    },
  )
  gauge('saas_stream_used_ratio', 'Bytes in the stream, of what it may hold', [], (shown, { lag }) => {
    if (lag.stream.bytesMax > 0) shown.set({ service }, lag.stream.bytes / lag.stream.bytesMax)
  })
  gauge(
    'saas_dead_letters',
    `Messages that could not be applied and were not replayed; counted up to ${DEAD_LETTERS_MAX + 1}`,
    [],
    (shown, { deadLetters }) => shown.set({ service }, deadLetters),
  )
}

interface Known {
  readonly lag: Lag
  readonly deadLetters: number
}

async function ask(source: LagSource): Promise<Known | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>()
  const timer = setTimeout(() => resolve(undefined), TIMEOUT_MS)
  const known = Promise.all([source.lag(), source.deadLetters()]).then(([lag, deadLetters]) => ({ lag, deadLetters }))
  try {
    return await Promise.race([known.catch(() => undefined), late])
  } finally {
    clearTimeout(timer)
  }
}
