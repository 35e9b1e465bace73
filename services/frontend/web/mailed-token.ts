/**
 * The secret of a mailed link. It travels in the fragment, which no server and no log sees, and leaves the address bar
 * and the history as soon as it was read.
 */
export function takeMailedToken(): string | undefined {
  const token = new URLSearchParams(location.hash.slice(1)).get('token') ?? undefined
  if (token !== undefined) history.replaceState(null, '', location.pathname)
  return token
}
