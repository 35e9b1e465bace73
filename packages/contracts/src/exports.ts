import { Type } from './schema.ts'
import { event } from './event.ts'
import type { ServiceName } from './route.ts'
import { Id } from './shapes.ts'

/** Items of one part: as many as fit a message whatever they say. */
export const EXPORT_PART_ITEMS_MAX = 100
/** Older things than these are not in an export. */
export const EXPORT_ITEMS_MAX = 10_000

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
      items: Type.Array(Type.Record(Type.String(), Type.Unknown()), { maxItems: EXPORT_PART_ITEMS_MAX }),
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
  ordersExportPartMade: exportPartMade('orders'),
  notificationsExportPartMade: exportPartMade('notifications'),
}

/** The items in parts that fit a message: one part at least, so that "nothing" is an answer too. */
export function exportParts<T>(items: readonly T[]): readonly (readonly T[])[] {
  const count = Math.max(1, Math.ceil(items.length / EXPORT_PART_ITEMS_MAX))
  return Array.from({ length: count }, (_, part) =>
    items.slice(part * EXPORT_PART_ITEMS_MAX, (part + 1) * EXPORT_PART_ITEMS_MAX),
  )
}
