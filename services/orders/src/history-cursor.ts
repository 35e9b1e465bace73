import { ProblemError, problems } from '@saas/contracts'
import { isUuid } from '@saas/state'

/**
 * The cursor of the page after `lastId`. It carries what makes the list that list, its filters included, because a place
 * in one list is none in another.
 */
export function writeCursor(list: readonly (string | null)[], lastId: string): string {
  return Buffer.from(JSON.stringify([...list, lastId])).toString('base64url')
}

/** The id before which the page begins. @throws {ProblemError} `invalid-request` unless this very list made the cursor. */
export function readCursor(list: readonly (string | null)[], cursor: string): string {
  const parts = parse(cursor)
  if (Array.isArray(parts)) {
    const lastId: unknown = parts.at(-1)
    const isOfList = JSON.stringify(parts.slice(0, -1)) === JSON.stringify(list)
    if (isOfList && typeof lastId === 'string' && isUuid(lastId)) return lastId
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
