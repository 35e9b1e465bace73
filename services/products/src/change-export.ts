import { EXPORT_ITEMS_MAX, exportEvents, ExportParts, type authEvents } from '@saas/contracts'
import { sendExportParts, sql, type MessageOf, type Transaction } from '@saas/state'

interface ChangeRow {
  readonly at: Date
  readonly kind: 'stock' | 'price' | 'deleted'
  readonly productId: string
  readonly sku: string
}

// Each ledger is read from its own index, so that what others did is not looked at. Prices and stock bear the route they were changed by.
const newest = `order by at desc, "productId"
     limit ${EXPORT_ITEMS_MAX}`
const selectChanges = sql<ChangeRow>(
  'products.changes_to_export',
  `select at, change.kind, "productId", product.sku, change.movement, change.delta, change.stock, change.reason, change.price, change.source
   from (
     (
       select created_at as at, 'stock' as kind, product_id as "productId", kind as movement, delta, available_after as stock, reason,
         null::jsonb as price, source
       from stock_movement
       where changed_by = $1
       ${newest}
     )
     union all
     (
       select created_at as at, 'price', product_id as "productId", null, null, null, null,
         jsonb_build_object('amount', amount, 'currency', currency), source
       from price_change
       where changed_by = $1
       ${newest}
     )
     union all
     (
       select deleted_at as at, 'deleted', id as "productId", null, null, null, null, null, null
       from product
       where deleted_by = $1
       ${newest}
     )
     ${newest}
   ) as change
   join product on product.id = "productId"
   order by at desc, "productId"`,
)

type ExportRequested = MessageOf<typeof authEvents.exportRequested>

/** Answers each request with what that person changed in the catalogue, the newest first: some hundred bytes each, read at once. */
export async function exportChanges(tx: Transaction, messages: readonly ExportRequested[]): Promise<void> {
  for (const { data, traceParent } of messages) {
    const rows = await tx.query(selectChanges, [data.userId])
    const { parts } = ExportParts.of(rows.map(withoutNulls))
    await sendExportParts(tx, { event: exportEvents.productsExportPartMade, request: data, parts, traceParent })
  }
}

/** A price has no stock, and a stock no price. */
function withoutNulls(row: ChangeRow): object {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null))
}
