import { useSignal, type Signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

/**
 * The secret of a mailed link. It travels in the fragment, which no server and no log sees, and leaves the address bar
 * and the history as soon as it was read. A link that is opened while its page is shown only changes the fragment.
 */
export function useMailedToken(): Signal<string | undefined> {
  const token = useSignal(takeMailedToken())
  useEffect(() => {
    const read = (): void => {
      token.value = takeMailedToken() ?? token.value
    }
    addEventListener('hashchange', read)
    return () => removeEventListener('hashchange', read)
  }, [])
  return token
}

function takeMailedToken(): string | undefined {
  const token = new URLSearchParams(location.hash.slice(1)).get('token') ?? undefined
  if (token !== undefined) history.replaceState(null, '', location.pathname)
  return token
}
