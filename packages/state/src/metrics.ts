import { Counter, Gauge, Histogram, Registry } from 'prom-client'

/** The metrics of everything this package does; a service's operations server shows them next to its own. */
export const stateMetrics = new Registry()

const registers = [stateMetrics]

export const outboxPending = new Gauge({
  name: 'saas_outbox_pending',
  help: 'Outbox rows that the last pass of this replica found unpublished',
  labelNames: ['service'],
  registers,
})

export const published = new Counter({
  name: 'saas_messages_published_total',
  help: 'Messages that the stream acknowledged',
  labelNames: ['service'],
  registers,
})

export const publishFailures = new Counter({
  name: 'saas_messages_publish_failures_total',
  help: 'Publications that were not acknowledged in time and are tried again',
  labelNames: ['service'],
  registers,
})

export const consumed = new Counter({
  name: 'saas_messages_consumed_total',
  help: 'Deliveries by what became of them: applied, repeated (had been applied before), retried, dead',
  labelNames: ['service', 'durable', 'outcome'],
  registers,
})

export const batchSize = new Histogram({
  name: 'saas_batch_size',
  help: 'Items in one batch: relay (rows), consumer (messages), read and write (coalesced calls)',
  labelNames: ['service', 'kind'],
  buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512],
  registers,
})
