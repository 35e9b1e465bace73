import { rowsOf, type Checker, type Checkers, type Queryable } from './evidence.ts'

/** No balance ever was below zero. */
const neverNegative: Checker = async ({ databases: { products } }) => [
  ...(await rowsOf(products, 'select id, available from product where available < 0')),
  ...(await rowsOf(
    products,
    'select product_id, stock_version, available_after from stock_movement where available_after < 0',
  )),
]

/** The movements of a product are numbered from 1, each balance follows from the one before, and the last is what is available. */
const ledgerAddsUp: Checker = async ({ ledger, databases: { products } }) => [
  ...(await rowsOf(
    products,
    `select id, available, product.stock_version, sum(delta) as explained, count(*) as movements
     from product join stock_movement on product_id = id
     group by id
     having available <> sum(delta) or product.stock_version <> count(*)`,
  )),
  ...(await rowsOf(
    products,
    `select product_id, stock_version, available_after, balance
     from (
       select *, sum(delta) over (partition by product_id order by stock_version) as balance from stock_movement
     ) as movement
     where balance <> available_after`,
  )),
  ...(await rowsOf(
    products,
    `select id, stock, (select delta from stock_movement where product_id = made.id and kind = 'initial') as initial
     from jsonb_to_recordset($1::jsonb) as made(id uuid, stock bigint)
     where stock is distinct from (select delta from stock_movement where product_id = made.id and kind = 'initial')`,
    [JSON.stringify(ledger.products)],
  )),
]

interface Units {
  readonly product_id: string
  readonly units: string
}

async function unitsByProduct(database: Queryable, text: string): Promise<Map<string, number>> {
  const rows = await database.query<Units>(text)
  return new Map(rows.map(({ product_id, units }) => [product_id, Number(units)]))
}

/** No more units are confirmed than there were on sale. */
const neverOversold: Checker = async ({ databases: { orders, products } }) => {
  if (orders === undefined || products === undefined) return []
  const confirmed = await unitsByProduct(
    orders,
    `select product_id, sum(quantity) as units from order_line join orders using (order_id)
     where status = 'confirmed' group by 1`,
  )
  const onSale = await unitsByProduct(
    products,
    `select product_id, sum(delta) as units from stock_movement where kind in ('initial', 'change') group by 1`,
  )
  return [...confirmed].flatMap(([productId, units]) => {
    const most = onSale.get(productId) ?? 0
    return units > most ? [`Of ${productId} ${units} units are confirmed and ${most} were on sale`] : []
  })
}

/** What an order holds is what its state says: a confirmed one its units, every other one nothing. */
const heldAsDecided: Checker = async ({ databases: { orders, products } }) => {
  if (orders === undefined || products === undefined) return []
  const lines = await orders.query<{ order_id: string; product_id: string; status: string; units: string }>(
    `select order_id, product_id, status, sum(quantity) as units
     from orders join order_line using (order_id) where status <> 'pending' group by 1, 2, 3`,
  )
  const held = await products.query<{ order_id: string; product_id: string; units: string; given: string }>(
    `select order_id, product_id, -sum(delta) as units, count(*) filter (where kind = 'release') as given
     from stock_movement where order_id is not null group by 1, 2`,
  )
  const byLine = new Map(held.map((row) => [`${row.order_id} ${row.product_id}`, row]))
  return lines.flatMap(({ order_id, product_id, status, units }) => {
    const row = byLine.get(`${order_id} ${product_id}`)
    const wanted = status === 'confirmed' ? Number(units) : 0
    const problems = []
    if (Number(row?.units ?? 0) !== wanted) {
      problems.push(`The ${status} order ${order_id} holds ${row?.units ?? 0} of ${product_id} instead of ${wanted}`)
    }
    if (Number(row?.given ?? 0) > 1) problems.push(`Order ${order_id} gave ${product_id} back ${row?.given} times`)
    return problems
  })
}

export const stockCheckers: Checkers = {
  S1: neverNegative,
  S2: ledgerAddsUp,
  S3: neverOversold,
  S4: heldAsDecided,
}
