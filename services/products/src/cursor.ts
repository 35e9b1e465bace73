import { problems, ProblemError } from '@saas/contracts'
import { isUuid } from '@saas/state'
import { createHash } from 'node:crypto'

/** Where a page ended: the sorting key of its last item, and the item's id, which breaks ties. */
export interface Position {
  readonly key: string | number | null
  readonly id: string
}

/**
 * An opaque cursor for the page after `position` of one list. `list` is whatever makes it that list: its filters and
 * its sort. The cursor carries a digest of it, so that it is refused where it does not belong.
 */
export function encodeCursor(list: unknown, { key, id }: Position): string {
  return Buffer.from(JSON.stringify([digestOf(list), key, id])).toString('base64url')
}

/** What the keys of a list are; a forged cursor must not reach Postgres with anything else. */
export type KeyKind = 'none' | 'text' | 'integer' | 'number'

const isOfKind: Readonly<Record<KeyKind, (key: unknown) => boolean>> = {
  none: (key) => key === null,
  text: (key) => typeof key === 'string' && key.isWellFormed() && !key.includes('\0'),
  integer: Number.isSafeInteger,
  number: Number.isFinite,
}

/** @throws {ProblemError} `invalid-request` unless it is a cursor of this list with a key of this kind. */
export function decodeCursor(list: unknown, cursor: string, kind: KeyKind): Position {
  const [digest, key, id] = parse(cursor)
  if (digest !== digestOf(list) || !isOfKind[kind](key) || typeof id !== 'string' || !isUuid(id)) {
    throw new ProblemError(problems.invalidRequest, {
      errors: [{ pointer: '/query/cursor', detail: 'is not a cursor of this list' }],
    })
  }
  return { key: key as Position['key'], id }
}

function parse(cursor: string): readonly unknown[] {
  try {
    const parts: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    return Array.isArray(parts) && parts.length === 3 ? parts : []
  } catch {
    return []
  }
}

function digestOf(list: unknown): string {
  return createHash('sha256').update(JSON.stringify(list)).digest('base64url').slice(0, 12)
}
