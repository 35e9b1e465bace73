import { signal } from '@preact/signals'
import { fillPath, pages, type PageName } from '@saas/contracts'
import { beginHistory, comeBack, enter, stay } from './visited.ts'

export interface Place {
  /** Undefined when no page has this path. */
  readonly page: PageName | undefined
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  readonly path: string
}

const patterns = (Object.keys(pages) as PageName[]).map((page) => ({
  page,
  pattern: new RegExp(`^${pages[page].replaceAll(/\{(\w+)\}/g, '(?<$1>[^/]+)')}$`),
}))

/** The page that a URL stands for, by the contract's table. */
export function placeOf(url: URL): Place {
  const rest = { query: url.searchParams, path: url.pathname + url.search }
  for (const { page, pattern } of patterns) {
    const match = pattern.exec(url.pathname)
    if (match === null) continue
    try {
      const params = Object.entries(match.groups ?? {}).map(([name, value]) => [name, decodeURIComponent(value)])
      return { page, params: Object.fromEntries(params) as Record<string, string>, ...rest }
    } catch {
      break // Percent-encoding that stands for nothing names no page.
    }
  }
  return { page: undefined, params: {}, ...rest }
}

export const place = signal<Place>(placeOf(new URL(globalThis.location?.href ?? 'http://localhost/')))

/** The link to a page, for `href`. */
export function linkTo(
  page: PageName,
  params: Readonly<Record<string, string>> = {},
  query: Readonly<Record<string, string | undefined>> = {},
): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== '') search.set(name, value)
  return fillPath(pages[page], params) + (search.size === 0 ? '' : `?${search}`)
}

/** Shows another page. With `replace` the present one is not kept in the history, and the view does not move. */
export function go(path: string, { replace = false } = {}): void {
  if (replace) stay(path)
  else enter(path)
  place.value = placeOf(new URL(location.href))
}

/** A path of this shop that somebody may be sent to after signing in; anything else becomes the shop itself. */
export function safeNext(next: string | null): string {
  if (next === null || !next.startsWith('/') || next.startsWith('//') || next.includes('\\')) return pages.shop
  return placeOf(new URL(next, 'http://shop')).page === undefined ? pages.shop : next
}

/** Between the pages on which somebody registers and signs in: where they wanted to go. */
export function wayOn(): { readonly next: string | undefined } {
  return { next: place.value.query.get('next') ?? undefined }
}

/** Plain links stay plain links; this makes those to our own pages fast. */
export function followLinks(): void {
  beginHistory()
  addEventListener('popstate', () => {
    comeBack()
    place.value = placeOf(new URL(location.href))
  })
  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0) return
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
    const link = event.target instanceof Element ? event.target.closest('a') : null
    if (link === null || link.target !== '' || link.hasAttribute('download') || link.origin !== location.origin) return
    if (link.hash !== '' && link.pathname === location.pathname) return
    if (placeOf(new URL(link.href)).page === undefined) return
    event.preventDefault()
    go(link.pathname + link.search + link.hash)
  })
}
