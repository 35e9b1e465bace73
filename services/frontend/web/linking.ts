const KEY = 'linking'

/** Remembers across the visit at a provider that somebody links it, and is not signing in. */
export function beginLinking(): void {
  sessionStorage.setItem(KEY, 'true')
}

/** Whether somebody was linking, once. */
export function endLinking(): boolean {
  const wasLinking = sessionStorage.getItem(KEY) !== null
  sessionStorage.removeItem(KEY)
  return wasLinking
}
