import { setTimeout } from 'node:timers/promises'
import { nanos } from '@nats-io/transport-node'
import {
  DiscardPolicy,
  jetstreamManager,
  JetStreamApiError,
  RetentionPolicy,
  StorageType,
  type JetStreamManager,
  type StreamConfig,
  type StreamInfo,
} from '@nats-io/jetstream'
import type { Broker } from './broker.ts'

export const STREAM = 'messages'
const SUBJECTS = 'msg.>'
const API_TIMEOUT_MS = 3_000
const MAX_AGE_MS = 72 * 3_600_000
const DUPLICATE_WINDOW_MS = 15 * 60_000
const BYTES_MAX = 1024 ** 3
/**
 * Whoever looked at the stream just before it was deleted has sent or given up by then. What was meant for the old one would stand on
 * the new one before what has to be told again.
 */
const REMAKING_PAUSE_MS = 500
export const STREAM_NOT_FOUND = 10_059
const STREAM_NAME_IN_USE = 10_058

/** The stream at one moment. */
export interface StreamState {
  /** RFC 3339 with nanoseconds: another one is another stream, even under the same name. */
  readonly createdAt: string
  readonly lastSequence: number
  readonly messages: number
  readonly bytes: number
  readonly bytesMax: number
  /** Whether many messages may be stored as one batch, all or nothing, with one sync. Servers before 2.12 know none. */
  readonly takesBatches: boolean
  /** Whether several servers keep it, which check a message's headers in another order than one does. */
  readonly isReplicated: boolean
}

/** The one stream of all messages. Whoever finds it missing creates it; whoever knew it, half a second later. */
export class Stream {
  readonly #broker: Broker
  readonly #replicas: number
  #wasThere = false

  constructor(broker: Broker, replicas: number) {
    this.#broker = broker
    this.#replicas = replicas
  }

  /** The stream's management calls, for the consumers. They need no other right than those on `messages`. */
  async api(): Promise<JetStreamManager> {
    const connection = await this.#broker.usable()
    return await jetstreamManager(connection, { checkAPI: false, timeout: API_TIMEOUT_MS })
  }

  /**
   * The stream's state; creates the stream when it is missing.
   *
   * @throws {Error} when the stream promises less than ours must. More is fine, so that two versions of the product can run
   *   side by side.
   */
  async ensure(): Promise<StreamState> {
    const api = await this.api()
    const info = (await this.#find(api)) ?? (await this.#make(api))
    this.#wasThere = true
    const missing = missingPromises(info.config)
    if (missing.length > 0) throw new Error(`The stream ${STREAM} exists without ${missing.join(', ')}`)
    return {
      createdAt: info.created,
      lastSequence: info.state.last_seq,
      messages: info.state.messages,
      bytes: info.state.bytes,
      bytesMax: info.config.max_bytes,
      takesBatches: info.config.allow_atomic === true,
      isReplicated: info.config.num_replicas > 1,
    }
  }

  async #find(api: JetStreamManager): Promise<StreamInfo | undefined> {
    try {
      return await api.streams.info(STREAM)
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === STREAM_NOT_FOUND) return undefined
      throw error
    }
  }

  async #make(api: JetStreamManager): Promise<StreamInfo> {
    if (!this.#wasThere) return await this.#create(api)
    await setTimeout(REMAKING_PAUSE_MS)
    return (await this.#find(api)) ?? (await this.#create(api))
  }

  async #create(api: JetStreamManager): Promise<StreamInfo> {
    try {
      return await api.streams.add({
        name: STREAM,
        subjects: [SUBJECTS],
        storage: StorageType.File,
        retention: RetentionPolicy.Limits,
        discard: DiscardPolicy.New,
        num_replicas: this.#replicas,
        max_age: nanos(MAX_AGE_MS),
        max_bytes: BYTES_MAX,
        duplicate_window: nanos(DUPLICATE_WINDOW_MS),
        deny_delete: true,
        deny_purge: true,
        // Unknown to servers before 2.12, which leave it out of what they answer.
        allow_atomic: true,
      })
    } catch (error) {
      // Another service, maybe of another version, was quicker.
      if (error instanceof JetStreamApiError && error.code === STREAM_NAME_IN_USE) return await api.streams.info(STREAM)
      throw error
    }
  }
}

function missingPromises(config: StreamConfig): string[] {
  const promises: Record<string, boolean> = {
    [`subjects ${SUBJECTS}`]: config.subjects?.includes(SUBJECTS) ?? false,
    'file storage': config.storage === StorageType.File,
    'limits retention': config.retention === RetentionPolicy.Limits,
    'denied deletion': config.deny_delete,
    'denied purging': config.deny_purge,
  }
  return Object.keys(promises).filter((promise) => !promises[promise])
}
