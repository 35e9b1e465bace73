const FIRST_DELAY_MS = 2_000
const DELAY_MS_MAX = 30 * 60_000
const WAIT_MS_MIN = 1_000
const WAIT_MS_MAX = 60_000

/** How long a mail is tried before it is dead, when it only ever failed for the time being. */
export const GIVE_UP_AFTER_MS = 48 * 3_600_000

/**
 * How long to wait after the nth failed attempt: 2 s, doubling, at most half an hour, and of that a random part
 * between a half and the whole, so that what failed together does not come back together.
 */
export function retryDelayMs(attempts: number, random: number): number {
  const whole = Math.min(DELAY_MS_MAX, FIRST_DELAY_MS * 2 ** Math.min(attempts - 1, 20))
  return Math.round(whole * (0.5 + random / 2))
}

/** How long a mail waits for its address: as long as it has waited already, between a second and a minute. */
export function addressDelayMs(ageMs: number): number {
  return Math.min(WAIT_MS_MAX, Math.max(WAIT_MS_MIN, ageMs))
}
