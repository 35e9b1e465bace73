import type { Money, ScheduledKind } from '@saas/contracts'
import { sql, type Transaction } from '@saas/state'
import type { FactsByKind } from './content.ts'

const NEW_PRODUCTS_MAX = 20
const TOP_PRODUCTS_MAX = 5
const DAY_MS = 24 * 3_600_000
const WEEK_MS = 7 * DAY_MS
/** Events are on their way for a moment, and clocks differ: what is younger than this belongs to the next mail. */
const SETTLED_MS = 10 * 60_000

/** An occurrence whose mails are to be written. */
export interface Occurrence {
  readonly kind: ScheduledKind
  readonly zone: string
  readonly fireAt: Date
  /** The occurrence that fired before, in the same zone. */
  readonly previousAt: Date | undefined
  readonly localDate: string
  /** What the schedule itself says. */
  readonly content: object
}

const selectSales = sql<Money & { orders: number }>(
  'notifications.sales_of_day',
  `select currency, sum(amount)::bigint as amount, count(*)::int as orders
   from sale
   where confirmed_at >= $1::date - interval '2 days'
     and confirmed_at < $1::date + interval '2 days'
     and (confirmed_at at time zone $2)::date = $1::date - 1
   group by currency
   order by currency`,
)

const countCancelled = sql<{ orders: number }>(
  'notifications.cancelled_of_day',
  `select count(*)::int as orders
   from sale
   where cancelled_at >= $1::date - interval '2 days'
     and cancelled_at < $1::date + interval '2 days'
     and (cancelled_at at time zone $2)::date = $1::date - 1
     and confirmed_at is not null`,
)

const selectTopProducts = sql<{ name: string; quantity: number }>(
  'notifications.top_products_of_day',
  `select min(line.name) as name, sum(line.quantity)::bigint as quantity
   from sale
   cross join lateral jsonb_to_recordset(lines) as line("productId" uuid, name text, quantity int)
   where confirmed_at >= $1::date - interval '2 days'
     and confirmed_at < $1::date + interval '2 days'
     and (confirmed_at at time zone $2)::date = $1::date - 1
   group by line."productId"
   order by quantity desc, name
   limit ${TOP_PRODUCTS_MAX}`,
)

const selectNewProducts = sql<{ productId: string; name: string; price: Money }>(
  'notifications.new_products',
  `select product_id as "productId", name, jsonb_build_object('amount', amount, 'currency', currency) as price
   from product_copy
   where created_at >= $1
     and created_at < $2
     and not deleted
   order by created_at desc, product_id
   limit ${NEW_PRODUCTS_MAX}`,
)

/** What all mails of a firing say, the same in each; undefined when there is nothing to say and nobody gets a mail. */
export async function factsOfFire(tx: Transaction, occurrence: Occurrence): Promise<object | undefined> {
  switch (occurrence.kind) {
    case 'daily-sales':
      return await salesOfDay(tx, occurrence)
    case 'new-products':
      return await newProducts(tx, occurrence)
    default:
      return occurrence.content
  }
}

async function salesOfDay(tx: Transaction, { localDate, zone }: Occurrence): Promise<FactsByKind['daily-sales']> {
  const day = [localDate, zone]
  const sales = await tx.query(selectSales, day)
  const [cancelled] = await tx.query(countCancelled, day)
  return {
    date: new Date(Date.parse(localDate) - DAY_MS).toISOString().slice(0, 10),
    orders: sales.reduce((sum, { orders }) => sum + orders, 0),
    cancelled: cancelled?.orders ?? 0,
    revenue: sales.map(({ amount, currency }) => ({ amount, currency })),
    products: await tx.query(selectTopProducts, day),
  }
}

async function newProducts(
  tx: Transaction,
  { fireAt, previousAt }: Occurrence,
): Promise<FactsByKind['new-products'] | undefined> {
  const since = previousAt ?? new Date(fireAt.getTime() - WEEK_MS)
  const settled = (moment: Date): Date => new Date(moment.getTime() - SETTLED_MS)
  const products = await tx.query(selectNewProducts, [settled(since), settled(fireAt)])
  return products.length === 0 ? undefined : { products }
}
