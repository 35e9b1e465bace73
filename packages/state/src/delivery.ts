import type { JsMsg } from '@nats-io/jetstream'
import type { Event } from '@saas/contracts'
import { decode } from './codec.ts'
import { FromNewerVersion, Unprocessable } from './errors.ts'
import type { Message } from './message.ts'

/** One delivery of a message: what was understood of it, or why nothing was. */
export class Delivery {
  readonly raw: JsMsg
  readonly refusal: string | undefined
  /** Nothing was understood of it, and a newer version might. */
  readonly isFromNewerVersion: boolean = false
  readonly #message: Message | undefined

  constructor(raw: JsMsg, events: readonly Event[]) {
    this.raw = raw
    try {
      this.#message = decode(events, raw)
    } catch (error) {
      if (!(error instanceof Unprocessable)) throw error
      this.refusal = error.message
      this.isFromNewerVersion = error instanceof FromNewerVersion
    }
  }

  /** What was understood. Asked only of a delivery without refusal. */
  get message(): Message {
    if (this.#message === undefined) throw new Error('Nothing was understood of this delivery')
    return this.#message
  }
}

/** Deliveries that may be applied in one transaction, and those that nothing was understood of. */
export interface Batch {
  readonly understood: readonly Delivery[]
  readonly refused: readonly Delivery[]
}

/** What a batch may have at most. One message alone may have more bytes. */
export interface BatchLimits {
  readonly messagesMax: number
  readonly messagesOfKeyMax: number
  readonly bytesMax: number
}

/**
 * Deliveries in the order they came. The stream bounds it: it sends no more than `max_ack_pending` before an
 * acknowledgement.
 */
export class DeliveryQueue {
  readonly #keyOf: (message: Message) => string
  readonly #limits: BatchLimits
  #waiting: Delivery[] = []
  #isClosed = false
  #resume = (): void => undefined

  constructor(keyOf: (message: Message) => string, limits: BatchLimits) {
    this.#keyOf = keyOf
    this.#limits = limits
  }

  /** A second delivery of a message that still waits takes the place of the first. */
  add(delivery: Delivery): void {
    const id = delivery.raw.headers?.get('ce-id') ?? ''
    const index = delivery.raw.redelivered
      ? this.#waiting.findIndex(({ raw }) => id !== '' && raw.headers?.get('ce-id') === id)
      : -1
    if (index === -1) this.#waiting.push(delivery)
    else this.#waiting[index] = delivery
    this.#resume()
  }

  /** The next batch, in order. Empty when the queue was closed. */
  async next(): Promise<Batch> {
    while (this.#waiting.length === 0 && !this.#isClosed) {
      await new Promise<void>((resolve) => {
        this.#resume = resolve
      })
    }
    if (this.#isClosed) return { understood: [], refused: [] }
    const counts = new Map<string, number>()
    const understood: Delivery[] = []
    const refused: Delivery[] = []
    const later: Delivery[] = []
    const { messagesMax, messagesOfKeyMax, bytesMax } = this.#limits
    let bytes = 0
    let isFull = false
    for (const delivery of this.#waiting) {
      if (delivery.refusal !== undefined) {
        refused.push(delivery)
        continue
      }
      const key = this.#keyOf(delivery.message)
      const count = counts.get(key) ?? 0
      const size = delivery.raw.data.length
      // Nothing smaller goes first: it may be of the same key.
      isFull ||= understood.length >= messagesMax || (understood.length > 0 && bytes + size > bytesMax)
      if (isFull || count >= messagesOfKeyMax) later.push(delivery)
      else {
        understood.push(delivery)
        bytes += size
      }
      counts.set(key, count + 1)
    }
    this.#waiting = later
    return { understood, refused }
  }

  /** What was not taken. */
  drain(): Delivery[] {
    const rest = this.#waiting
    this.#waiting = []
    return rest
  }

  close(): void {
    this.#isClosed = true
    this.#resume()
  }
}
