import { productsEvents, type DataOf, type Event } from '@saas/contracts'

/** A product whose row is locked. */
export interface LockedProduct {
  readonly id: string
  readonly priceVersion: number
  readonly isDeleted: boolean
  readonly available: number
  readonly stockVersion: number
  readonly sku: string
  readonly name: string
  /** Null when nobody wants to hear that it runs low. */
  readonly lowStockThreshold: number | null
  /** How often it ran low before. */
  readonly lowStockVersion: number
}

interface ReservedLine {
  readonly productId: string
  readonly quantity: number
}

/** What was decided for an order before this batch. */
export interface KnownReservation {
  readonly orderId: string
  readonly state: ReservationState
  readonly lines: readonly ReservedLine[]
  readonly version: number
}

type ReservationState = 'reserved' | 'refused' | 'released'
type RefusalReason = DataOf<typeof productsEvents.stockRefused>['reason']

/** One order event as stock sees it. `source` is its subject. */
export interface OrderStep {
  readonly orderId: string
  readonly source: string
  readonly traceParent: string | undefined
}

export interface PlacedLine extends ReservedLine {
  readonly priceVersion: number
}

export interface StockMovement {
  readonly productId: string
  readonly stockVersion: number
  readonly kind: 'reservation' | 'release'
  readonly delta: number
  readonly availableAfter: number
  readonly orderId: string
  readonly source: string
}

export interface OutgoingEvent {
  readonly event: Event
  readonly aggregateId: string
  readonly version: number
  readonly data: unknown
  readonly traceParent: string | undefined
}

interface StockChange {
  readonly productId: string
  readonly delta: number
  readonly movements: number
  /** How often it ran low within the batch. */
  readonly crossings: number
}

interface Reservation extends KnownReservation {
  readonly refusalReason: RefusalReason | undefined
}

/**
 * Decides order events one after another, in memory, on rows that are locked; what it decided is then written at once.
 *
 * An order is decided once: a second `place` finds the first one's reservation, or the tombstone that `release` left
 * when it came first, and does nothing.
 */
export class ReservationBatch {
  readonly #products: Map<string, LockedProduct>
  readonly #locked: ReadonlyMap<string, LockedProduct>
  readonly #known: ReadonlyMap<string, KnownReservation>
  readonly #reservations = new Map<string, Reservation>()
  readonly #now: Date
  readonly movements: StockMovement[] = []
  readonly events: OutgoingEvent[] = []

  constructor(products: readonly LockedProduct[], known: readonly KnownReservation[], now: Date) {
    this.#now = now
    this.#products = new Map(products.map((product) => [product.id, product]))
    this.#locked = new Map(this.#products)
    this.#known = new Map(known.map((reservation) => [reservation.orderId, reservation]))
  }

