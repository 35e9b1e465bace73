import { Counter, Gauge, Histogram, Registry, type Metric } from 'prom-client'
import type { MailKind } from '@saas/contracts'
import type { Mails } from './mails.ts'

const WAIT_BUCKETS_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 60, 300, 1_800, 3_600, 14_400, 86_400]
const ATTEMPT_BUCKETS_SECONDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/** What becomes of mails; `failed` counts attempts that are followed by another. */
export type MailOutcome = 'queued' | 'sent' | 'failed' | 'dead' | 'cancelled'

/** What this replica did with mails, and how many of all wait. */
export class MailMetrics {
  readonly #registry = new Registry()
  readonly #mails: Counter<'kind' | 'outcome'>
  readonly #waits: Histogram<'kind'>
  readonly #attempts: Histogram<'server' | 'outcome'>

  constructor(mails: Mails, now: () => Date) {
    const registers = [this.#registry]
    this.#mails = new Counter({
      name: 'saas_mails_total',
      help: 'Mails by what became of them: queued, sent, failed (an attempt, to be repeated), dead, cancelled',
      labelNames: ['kind', 'outcome'],
      registers,
    })
    this.#waits = new Histogram({
      name: 'saas_mail_wait_seconds',
      help: 'From the row of a mail to the server that accepted it',
      labelNames: ['kind'],
      buckets: WAIT_BUCKETS_SECONDS,
      registers,
    })
    this.#attempts = new Histogram({
      name: 'saas_smtp_attempt_seconds',
      help: 'Attempts to hand a mail to a mail server, by what came of them',
      labelNames: ['server', 'outcome'],
      buckets: ATTEMPT_BUCKETS_SECONDS,
      registers,
    })
    // A scrape shows the other metrics while the database is away.
    const backlog = async () => await mails.backlog(now()).catch(() => undefined)
    const due: Gauge = new Gauge({
      name: 'saas_mails_due',
      help: 'Mails that wait to be sent or tried again, over all replicas; counted up to 100001',
      registers,
      collect: async () => due.set((await backlog())?.count ?? Number.NaN),
    })
    const overdue: Gauge = new Gauge({
      name: 'saas_mail_overdue_seconds',
      help: 'For how long the oldest mail has been due, over all replicas; 0 when none is',
      registers,
      collect: async () => overdue.set((await backlog())?.overdueSeconds ?? Number.NaN),
    })
  }

  count(kind: MailKind, outcome: MailOutcome, count = 1): void {
    this.#mails.inc({ kind, outcome }, count)
  }

  observeWait(kind: MailKind, seconds: number): void {
    this.#waits.observe({ kind }, Math.max(0, seconds))
  }

  observeAttempt(server: string, outcome: string, seconds: number): void {
    this.#attempts.observe({ server, outcome }, seconds)
  }

  /** Shows them in a service's own metrics. */
  expose(registry: Registry): void {
    for (const metric of this.#registry.getMetricsAsArray()) registry.registerMetric(metric as unknown as Metric)
  }
}
