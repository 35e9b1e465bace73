import { useSignal, type Signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

/**
 * The secret of a mailed link. It travels in the fragment, which no server and no log sees, and leaves the address bar
 * and the history as soon as it was read. A link that is opened while its page is shown only changes the fragment.
 *
 * With `keptAs` it outlives the way to the login page and back, in this tab alone.
 */
export function useMailedToken(keptAs?: string): Signal<string | undefined> {
  const token = useSignal(takeMailedToken(keptAs))
  useEffect(() => {
    const read = (): void => {
      token.value = takeMailedToken(keptAs) ?? token.value
    }
    addEventListener('hashchange', read)
    return () => removeEventListener('hashchange', read)
  }, [])
  return token
}

function takeMailedToken(keptAs: string | undefined): string | undefined {
  const fragment = location.hash.slice(1)
  // Links of mails that can be unsubscribed from are the token alone.
  const bare = /^[\w-]+\.[a-z-]+\.[\w-]+$/.test(fragment) ? fragment : undefined
  const token = new URLSearchParams(fragment).get('token') ?? bare
  if (token !== undefined) history.replaceState(history.state, '', location.pathname)
  if (keptAs === undefined) return token
  if (token !== undefined) sessionStorage.setItem(keptAs, token)
  return token ?? sessionStorage.getItem(keptAs) ?? undefined
}
