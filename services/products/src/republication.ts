import { productsEvents } from '@saas/contracts'
import { sql, type Database } from '@saas/state'
import { productStateData } from './product-row.ts'

const PRODUCTS_PER_STATEMENT = 500
const FIRST_ID = '00000000-0000-0000-0000-000000000000'

const { productChanged, productDeleted } = productsEvents

// The same version as the event that was sent when it became so: whoever knows it ignores this one.
const sendStates = sql<{ id: string }>(
  'products.republish',
  `with chosen as (
     select *
     from product
     where id > $1
     order by id
     limit ${PRODUCTS_PER_STATEMENT}
   ), sent as (
     insert into outbox (id, aggregate_type, aggregate_id, aggregate_version, subject, data)
     select uuidv7(), '${productChanged.aggregate}', id, version,
       case when deleted_at is null then '${productChanged.subject}' else '${productDeleted.subject}' end,
       ${productStateData}
     from chosen
   )
   select id
   from chosen
   order by id`,
)

/**
 * Tells the state of every product again, deleted ones included, for a service that lost or never had it: the stream keeps
 * three days, the outbox seven. Returns how many that were; the relay of the running service publishes them.
 */
export async function republishProducts(database: Database): Promise<number> {
  let count = 0
  for (let after = FIRST_ID; ;) {
    const rows = await database.write(sendStates, [after])
    count += rows.length
    const last = rows.at(-1)
    if (last === undefined || rows.length < PRODUCTS_PER_STATEMENT) return count
    after = last.id
  }
}
