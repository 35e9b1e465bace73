/**
 * What somebody had in view at each entry of this tab's history. Pages ask the shop anew whenever they are shown; the browser's back and
 * forward buttons would lead to their beginning, and to the first part of a list, without this.
 */
interface View {
  readonly scrollTop: number
  /** How many items the page's list had. */
  readonly items: number
}

const VIEWS_MAX = 100
/** More than this is not read again at once. */
const ITEMS_MAX = 240

const views = new Map<string, View>()
let lastEntry = Date.now()
let entry = ''

function remember(view: Partial<View>): void {
  const before = views.get(entry) ?? { scrollTop: 0, items: 0 }
  views.delete(entry)
  views.set(entry, { ...before, ...view })
  for (const oldest of views.keys()) if (views.size > VIEWS_MAX) views.delete(oldest)
}

/** How many items the list of this page had when it was left; none on a first visit. */
export function itemsSeen(): number {
  return views.get(entry)?.items ?? 0
}

export function rememberItems(items: number): void {
  remember({ items: Math.min(items, ITEMS_MAX) })
}

/** Another page, at its beginning. */
export function enter(path: string): void {
  remember({ scrollTop: scrollY })
  stopScrolling()
  entry = String((lastEntry += 1))
  history.pushState({ entry }, '', path)
  scrollTo(0, 0)
}

/** The same page with another address, such as one with another filter. */
export function stay(path: string): void {
  remember({ items: 0 })
  history.replaceState({ entry }, '', path)
}

/** At start: after a reload this is an entry that already had a name. */
export function beginHistory(): void {
  history.scrollRestoration = 'manual'
  entry = entryOfHistory()
}

/** After the browser went to another entry: what it showed comes into view again as soon as the page is that long. */
export function comeBack(): void {
  remember({ scrollTop: scrollY })
  entry = entryOfHistory()
  // A jump within the page, such as that to its content, is the browser's.
  if (location.hash === '') scrollWhenLong(views.get(entry)?.scrollTop ?? 0)
}

function entryOfHistory(): string {
  return (history.state as { readonly entry?: string } | null)?.entry ?? ''
}

let stopScrolling = (): void => undefined

function scrollWhenLong(top: number): void {
  stopScrolling()
  const stopped = new AbortController()
  const growth = new ResizeObserver(() => {
    scrollTo(0, top)
    if (scrollY >= top - 1) stopScrolling()
  })
  stopScrolling = () => {
    growth.disconnect()
    stopped.abort()
  }
  growth.observe(document.body)
  // Whoever begins to do something wants to be where they are.
  for (const act of ['wheel', 'touchmove', 'pointerdown', 'keydown']) {
    addEventListener(act, stopScrolling, { signal: stopped.signal, passive: true })
  }
}
