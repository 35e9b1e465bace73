import { Type } from './schema.ts'
import { event } from './event.ts'
import type { ServiceName } from './route.ts'
import { Id } from './shapes.ts'

export const EXPORT_PART_ITEMS_MAX = 100
/** Of one part's items as JSON, but for one item that has more: a row of the outbox takes 512 KiB, in which the same may have twice the size. */
const EXPORT_PART_BYTES_MAX = 128 * 1024
/** Of each service's things older ones than these are not in an export. */
export const EXPORT_ITEMS_MAX = 10_000
const EXPORT_BYTES_MAX = 16 * 1024 ** 2

const Items = Type.Array(Type.Record(Type.String(), Type.Unknown()), { maxItems: EXPORT_PART_ITEMS_MAX })

/** Each service that keeps something about a person answers `msg.auth.export.requested` with all of it, in parts. */
function exportPartMade<const P extends Exclude<ServiceName, 'auth' | 'frontend'>>(publisher: P) {
  return event({
    subject: `msg.${publisher}.export-part.made` as const,
    aggregate: 'export',
    summary: `What ${publisher} keeps about a person, one of \`parts\` parts; there is always a first`,
    data: Type.Object({
      exportId: Id,
      userId: Id,
      part: Type.Integer({ minimum: 1 }),
      parts: Type.Integer({ minimum: 1 }),
      items: Items,
      cart: Type.Optional({ ...Items, description: 'With the first part of orders: what lies in the cart' }),
    }),
    example: {
      exportId: '01977c1e-6a00-7000-8000-0000000000e1',
      userId: '01977c1e-6a00-7000-8000-000000000001',
      part: 1,
      parts: 1,
      items: [{ id: '01977c1e-6a00-7000-8000-000000000020', createdAt: '2026-01-01T12:00:00.000Z' }],
    },
  })
}

export const exportEvents = {
  productsExportPartMade: exportPartMade('products'),
  ordersExportPartMade: exportPartMade('orders'),
  notificationsExportPartMade: exportPartMade('notifications'),
}

const utf8 = new TextEncoder()

/** The items of an export in parts that each fit a message: one part at least, so that "nothing" is an answer too. */
export class ExportParts<T> {
  readonly parts: T[][] = [[]]
  #items = 0
  #bytes = 0
  #bytesOfPart = 0

  /** Of as many of these as fit. */
  static of<T>(items: readonly T[]): ExportParts<T> {
    const made = new ExportParts<T>()
    items.every((item) => made.add(item))
    return made
  }

  /** Says whether it was taken: an export has only so much. */
  add(item: T): boolean {
    const bytes = utf8.encode(JSON.stringify(item)).length
    if (this.#items >= EXPORT_ITEMS_MAX || this.#bytes + bytes > EXPORT_BYTES_MAX) return false
    let part = this.parts.at(-1) ?? []
    if (
      part.length >= EXPORT_PART_ITEMS_MAX ||
      (part.length > 0 && this.#bytesOfPart + bytes > EXPORT_PART_BYTES_MAX)
    ) {
      part = []
      this.parts.push(part)
      this.#bytesOfPart = 0
    }
    part.push(item)
    this.#items += 1
    this.#bytes += bytes
    this.#bytesOfPart += bytes
    return true
  }
}
