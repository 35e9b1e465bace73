import type { productsEvents } from '@saas/contracts'
import { sql, type Database, type MessageOf, type Transaction } from '@saas/state'
import type { LowProduct } from './content.ts'
import { insertMails, type NewMail } from './mails.ts'
import { quietUntil, type QuietHours } from './quiet-hours.ts'

/** How long what follows the first event is collected. */
const DIGEST_WINDOW_MS = 3_600_000
/** The most that a digest lists; it says how many there were in all. */
const ITEMS_MAX = 50
const WINDOWS_MAX = 100
const TOPIC = 'low-stock'

type StockRanLow = MessageOf<typeof productsEvents.stockRanLow>

// Adding to a window locks it, so that what comes while it is being closed belongs to the next. Who switched off the mail at
// once gets the first event with the others.
const collect = sql<{ user_id: string }>(
  'notifications.collect_low_stock',
  `with manager as materialized (
     select user_id, 'low-stock' = any(declined) as is_collected_only
     from recipient
     where 'manager' = any(roles)
       and verified
       and not disabled
       and not declined @> array['low-stock', 'digest']
   ),
   told as (
     insert into digest_window (topic, user_id, opened_at, closes_at, items, count)
     select '${TOPIC}', user_id, $1, $2, case when is_collected_only then jsonb_build_array($3::jsonb) else '[]' end,
       is_collected_only::int
     from manager
     order by user_id
     on conflict (topic, user_id) do update
     set items = case
           when digest_window.count < ${ITEMS_MAX} then digest_window.items || jsonb_build_array($3::jsonb)
           else digest_window.items
         end,
         count = digest_window.count + 1
     returning user_id, xmax = 0 as is_opened
   )
   select user_id
   from told
   join manager using (user_id)
   where is_opened and not is_collected_only`,
)

interface ClosingWindow {
  readonly user_id: string
  readonly opened_at: Date
  readonly items: readonly LowProduct[]
  readonly count: number
  readonly zone: string | null
  readonly wants: boolean
}

const lockClosing = sql<ClosingWindow>(
  'notifications.lock_closing_windows',
  `select user_id, opened_at, items, count, zone,
     'manager' = any(roles) and verified and not disabled and not ('digest' = any(declined)) as wants
   from digest_window
   join recipient using (user_id)
   where topic = '${TOPIC}'
     and closes_at <= $1
   order by closes_at
   limit ${WINDOWS_MAX}
   for update of digest_window skip locked`,
)

const closeWindow = sql(
  'notifications.close_window',
  `delete from digest_window where topic = '${TOPIC}' and user_id = $1`,
)

const putOffClosing = sql(
  'notifications.put_off_closing',
  `update digest_window set closes_at = $2 where topic = '${TOPIC}' and user_id = $1`,
)

const openAgain = sql(
  'notifications.open_window_again',
  `update digest_window
   set opened_at = $2, closes_at = $3, items = '[]', count = 0
   where topic = '${TOPIC}' and user_id = $1`,
)

/** The mails to managers who have not heard of low stock for a while; for the others it is collected. */
export async function applyLowStock(tx: Transaction, messages: readonly StockRanLow[], now: Date): Promise<NewMail[]> {
  const mails: NewMail[] = []
  const closesAt = new Date(now.getTime() + DIGEST_WINDOW_MS)
  for (const { id, data, traceParent } of messages) {
    const { productId, name, sku, available, threshold } = data
    const product: LowProduct = { productId, name, sku, available, threshold }
    const managers = await tx.query(collect, [now, closesAt, JSON.stringify(product)])
    for (const { user_id: userId } of managers) {
      mails.push({
        ...digestMail,
        naturalKey: `low-stock:${id}:${userId}`,
        content: { kind: 'low-stock', facts: product },
        userId,
        traceParent,
      })
    }
  }
  return mails
}

const digestMail = { recipient: undefined, secret: undefined, expiresAt: undefined, traceParent: undefined } as const

/** Tells each manager what was collected; in their quiet hours it is collected on. Returns how many windows were due. */
export async function closeWindows(database: Database, quiet: QuietHours | undefined, now: Date): Promise<number> {
  return await database.transaction(async (tx) => {
    const closing = await tx.query(lockClosing, [now])
    for (const window of closing) await close(tx, window, quiet, now)
    return closing.length
  })
}

async function close(
  tx: Transaction,
  { user_id: userId, opened_at: openedAt, items, count, zone, wants }: ClosingWindow,
  quiet: QuietHours | undefined,
  now: Date,
): Promise<void> {
  if (count === 0 || !wants) {
    await tx.query(closeWindow, [userId])
    return
  }
  const heldUntil = quietUntil(quiet, zone ?? undefined, now)
  if (heldUntil !== undefined) {
    await tx.query(putOffClosing, [userId, heldUntil])
    return
  }
  const facts = { count, products: items, since: openedAt.toISOString() }
  const naturalKey = `digest:${TOPIC}:${userId}:${openedAt.toISOString()}`
  await insertMails(tx, [{ ...digestMail, naturalKey, content: { kind: 'digest', facts }, userId }], now)
  await tx.query(openAgain, [userId, now, new Date(now.getTime() + DIGEST_WINDOW_MS)])
}
