import type { ordersEvents } from '@saas/contracts'
import { sql, type Database, type MessageOf, type Transaction } from '@saas/state'
import { GIVE_UP_AFTER_MS } from './backoff.ts'

const PAGE_CARTS_MAX = 1_000

type CartChanged = MessageOf<typeof ordersEvents.cartChanged>

// The newest state wins, and each state has its own hour of being reminded of: a change puts it off, emptying ends it.
const recordCarts = sql(
  'notifications.record_carts',
  `insert into cart (user_id, version, lines, remind_at)
   select user_id, version, lines, remind_at
   from jsonb_to_recordset($1::jsonb) as changed(user_id uuid, version bigint, lines jsonb, remind_at timestamptz)
   where not exists (select 1 from recipient where recipient.user_id = changed.user_id and deleted_at is not null)
   order by user_id
   on conflict (user_id) do update
   set version = excluded.version,
       lines = excluded.lines,
       remind_at = excluded.remind_at
   where cart.version < excluded.version`,
)

// Not `exists`: for any time, Postgres expects a third of all carts to be due, and looks for one where they lie. Asked so each second, a million
// carts of which none was due took 65 to 170 ms each time.
export const selectDue = sql<{ due: boolean | null }>(
  'notifications.carts_due',
  'select min(remind_at) <= $1 as due from cart',
)

// The key makes it one mail a state of a cart, whatever becomes of remind_at. It says what the products are called and cost by now, and
// nothing of those that are gone; when all of them are, there is nothing to remind of. Products and carts are found by arrays of ids: joined,
// all of them were read when the planner took a table for small.
const planReminders = sql<{ user_id: string }>(
  'notifications.plan_cart_reminders',
  `with due as materialized (
     select user_id, version, lines
     from cart
     where remind_at <= $1
     order by remind_at
     limit ${PAGE_CARTS_MAX}
     for update skip locked
   ),
   lying as materialized (
     select user_id, (line ->> 'productId')::uuid as product_id, line, position
     from due
     cross join lateral jsonb_array_elements(lines) with ordinality as lines (line, position)
   ),
   product as materialized (
     select product_id, name, amount, currency, deleted
     from product_copy
     where product_id = any(array(select product_id from lying))
   ),
   current as materialized (
     select user_id, jsonb_agg(
       line || case
         when name is null then '{}'
         else jsonb_build_object('name', name, 'unitPrice', jsonb_build_object('amount', amount, 'currency', currency))
       end
       order by position
     ) as lines
     from lying
     left join product using (product_id)
     where deleted is not true
     group by user_id
   ),
   planned as (
     insert into mail (
       id, natural_key, kind, user_id, domain, data, has_secret, due_at, gives_up_at, created_at
     )
     select uuidv7(), concat_ws(':', 'abandoned-cart', user_id, due.version), 'abandoned-cart', user_id,
       lower(split_part(email, '@', 2)), jsonb_build_object('version', due.version, 'lines', current.lines), false, $1, $2, $1
     from due
     join recipient using (user_id)
     join current using (user_id)
     where verified
       and not disabled
       and not ('abandoned-cart' = any(declined))
     order by user_id
     on conflict (natural_key) do nothing
   )
   update cart
   set remind_at = null
   where user_id = any(array(select user_id from due))
   returning user_id`,
)

/** Remembers what lies in carts, and when to remind of it. */
export async function applyCarts(tx: Transaction, messages: readonly CartChanged[], lyingMs: number): Promise<void> {
  if (messages.length === 0) return
  const rows = messages.map(({ data: { userId, lines, changedAt }, aggregateVersion }) => ({
    user_id: userId,
    version: aggregateVersion,
    lines,
    remind_at: lines.length === 0 ? null : new Date(Date.parse(changedAt) + lyingMs),
  }))
  await tx.query(recordCarts, [JSON.stringify(rows)])
}

/** Whether a cart has lain still for so long that its owner is to be reminded. */
export async function hasDueCarts(database: Database, now: Date): Promise<boolean> {
  const [row] = await database.read(selectDue, [now])
  return row?.due === true
}

/** Writes the reminders of the next thousand carts; false when there were fewer. */
export async function remindOfCarts(database: Database, now: Date): Promise<boolean> {
  const reminded = await database.write(planReminders, [now, new Date(now.getTime() + GIVE_UP_AFTER_MS)])
  return reminded.length === PAGE_CARTS_MAX
}
