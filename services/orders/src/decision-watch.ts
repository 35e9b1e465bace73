import { Outage, type Clock } from '@saas/config'
import type { OrderStatus } from '@saas/contracts'
import type { Logger, ServerSentEvent } from '@saas/http'
import { withState, type OrderState, type VersionedOrder } from './order-row.ts'

/** Requests that wait for a decision and event streams that are open, together, in one replica. */
export const WATCHERS_MAX = 1_000
/** Of these, how many one user may have: nobody alone keeps all others from waiting. */
export const WATCHERS_OF_A_USER_MAX = 50
/** How long a missed nudge can go unnoticed. */
const POLL_MS = 250
const STREAM_MS = 60_000
/** How long the stream of somebody for whom there is no room stays open: so seldom they come again. */
const NO_ROOM_MS = 5_000

const finalStates: ReadonlySet<OrderStatus> = new Set(['rejected', 'cancelled'])

/** Whose stream it is. */
export interface Reader {
  readonly userId: string
  readonly sessionId: string
}

interface Watcher {
  readonly userId: string
  readonly orderId: string
  /** With the new state of the order, where it is known. */
  wake: (state?: OrderState) => void
}

export interface DecisionWatchContext {
  readonly clock: Clock
  readonly logger: Logger
  /** Aborted when the service stops: then everybody is answered with what is known. */
  readonly stopping: AbortSignal
  /** Reads an order's state; concurrent calls share a statement. */
  readonly readState: (userId: string, orderId: string) => Promise<OrderState | undefined>
}

/**
 * Those who wait for an order's status to change. Who commits a new state here tells it; a nudge, from elsewhere, only says when
 * to look. The rows are read every 250 ms besides, so that what was never said costs no more than that.
 */
export class DecisionWatch {
  readonly #context: DecisionWatchContext
  readonly #outage: Outage
  readonly #watchers = new Map<string, Set<Watcher>>()
  readonly #streams = new Map<AbortController, Reader>()
  readonly #countsByUser = new Map<string, number>()
  #count = 0
  #polling = false

