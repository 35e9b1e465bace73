import { OUTBOX_ROWS_COUNTED_MAX, type Lag } from '@saas/contracts'
import { Gauge, type Registry } from 'prom-client'
import { KEPT_MAX } from './republication.ts'
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
       and dismissed_at is null
     limit ${DEAD_LETTERS_MAX + 1}
   ) waiting`,
)

/** What is asked once a scrape, each by itself: while the bus is away, what waits for it is what one wants to know. */
export interface LagSource {
  readonly service: string
  outboxPending(): Promise<number>
  /** Messages of a lost stream that do not wait for their publication yet, as far as they are found. */
  kept(): Promise<number>
  /** Of the bus. */
  behind(): Promise<Omit<Lag, 'outboxPending'>>
  /** Letters that are open. */
  deadLetters(): Promise<number>
}

/** How far a service is behind, over all its replicas, asked for whenever its metrics are read. Unknown is no value. */
export function exposeLag(registry: Registry, source: LagSource): void {
  const { service } = source
  const outboxPending = oncePerScrape(() => source.outboxPending())
  const kept = oncePerScrape(() => source.kept())
  const behind = oncePerScrape(() => source.behind())
  const deadLetters = oncePerScrape(() => source.deadLetters())
  const gauge = <L extends string, T>(
    name: string,
    help: string,
    labelNames: readonly L[],
    once: () => Promise<T | undefined>,
    show: (gauge: Gauge<L | 'service'>, known: T) => void,
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
  gauge(
    'saas_outbox_waiting',
    `Outbox rows not yet on the stream, over all replicas, counted up to ${OUTBOX_ROWS_COUNTED_MAX + 1}`,
    [],
    outboxPending,
    (shown, rows) => shown.set({ service }, rows),
  )
  gauge(
    'saas_republication_waiting',
    `Messages that a lost stream had and this one has not, beyond those of saas_outbox_waiting; at least 1 while they are being found, and counted up to ${KEPT_MAX + 1}`,
    [],
    kept,
    (shown, rows) => shown.set({ service }, rows),
  )
  gauge(
    'saas_consumer_pending',
    'Messages of the stream not yet delivered to a durable',
    ['durable'],
    behind,
    (shown, { consumers }) => {
      for (const { durable, pending } of consumers) shown.set({ service, durable }, pending)
    },
  )
  gauge(
    'saas_consumer_unacknowledged',
    'Messages delivered to a durable and not yet acknowledged',
    ['durable'],
    behind,
    (shown, { consumers }) => {
      for (const { durable, unacknowledged } of consumers) shown.set({ service, durable }, unacknowledged)
    },
  )
  gauge('saas_stream_used_ratio', 'Bytes in the stream, of what it may hold', [], behind, (shown, { stream }) => {
    if (stream.bytesMax > 0) shown.set({ service }, stream.bytes / stream.bytesMax)
  })
  gauge(
    'saas_dead_letters',
    `Messages that could not be applied, neither replayed nor dismissed yet; counted up to ${DEAD_LETTERS_MAX + 1}`,
    [],
    deadLetters,
    (shown, letters) => shown.set({ service }, letters),
  )
}

/** Whoever asks while an answer is under way gets the same. */
function oncePerScrape<T>(ask: () => Promise<T>): () => Promise<T | undefined> {
  let asked: Promise<T | undefined> | undefined
  return () => {
    asked ??= inTime(ask()).finally(() => {
      asked = undefined
    })
    return asked
  }
}

async function inTime<T>(answer: Promise<T>): Promise<T | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>()
  const timer = setTimeout(() => resolve(undefined), TIMEOUT_MS)
  try {
    return await Promise.race([answer.catch(() => undefined), late])
  } finally {
    clearTimeout(timer)
  }
}
