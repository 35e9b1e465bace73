import { rowsOf, type Checker, type Checkers, type PlaceAnswer } from './evidence.ts'

/** A key made one order, and every answer under it said the same but for what may change. */
const oneOrderAKey: Checker = async ({ ledger, databases: { orders } }) => {
  const violations = await rowsOf(
    orders,
    `select user_id, key, count(*) as orders from idempotency group by 1, 2 having count(*) > 1`,
  )
  const answers = Map.groupBy(
    ledger.placed.filter(({ key, status }) => key !== undefined && status < 400 && status !== 0),
    ({ userId, key }) => `${userId} ${key}`,
  )
  for (const [key, given] of answers) {
    const kinds = new Set(given.map(constantPart))
    if (kinds.size > 1) violations.push(`The key ${key} was answered with ${[...kinds].join(' and ')}`)
  }
  const byKey = [...answers.values()].map(([first]) => first?.userId)
  const users = [...new Set(byKey)]
  const keys = [...answers.keys()]
  const stored = await rowsOf(
    orders,
    `select user_id, count(*) as orders, (select count(*) from idempotency where idempotency.user_id = orders.user_id) as keys
     from orders
     where user_id = any($1::uuid[])
     group by 1
     having count(*) <> (select count(*) from idempotency where idempotency.user_id = orders.user_id)`,
    [users],
  )
  return [...violations, ...(keys.length === 0 ? [] : stored)]
}

/** What a replay repeats; the status may have advanced. */
function constantPart({ status, location, order }: PlaceAnswer): string {
  return JSON.stringify({ status, location, id: order?.id, lines: order?.lines, total: order?.total })
}

/** Whoever orders nothing but the cart has at most one order each time it was filled. */
const oneOrderACart: Checker = async ({ ledger, databases: { orders } }) => {
  const fills = [...ledger.cartFills].map(([userId, count]) => ({ user_id: userId, fills: count }))
  return await rowsOf(
    orders,
    `select user_id, fills, (select count(*) from orders where orders.user_id = filled.user_id) as orders
     from jsonb_to_recordset($1::jsonb) as filled(user_id uuid, fills int)
     where (select count(*) from orders where orders.user_id = filled.user_id) > fills`,
    [JSON.stringify(fills)],
  )
}

/** The total is the sum of its lines, each at a price that the product had. */
const totals: Checker = async ({ databases: { orders, products } }) => {
  const wrong = await rowsOf(
    orders,
    `select order_id, total_amount, sum(quantity * unit_amount) as lines
     from orders join order_line using (order_id)
     group by order_id having total_amount <> sum(quantity * unit_amount)`,
  )
  if (orders === undefined || products === undefined) return wrong
  const lines = await orders.query<{ order_id: string; price: string }>(
    `select order_id, concat_ws(' ', product_id, price_version, unit_amount, currency) as price
     from order_line join orders using (order_id)`,
  )
  const prices = await products.query<{ price: string }>(
    `select concat_ws(' ', product_id, price_version, amount, currency) as price from price_change`,
  )
  const known = new Set(prices.map(({ price }) => price))
  // An order may name a price that products no longer had, never one that it never had.
  const invented = lines.filter(({ price }) => !known.has(price))
  return [
    ...wrong,
    ...invented.map(({ order_id, price }) => `Order ${order_id} was priced at ${price}, which never was`),
  ]
}

/** The events of each order are a path of the state graph that ends in its state. */
const historyIsAPath: Checker = async ({ databases: { orders } }) =>
  await rowsOf(
    orders,
    `select order_id, status, path
     from orders
     join (
       select aggregate_id::uuid as order_id,
         string_agg(regexp_replace(subject, '^.*\\.', ''), ' ' order by aggregate_version) as path
       from outbox where aggregate_type = 'order' group by 1
     ) as history using (order_id)
     where path !~ '^placed( confirmed( cancelled)?| rejected| cancelled)?$'
       or (regexp_replace(path, '^.* ', '') <> case status when 'pending' then 'placed' else status end)`,
  )

/** Nothing waits past its deadline. */
const nothingPending: Checker = async ({ databases: { orders } }) =>
  await rowsOf(
    orders,
    `select order_id, deadline_at from orders where status = 'pending' and deadline_at < now() - interval '5 seconds'`,
  )

export const orderCheckers: Checkers = {
  O1: oneOrderAKey,
  O2: oneOrderACart,
  O3: totals,
  O4: historyIsAPath,
  O5: nothingPending,
}
