import { PAGE_ITEMS_DEFAULT, ProblemError, problems } from '@saas/contracts'

/** No id is lower: where a walk by id, oldest first, begins. */
export const NIL_ID = '00000000-0000-0000-0000-000000000000'
/** No id is higher: where a list by id, newest first, begins. */
export const HIGHEST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff'
/** As Postgres writes one, and understands the expression. */
export const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Is it a UUID as Postgres writes one? */
export function isUuid(text: string): boolean {
  return UUID.test(text)
}

/** A page of a list by id, newest first. Its cursor is the id of the last item of the page before. */
export class IdPage {
  /** The items of the page have lower ids. */
  readonly before: string
  /** How many rows to read: one more than the page has, which tells whether there is another. */
  readonly rowsMax: number

  /** @throws {ProblemError} `invalid-request` when the cursor is none. */
  constructor({
    limit = PAGE_ITEMS_DEFAULT,
    cursor = HIGHEST_ID,
  }: {
    readonly limit?: number | undefined
    readonly cursor?: string | undefined
  }) {
    if (!isUuid(cursor)) {
      throw new ProblemError(problems.invalidRequest, {
        errors: [{ pointer: '/query/cursor', detail: 'is not a cursor of this list' }],
      })
    }
    this.before = cursor
    this.rowsMax = limit + 1
  }

  /** The page of the rows that were read, each as `shown`. */
  of<Row, Item extends { readonly id: string }>(
    rows: readonly Row[],
    shown: (row: Row) => Item,
  ): { items: Item[]; next: string | null } {
    const items = rows.slice(0, this.rowsMax - 1).map((row) => shown(row))
    return { items, next: rows.length === this.rowsMax ? (items.at(-1)?.id ?? null) : null }
  }
}
