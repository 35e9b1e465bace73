import type { productsEvents } from '@saas/contracts'
import { sql, type MessageOf, type Transaction } from '@saas/state'

export type ProductMessage = MessageOf<
  typeof productsEvents.productCreated | typeof productsEvents.productChanged | typeof productsEvents.productDeleted
>

/** Each event tells all of a product's state, so the newest is enough and whatever is older changes nothing. */
const copyProducts = sql(
  'orders.copy_products',
  `
insert into product_copy (product_id, sku, name, amount, currency, price_version, deleted, version)
select product_id, sku, name, amount, currency, price_version, deleted, version
from jsonb_to_recordset($1::jsonb) as p (
  product_id uuid, sku text, name text, amount bigint, currency text, price_version bigint, deleted boolean, version bigint
)
order by product_id
on conflict (product_id) do update
set
  sku = excluded.sku,
  name = excluded.name,
  amount = excluded.amount,
  currency = excluded.currency,
  price_version = excluded.price_version,
  deleted = excluded.deleted,
  version = excluded.version
where product_copy.version < excluded.version
`,
)

/** Brings the copies up to date. Two messages of one product must not be in one call. */
export async function copyProductsOf(transaction: Transaction, messages: readonly ProductMessage[]): Promise<void> {
  if (messages.length === 0) return
  const rows = messages.map(({ data, aggregateVersion }) => ({
    product_id: data.productId,
    sku: data.sku,
    name: data.name,
    amount: data.price.amount,
    currency: data.price.currency,
    price_version: data.priceVersion,
    deleted: data.deleted,
    version: aggregateVersion,
  }))
  await transaction.query(copyProducts, [JSON.stringify(rows)])
}
