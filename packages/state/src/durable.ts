import {
  AckPolicy,
  DeliverPolicy,
  JetStreamApiError,
  type ConsumerInfo,
  type JetStreamManager,
} from '@nats-io/jetstream'
import { nanos } from '@nats-io/transport-node'
import { STREAM, STREAM_NOT_FOUND } from './stream.ts'

// How long what a killed replica had in hand lies still. A batch takes far less; a message that comes again while it is
// waiting takes its own place in the queue, and one that comes again after it was applied is known by the inbox.
const ACK_WAIT_MS = 5_000
const UNACKNOWLEDGED_MAX = 1_024
const CONSUMER_NOT_FOUND = 10_014

/** The durable consumer as the server knows it; `undefined` when it, or the stream, is not there. */
export async function findDurable(api: JetStreamManager, durable: string): Promise<ConsumerInfo | undefined> {
  try {
    return await api.consumers.info(STREAM, durable)
  } catch (error) {
    const isMissing = error instanceof JetStreamApiError && [CONSUMER_NOT_FOUND, STREAM_NOT_FOUND].includes(error.code)
    if (isMissing) return undefined
    throw error
  }
}

/** Makes the durable consumer when it is missing, and gives it the subjects that this version knows and it does not. */
export async function ensureDurable(
  api: JetStreamManager,
  durable: string,
  subjects: readonly string[],
): Promise<void> {
  const existing = await findDurable(api, durable)
  if (existing === undefined) {
    await api.consumers.add(STREAM, {
      durable_name: durable,
      filter_subjects: [...subjects],
      deliver_policy: DeliverPolicy.All,
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(ACK_WAIT_MS),
      max_deliver: -1,
      max_ack_pending: UNACKNOWLEDGED_MAX,
    })
    return
  }
  // Subjects are only ever added: a version that knows fewer may still run beside this one.
  const known = existing.config.filter_subjects ?? [existing.config.filter_subject ?? '']
  const missing = subjects.filter((subject) => !known.includes(subject))
  if (missing.length > 0) {
    await api.consumers.update(STREAM, durable, { filter_subjects: [...known.filter(Boolean), ...missing] })
  }
}
