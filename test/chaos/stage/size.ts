/** `pnpm chaos` runs the proofs at their full size, `pnpm test` at a small one. */
export const isFull = process.env['CHAOS'] === 'full'

/** The size of this run. */
export function sized<T>(small: T, full: T): T {
  return isFull ? full : small
}

const SMALL_SEED = 20_261_122
const SEEDS = 2 ** 31

/**
 * What chance starts from. At full size each run is another one; at the small size all are the same, so that a red `pnpm test`
 * blames the change before it. CHAOS_SEED repeats a run.
 */
export function chaosSeed(): number {
  const wanted = process.env['CHAOS_SEED']
  if (wanted !== undefined) return Number(wanted)
  return sized(SMALL_SEED, Math.floor(Math.random() * SEEDS))
}