  /** Products whose stock moved, each once however many orders took from it. */
  get stock(): readonly StockChange[] {
    return [...this.#products.values()].flatMap((product) => {
      const before = this.#locked.get(product.id)
      if (before === undefined || before.stockVersion === product.stockVersion) return []
      const movements = product.stockVersion - before.stockVersion
      const crossings = product.lowStockVersion - before.lowStockVersion
      return [{ productId: product.id, delta: product.available - before.available, movements, crossings }]
    })
  }

  /** Reservations to be inserted. */
  get decided(): Reservation[] {
    return [...this.#reservations.values()].filter(({ orderId }) => !this.#known.has(orderId))
  }

  /** Orders whose reservation, made before this batch, ends with it. */
  get released(): string[] {
    return [...this.#reservations.keys()].filter((orderId) => this.#known.has(orderId))
  }

  /** All lines or none. */
  place(step: OrderStep, lines: readonly PlacedLine[]): void {
    if (this.#find(step.orderId) !== undefined) return
    const refusal = this.#refusal(lines)
    if (refusal !== undefined) {
      this.#reservations.set(step.orderId, {
        orderId: step.orderId,
        state: 'refused',
        lines: [],
        version: 1,
        refusalReason: refusal.reason,
      })
      this.#send(productsEvents.stockRefused, step, step.orderId, 1, { orderId: step.orderId, ...refusal })
      return
    }
    const reserved = sumByProduct(lines)
    for (const { productId, quantity } of reserved) this.#move(step, 'reservation', productId, -quantity)
    this.#reservations.set(step.orderId, {
      orderId: step.orderId,
      state: 'reserved',
      lines: reserved,
      version: 1,
      refusalReason: undefined,
    })
    const data = { orderId: step.orderId, lines: lines.map(({ productId, quantity }) => ({ productId, quantity })) }
    this.#send(productsEvents.stockReserved, step, step.orderId, 1, data)
  }

  /**
   * Gives back what is reserved, once. For an order that was not seen yet it leaves a tombstone, and says nothing: no
   * unit was set aside, so none is for sale again, and orders has ended the order already.
   */
  release(step: OrderStep): void {
    const reservation = this.#find(step.orderId)
    if (reservation !== undefined && reservation.state !== 'reserved') return
    const lines = reservation?.lines ?? []
    const version = reservation === undefined ? 0 : reservation.version + 1
    for (const { productId, quantity } of lines) this.#move(step, 'release', productId, quantity)
    this.#reservations.set(step.orderId, {
      orderId: step.orderId,
      state: 'released',
      lines,
      version,
      refusalReason: undefined,
    })
    const { orderId } = step
    if (version > 0) this.#send(productsEvents.stockReleased, step, orderId, version, { orderId })
  }

  #find(orderId: string): KnownReservation | undefined {
    return this.#reservations.get(orderId) ?? this.#known.get(orderId)
  }

  /** The first reason of these that holds: what is gone cannot have a price, and a wrong price is wrong in any number. */
  #refusal(lines: readonly PlacedLine[]): { reason: RefusalReason; productIds: string[] } | undefined {
    const refuse = (reason: RefusalReason, refused: readonly ReservedLine[]) =>
      refused.length === 0 ? undefined : { reason, productIds: [...new Set(refused.map(({ productId }) => productId))] }
    return (
      refuse(
        'product-gone',
        lines.filter(({ productId }) => this.#products.get(productId)?.isDeleted ?? true),
      ) ??
      refuse(
        'price-changed',
        lines.filter((line) => this.#products.get(line.productId)?.priceVersion !== line.priceVersion),
      ) ??
      refuse(
        'out-of-stock',
        sumByProduct(lines).filter((line) => (this.#products.get(line.productId)?.available ?? 0) < line.quantity),
      )
    )
  }

  #move(step: OrderStep, kind: StockMovement['kind'], productId: string, delta: number): void {
    const product = this.#products.get(productId)
    if (product === undefined) throw new Error(`Product ${productId} of order ${step.orderId} is not locked`)
    const stockVersion = product.stockVersion + 1
    const availableAfter = product.available + delta
    const threshold = product.lowStockThreshold
    const ranLow = threshold !== null && threshold < product.available && threshold >= availableAfter
    const lowStockVersion = product.lowStockVersion + (ranLow ? 1 : 0)
    this.#products.set(productId, { ...product, stockVersion, lowStockVersion, available: availableAfter })
    if (ranLow) {
      const { sku, name } = product
      const crossedAt = this.#now.toISOString()
      const data = { productId, sku, name, available: availableAfter, threshold, crossedAt }
      this.#send(productsEvents.stockRanLow, step, productId, lowStockVersion, data)
    }
    this.movements.push({
      productId,
      stockVersion,
      kind,
      delta,
      availableAfter,
      orderId: step.orderId,
      source: step.source,
    })
  }

  #send<E extends Event>(
    event: E,
    { traceParent }: OrderStep,
    aggregateId: string,
    version: number,
    data: DataOf<E>,
  ): void {
    this.events.push({ event, aggregateId, version, data, traceParent })
  }
}

/** Lines of one product become one, because a product moves once an order. */
function sumByProduct(lines: readonly ReservedLine[]): ReservedLine[] {
  const quantities = new Map<string, number>()
  for (const { productId, quantity } of lines) {
    quantities.set(productId, (quantities.get(productId) ?? 0) + quantity)
  }
  return [...quantities].map(([productId, quantity]) => ({ productId, quantity }))
}
