import { createHash } from 'node:crypto'
import { newId, type Clock } from '@saas/config'
import {
  AMOUNT_MAX,
  LINES_MAX,
  ProblemError,
  problems,
  type BodyOf,
  type Cart,
  type ordersRoutes,
} from '@saas/contracts'
import { sql, type Bus, type CoalescedRead, type Database } from '@saas/state'
import { itemsOf, sendChanged, summed } from './cart-lines.ts'
import { distinctLines, type AskedLine } from './place-order.ts'

/** So many keys of merges a cart remembers; a browser sends one again within minutes, if at all. */
const MERGES_MAX = 20

interface CartRow {
  readonly user_id: string
  readonly items: Cart['items'] | null
}

interface ChangeRow {
  readonly for_sale: boolean
  readonly items: Cart['items'] | null
  /** False when the cart could not take another product. */
  readonly fits: boolean
}

type KeptLine = BodyOf<typeof ordersRoutes.mergeCart>['lines'][number]

/** Whose cart, and by which request it changes. */
export interface CartOwner {
  readonly userId: string
  readonly traceParent: string
}

/** Carts: one row a user, changed in place by single statements, so that two tabs never lose each other's change. */
export class Carts {
  readonly #database: Database
  readonly #bus: Pick<Bus, 'nudge'>
  readonly #clock: Clock
  readonly #carts: CoalescedRead<CartRow>

  constructor({
    database,
    bus,
    clock,
  }: {
    readonly database: Database
    readonly bus: Pick<Bus, 'nudge'>
    readonly clock: Clock
  }) {
    this.#database = database
    this.#bus = bus
    this.#clock = clock
    this.#carts = database.coalescedRead({ statement: Carts.#read, keyOfRow: (row) => row.user_id })
  }

