/** `pnpm chaos` runs the proofs at their full size, `pnpm test` at a small one. */
export const isFull = process.env['CHAOS'] === 'full'

/** The size of this run. */
export function sized<T>(small: T, full: T): T {
  return isFull ? full : small
}