  constructor(context: DecisionWatchContext) {
    this.#context = context
    this.#outage = new Outage(context.logger, {
      begun: 'the states of orders could not be read',
      over: 'the states of orders are read again',
    })
  }

  /** Whether anybody waits or has a stream open: whoever comes later reads the rows first. */
  get isWatched(): boolean {
    return this.#count > 0
  }

  /** Says that the order's status may have changed. */
  nudge(orderId: string): void {
    for (const watcher of this.#watchers.get(orderId) ?? []) watcher.wake()
  }

  /** Says what the order's state is since a commit of this process, which is not read again. */
  tell(state: OrderState): void {
    for (const watcher of this.#watchers.get(state.order_id) ?? []) watcher.wake(state)
  }

  /**
   * Ends the streams of a session, or of all of a user's (null). Who may go on comes again, through the edge. Of a
   * revocation that is not heard of a stream is left for its 60 seconds.
   */
  endStreams(userId: string, sessionId: string | null): void {
    for (const [revoked, reader] of this.#streams) {
      if (reader.userId === userId && (sessionId === null || reader.sessionId === sessionId)) revoked.abort()
    }
  }

  /**
   * The order as soon as it is decided, or as it is after `waitMs`, when `signal` is aborted, when the service stops, or at
   * once when too many wait already, all together or this user alone.
   */
  async decision(userId: string, placed: VersionedOrder, waitMs: number, signal: AbortSignal): Promise<VersionedOrder> {
    if (placed.order.status !== 'pending' || waitMs === 0 || this.#isFullFor(userId)) return placed
    let latest = placed
    for await (latest of this.#changes(userId, placed, waitMs, signal)) {
      if (latest.order.status !== 'pending') break
    }
    return latest
  }

  /** The order now and again whenever its status changes, for 60 seconds, until it is final or the reader's session ends. */
  async *events(reader: Reader, current: VersionedOrder, signal: AbortSignal): AsyncGenerator<ServerSentEvent> {
    const revoked = new AbortController()
    this.#streams.set(revoked, reader)
    try {
      yield toServerSentEvent(current)
      if (finalStates.has(current.order.status)) return
      const { clock, stopping } = this.#context
      const ended = AbortSignal.any([signal, revoked.signal, stopping])
      // A client that finds too many here comes again by itself, as after every stream's end; at once it would be twice a second.
      if (this.#isFullFor(reader.userId)) {
        await clock.sleep(NO_ROOM_MS, ended).catch(() => undefined)
        return
      }
      for await (const changed of this.#changes(reader.userId, current, STREAM_MS, ended)) {
        yield toServerSentEvent(changed)
        if (finalStates.has(changed.order.status)) return
      }
    } finally {
      this.#streams.delete(revoked)
    }
  }

  async *#changes(
    userId: string,
    known: VersionedOrder,
    lengthMs: number,
    signal: AbortSignal,
  ): AsyncGenerator<VersionedOrder> {
    const { clock, stopping } = this.#context
    const left = new AbortController()
    const ended = AbortSignal.any([signal, stopping, left.signal])
    void clock.sleep(lengthMs, left.signal).then(
      () => left.abort(),
      () => undefined,
    )
    const orderId = known.order.id
    const watcher: Watcher = { userId, orderId, wake: () => undefined }
    ended.addEventListener('abort', () => watcher.wake(), { once: true })
    this.#add(watcher)
    try {
      let latest = known
      let told: OrderState | undefined
      while (!ended.aborted) {
        // Set before the row is read, so that a nudge in between is not lost.
        const { promise: woken, resolve } = Promise.withResolvers<void>()
        watcher.wake = (state) => {
          told = state ?? told
          resolve()
        }
        const isNew = told !== undefined && told.version > latest.version
        const state = isNew ? told : await this.#read(userId, orderId)
        if (state !== undefined && state.version > latest.version) {
          latest = withState(latest, state)
          yield latest
        }
        await woken
      }
    } finally {
      this.#remove(watcher)
      left.abort()
    }
  }

  /** The order is placed whatever happens here: a read that fails is one that says nothing new. */
  async #read(userId: string, orderId: string): Promise<OrderState | undefined> {
    try {
      const state = await this.#context.readState(userId, orderId)
      this.#outage.worked()
      return state
    } catch (error) {
      this.#outage.failed(error)
      return undefined
    }
  }

  #isFullFor(userId: string): boolean {
    return this.#count >= WATCHERS_MAX || (this.#countsByUser.get(userId) ?? 0) >= WATCHERS_OF_A_USER_MAX
  }

  #add(watcher: Watcher): void {
    const others = this.#watchers.get(watcher.orderId)
    if (others === undefined) this.#watchers.set(watcher.orderId, new Set([watcher]))
    else others.add(watcher)
    this.#count += 1
    this.#countsByUser.set(watcher.userId, (this.#countsByUser.get(watcher.userId) ?? 0) + 1)
    if (!this.#polling) void this.#poll()
  }

  #remove(watcher: Watcher): void {
    const others = this.#watchers.get(watcher.orderId)
    others?.delete(watcher)
    if (others?.size === 0) this.#watchers.delete(watcher.orderId)
    this.#count -= 1
    const left = (this.#countsByUser.get(watcher.userId) ?? 1) - 1
    if (left === 0) this.#countsByUser.delete(watcher.userId)
    else this.#countsByUser.set(watcher.userId, left)
  }

  /** Wakes all at once, so that their reads share statements. */
  async #poll(): Promise<void> {
    const { clock, stopping } = this.#context
    this.#polling = true
    while (this.#count > 0 && !stopping.aborted) {
      await clock.sleep(POLL_MS, stopping).catch(() => undefined)
      for (const watchers of this.#watchers.values()) for (const watcher of watchers) watcher.wake()
    }
    this.#polling = false
  }
}

function toServerSentEvent({ order, version }: VersionedOrder): ServerSentEvent {
  return { event: 'order', id: String(version), data: order }
}
