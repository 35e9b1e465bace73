import { PAGE_ITEMS_DEFAULT, ProblemError, problems, type Order, type OrderStatus } from '@saas/contracts'
import { firstIdAt, sql, type Database } from '@saas/state'
import { readCursor, writeCursor } from './history-cursor.ts'
import { orderColumns, toOrder, type OrderRow } from './order-row.ts'

/** Above every id. */
const LAST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff'

/** Which orders are listed. */
interface HistoryFilters {
  readonly status?: OrderStatus
  /** RFC 3339; placed then or later. */
  readonly from?: string
  /** RFC 3339; placed before. */
  readonly to?: string
}

export interface HistoryQuery extends HistoryFilters {
  readonly limit?: number
  readonly cursor?: string
}

interface OrderPage {
  readonly items: Order[]
  readonly next: string | null
}

/** Lists of orders, newest first. An order's id bears the time it was placed at, so a date is a place in the list. */
export class History {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** A page of one user's orders. @throws {ProblemError} `invalid-request` for a cursor of another list. */
  async ofUser(userId: string, query: HistoryQuery): Promise<OrderPage> {
    const { rows, next } = await this.#page('own', userId, query)
    return { items: rows.map((row) => toOrder(row).order), next }
  }

  /** A page of everybody's orders, or of one customer's, with whose they are. @throws {ProblemError} likewise. */
  async ofAll(query: HistoryQuery & { readonly customer?: string }): Promise<OrderPage> {
    const { rows, next } = await this.#page('all', query.customer?.toLowerCase(), query)
    return { items: rows.map(toCustomerOrder), next }
  }

  async #page(
    list: 'own' | 'all',
    userId: string | undefined,
    query: HistoryQuery,
  ): Promise<{ rows: OrderRow[]; next: string | null }> {
    const { limit = PAGE_ITEMS_DEFAULT, cursor, status, from, to } = query
    if (from !== undefined && to !== undefined && Date.parse(from) > Date.parse(to)) {
      throw new ProblemError(problems.invalidRequest, {
        errors: [{ pointer: '/query/to', detail: 'is before `from`' }],
      })
    }
    const name = [list, list === 'own' ? null : (userId ?? null), status ?? null, from ?? null, to ?? null]
    const end = to === undefined ? LAST_ID : firstIdAt(Date.parse(to))
    const before = cursor === undefined ? end : readCursor(name, cursor)
    const { statement, values } = historyStatement({ userId, status, from })
    // One more than asked for tells whether there is a next page.
    const found = await this.#database.read(statement, [before, limit + 1, ...values])
    const rows = found.slice(0, limit)
    const last = rows.at(-1)
    return { rows, next: found.length > limit && last !== undefined ? writeCursor(name, last.order_id) : null }
  }
}

/** Each combination of filters is a statement of its own, so that each gets the plan and the index it needs. */
export function historyStatement({
  userId,
  status,
  from,
}: {
  userId: string | undefined
  status: OrderStatus | undefined
  from: string | undefined
}): { statement: ReturnType<typeof sql<OrderRow>>; values: readonly string[] } {
  const values: string[] = []
  const parameter = (value: string) => `$${values.push(value) + 2}`
  const conditions = [
    'orders.order_id < $1',
    ...(from === undefined ? [] : [`orders.order_id >= ${parameter(firstIdAt(Date.parse(from)))}`]),
    ...(userId === undefined ? [] : [`orders.user_id = ${parameter(userId)}`]),
    // Written out: an index that has only the orders of one status is used where that status is known to the planner.
    ...(status === undefined ? [] : [`orders.status = '${status}'`]),
  ]
  const parts = [userId === undefined ? 'all' : 'user', status, from === undefined ? undefined : 'from']
  const name = ['orders.history', ...parts.filter((part) => part !== undefined)].join('.')
  return {
    statement: sql<OrderRow>(
      name,
      `select ${orderColumns}
       from orders
       where ${conditions.join('\n         and ')}
       order by orders.order_id desc
       limit $2`,
    ),
    values,
  }
}

export function toCustomerOrder(row: OrderRow): Order {
  return { ...toOrder(row).order, customerId: row.user_id }
}
