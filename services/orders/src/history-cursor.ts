import { ProblemError, problems, type OrderStatus } from '@saas/contracts'

const LIST = 'orders'
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Above every id. */
export const FIRST_PAGE = 'ffffffff-ffff-ffff-ffff-ffffffffffff'

/** The cursor of the page after `lastId`. It names the list and its filter, because a place in one list is none in another. */
export function writeCursor(lastId: string, status: OrderStatus | undefined): string {
  return Buffer.from(JSON.stringify([LIST, status ?? null, lastId])).toString('base64url')
}

/** The id before which the page begins. @throws {ProblemError} `invalid-request` unless this very list made the cursor. */
export function readCursor(cursor: string, status: OrderStatus | undefined): string {
  const parts = parse(cursor)
  if (Array.isArray(parts) && parts.length === 3) {
    const [list, filter, lastId] = parts as readonly unknown[]
    if (list === LIST && filter === (status ?? null) && typeof lastId === 'string' && UUID.test(lastId)) return lastId
  }
  throw new ProblemError(problems.invalidRequest, {
    errors: [{ pointer: '/query/cursor', detail: 'is not the cursor of a page of this list' }],
  })
}

function parse(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
  } catch {
    return undefined
  }
}
