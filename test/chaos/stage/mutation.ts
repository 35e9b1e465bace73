/** A line of a service's source, and what stands there instead. */
export interface Mutation {
  /** The path within the clone. */
  readonly file: string
  readonly from: string
  readonly to: string
}

/** Waits that would only cost time: a dead replica's messages come again after a second, and a mail server is tried again after half of one. */
export const impatience: readonly Mutation[] = [
  { file: 'packages/state/src/durable.ts', from: 'ACK_WAIT_MS = 5_000', to: 'ACK_WAIT_MS = 1_000' },
  { file: 'services/notifications/src/circuit.ts', from: 'OPEN_MS_FIRST = 10_000', to: 'OPEN_MS_FIRST = 500' },
  { file: 'services/notifications/src/circuit.ts', from: 'OPEN_MS_MAX = 5 * 60_000', to: 'OPEN_MS_MAX = 2_000' },
  // What a killed courier held is free sooner.
  {
    file: 'services/notifications/src/courier.ts',
    from: 'CLOCK_ERROR_MS_MAX = 60_000',
    to: 'CLOCK_ERROR_MS_MAX = 5_000',
  },
  { file: 'services/notifications/src/courier.ts', from: 'LEASE_RESERVE_MS = 30_000', to: 'LEASE_RESERVE_MS = 10_000' },
  { file: 'services/notifications/src/backoff.ts', from: 'DELAY_MS_MAX = 30 * 60_000', to: 'DELAY_MS_MAX = 2_000' },
]

/** What is kept for days is kept here for a minute or two, and looked at every few seconds instead of every minute. */
export const shortMemory: readonly Mutation[] = [
  {
    file: 'packages/state/src/pruner.ts',
    from: 'OUTBOX_RETENTION_MS = 7 * 86_400_000',
    to: 'OUTBOX_RETENTION_MS = 60_000',
  },
  {
    file: 'packages/state/src/pruner.ts',
    from: 'INBOX_RETENTION_MS = 30 * 86_400_000',
    to: 'INBOX_RETENTION_MS = 90_000',
  },
  { file: 'packages/state/src/pruner.ts', from: 'INTERVAL_MS = 60_000', to: 'INTERVAL_MS = 5_000' },
]
