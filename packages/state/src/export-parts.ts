import { newId } from '@saas/config'
import type { Event } from '@saas/contracts'
import type { Transaction } from './database.ts'
import { sql } from './statement.ts'

const insertParts = sql(
  'state.insert_export_parts',
  `insert into outbox (id, aggregate_type, aggregate_id, aggregate_version, subject, data, trace_parent)
   select part.id, $2, $3, part.version, $4, part.data, $5
   from jsonb_to_recordset($1::jsonb) as part (id uuid, version bigint, data jsonb)`,
)

/** What a service answers to a request for all that is kept about somebody. */
export interface ExportAnswer {
  /** The service's own event for it. */
  readonly event: Pick<Event, 'aggregate' | 'subject'>
  readonly request: { readonly exportId: string; readonly userId: string }
  /** Of `ExportParts`: one at least. */
  readonly parts: readonly (readonly unknown[])[]
  /** Further fields of the first part. */
  readonly first?: object
  readonly traceParent: string | undefined
}

/** Writes the parts into the outbox, numbered from 1. */
export async function sendExportParts(tx: Transaction, answer: ExportAnswer): Promise<void> {
  const { event, request, parts, first, traceParent } = answer
  const { exportId, userId } = request
  const made = parts.map((items, index) => ({
    id: newId(),
    version: index + 1,
    data: { exportId, userId, part: index + 1, parts: parts.length, items, ...(index === 0 ? first : {}) },
  }))
  await tx.query(insertParts, [JSON.stringify(made), event.aggregate, exportId, event.subject, traceParent ?? null])
}