  static readonly #read = sql<CartRow>(
    'orders.read_carts',
    `select user_id, ${itemsOf('cart')} as items from cart where user_id = any($1::uuid[])`,
  )

  /** The user's cart; one that was never used is empty. */
  async get(userId: string): Promise<Cart> {
    const row = await this.#carts.load(userId)
    return toCart(row?.items ?? null)
  }

  // The update sees the newest row, whatever was committed since the statement began.
  static readonly #put = sql<ChangeRow>(
    'orders.put_cart_item',
    `
with on_sale as materialized (
  select product_id, amount, currency from product_copy where product_id = $2 and not deleted
),
changed as (
  insert into cart (user_id, lines, version, updated_at)
  select
    $1::uuid,
    jsonb_build_array(
      jsonb_build_object('productId', product_id, 'quantity', $3::int, 'amount', amount, 'currency', currency)
    ),
    1, $4::text::timestamptz
  from on_sale
  on conflict (user_id) do update
  set
    lines = case
      when cart.lines @> jsonb_build_array(jsonb_build_object('productId', $2::uuid)) then (
        select jsonb_agg(
          case when line ->> 'productId' = $2::uuid::text then excluded.lines -> 0 else line end order by position
        )
        from jsonb_array_elements(cart.lines) with ordinality as l (line, position)
      )
      else cart.lines || excluded.lines
    end,
    version = cart.version + 1,
    updated_at = excluded.updated_at
  where jsonb_array_length(cart.lines) < ${LINES_MAX}
    or cart.lines @> jsonb_build_array(jsonb_build_object('productId', $2::uuid))
  returning user_id, lines, version
),
sent as (${sendChanged('$5', '$4', '$6')})
select
  exists (select from on_sale) as for_sale,
  exists (select from changed) as fits,
  (select ${itemsOf('changed')} from changed) as items
`,
  )

  /**
   * Sets how many of a product are in the cart, at the price it has now: whoever changes a line has seen it.
   *
   * @throws {ProblemError} `product-not-for-sale` or `cart-full`.
   */
  async put({ userId, traceParent }: CartOwner, { productId, quantity }: AskedLine): Promise<Cart> {
    const values = [userId, productId.toLowerCase(), quantity, this.#clock.now().toISOString(), newId(), traceParent]
    const [row] = await this.#database.write(Carts.#put, values)
    if (row?.for_sale !== true) {
      const errors = [{ pointer: '/params/productId', detail: 'is not for sale' }]
      throw new ProblemError(problems.productNotForSale, { errors })
    }
    if (!row.fits) throw new ProblemError(problems.cartFull)
    this.#bus.nudge()
    return toCart(row.items)
  }

  static readonly #remove = sql<CartRow & { readonly changed: boolean }>(
    'orders.delete_cart_item',
    `
with changed as (
  update cart
  set
    lines = coalesce((
      select jsonb_agg(line order by position)
      from jsonb_array_elements(cart.lines) with ordinality as l (line, position)
      where line ->> 'productId' <> $2::uuid::text
    ), '[]'),
    version = version + 1,
    updated_at = $3::text::timestamptz
  where user_id = $1
    and lines @> jsonb_build_array(jsonb_build_object('productId', $2::uuid))
  returning user_id, lines, version
),
sent as (${sendChanged('$4', '$3', '$5')})
select user_id, ${itemsOf('changed')} as items, true as changed from changed
union all
select user_id, ${itemsOf('cart')}, false from cart where user_id = $1 and not exists (select from changed)
`,
  )

  /** Takes a product out of the cart; one that is not in it is no error. */
  async remove({ userId, traceParent }: CartOwner, productId: string): Promise<Cart> {
    const values = [userId, productId.toLowerCase(), this.#clock.now().toISOString(), newId(), traceParent]
    const [row] = await this.#database.write(Carts.#remove, values)
    if (row?.changed === true) this.#bus.nudge()
    return toCart(row?.items ?? null)
  }

  static readonly #merge = sql<ChangeRow>(
    'orders.merge_cart',
    `
with added as materialized (
  select coalesce(jsonb_agg(
    jsonb_build_object(
      'productId', line.product_id,
      'quantity', line.quantity,
      'stock', line.stock,
      'amount', coalesce((line."unitPrice" ->> 'amount')::bigint, product_copy.amount),
      'currency', coalesce(line."unitPrice" ->> 'currency', product_copy.currency)
    ) order by line.position
  ), '[]') as lines
  from rows from (jsonb_to_recordset($2::jsonb) as ("productId" uuid, quantity int, stock bigint, "unitPrice" jsonb))
    with ordinality as line (product_id, quantity, stock, "unitPrice", position)
  join product_copy using (product_id)
  where not product_copy.deleted
),
changed as (
  insert into cart (user_id, lines, merges, version, updated_at)
  select $1::uuid, ${summed('added.lines')}, $4::jsonb, 1, $3::text::timestamptz from added
  on conflict (user_id) do update
  set
    lines = ${summed('(cart.lines || (select lines from added))')},
    merges = (
      select coalesce(jsonb_agg(merge order by position), '[]')
      from (
        select merge, position
        from jsonb_array_elements(cart.merges || excluded.merges) with ordinality as m (merge, position)
        order by position desc
        limit ${MERGES_MAX}
      ) as newest
    ),
    version = cart.version + 1,
    updated_at = excluded.updated_at
  where jsonb_array_length(${summed('(cart.lines || (select lines from added))')}) <= ${LINES_MAX}
    and not cart.merges @> jsonb_build_array(jsonb_build_object('key', $5::text))
  returning user_id, lines, version
),
sent as (${sendChanged('$6', '$3', '$7')})
select
  true as for_sale,
  exists (select from changed) as fits,
  (select ${itemsOf('changed')} from changed) as items
`,
  )

  // A statement of its own: the one that found the key taken may have begun before that was committed.
  static readonly #findMerge = sql<{ fingerprint: string; items: Cart['items'] | null }>(
    'orders.find_cart_merge',
    `
select merge ->> 'fingerprint' as fingerprint, ${itemsOf('cart')} as items
from cart
cross join jsonb_array_elements(cart.merges) as merge
where user_id = $1 and merge ->> 'key' = $2
`,
  )

  /**
   * Adds the lines of another cart; quantities of the same product are summed, up to the stock that the line names and the
   * largest allowed, and what is not for sale is left out.
   *
   * Under a key it is done once: again, it answers the cart as it is now.
   *
   * @throws {ProblemError} `cart-full` when both together are too many products; nothing is added then.
   * `idempotency-key-reused` when the key came with other lines.
   */
  async merge(
    { userId, traceParent }: CartOwner,
    lines: readonly KeptLine[],
    key: string | undefined,
  ): Promise<{ readonly cart: Cart; readonly replayed: boolean }> {
    const distinct = distinctLines(lines)
    const fingerprint = mergeFingerprint(distinct)
    const merges = key === undefined ? [] : [{ key, fingerprint }]
    const asked = [JSON.stringify(distinct), this.#clock.now().toISOString(), JSON.stringify(merges), key ?? null]
    const [row] = await this.#database.write(Carts.#merge, [userId, ...asked, newId(), traceParent])
    if (row?.fits === true) {
      this.#bus.nudge()
      return { cart: toCart(row.items), replayed: false }
    }
    const [earlier] = key === undefined ? [] : await this.#database.read(Carts.#findMerge, [userId, key])
    if (earlier === undefined) throw new ProblemError(problems.cartFull)
    if (earlier.fingerprint !== fingerprint) throw new ProblemError(problems.idempotencyKeyReused)
    return { cart: toCart(earlier.items), replayed: true }
  }
}

function mergeFingerprint(lines: readonly KeptLine[]): string {
  const canonical = lines.map(({ productId, quantity, stock = null, unitPrice }) => [
    productId,
    quantity,
    stock,
    unitPrice === undefined ? null : [unitPrice.amount, unitPrice.currency],
  ])
  return createHash('sha256').update(JSON.stringify(canonical)).digest('base64url')
}

function toCart(items: Cart['items'] | null): Cart {
  const available = items?.filter((item) => item.available) ?? []
  const currencies = new Set(available.map(({ unitPrice }) => unitPrice.currency))
  const [currency] = currencies
  // At most 100 × 10,000 × 10¹² = 10¹⁸: beyond exact numbers, so far above AMOUNT_MAX that the error does not matter.
  const amount = available.reduce((sum, { quantity, unitPrice }) => sum + quantity * unitPrice.amount, 0)
  const hasTotal = currency !== undefined && currencies.size === 1 && amount <= AMOUNT_MAX
  return { items: items ?? [], total: hasTotal ? { amount, currency } : null }
}
