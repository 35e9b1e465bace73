import { useSignal, type Signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { itemsSeen, rememberItems } from './visited.ts'

export type Loaded<T> =
  | { readonly state: 'loading' }
  | { readonly state: 'ready'; readonly value: T }
  | { readonly state: 'failed'; readonly error: unknown }

/** Loads when the component appears and whenever one of `keys` changes; what is late for an older key is dropped. */
export function useLoaded<T>(
  load: (signal: AbortSignal) => Promise<T>,
  keys: readonly unknown[],
): { readonly loaded: Signal<Loaded<T>>; readonly reload: () => void } {
  const loaded = useSignal<Loaded<T>>({ state: 'loading' })
  const round = useSignal(0)
  useEffect(() => {
    const controller = new AbortController()
    loaded.value = { state: 'loading' }
    const run = async (): Promise<void> => {
      let outcome: Loaded<T>
      try {
        outcome = { state: 'ready', value: await load(controller.signal) }
      } catch (error) {
        outcome = { state: 'failed', error }
      }
      if (!controller.signal.aborted) loaded.value = outcome
    }
    void run()
    return () => controller.abort()
  }, [...keys, round.value])
  return { loaded, reload: () => (round.value += 1) }
}

interface PageOf<T> {
  readonly items: readonly T[]
  readonly next: string | null
}

export interface List<T> extends PageOf<T> {
  readonly state: 'loading' | 'ready' | 'failed'
  /** True while a further page is on its way: what is there stays. */
  readonly isLoadingMore: boolean
  readonly error: unknown
  /** What the items are the answer to. */
  readonly keys: readonly unknown[]
}

/**
 * A list that grows page by page along the contract's cursor. The `main` one of a page is as long as it was when somebody comes back to it.
 */
export function useList<T>(
  loadPage: (cursor: string | undefined, signal: AbortSignal) => Promise<PageOf<T>>,
  keys: readonly unknown[],
  { main = false } = {},
): {
  readonly list: Signal<List<T>>
  /** True when there is nothing of what `keys` ask for; false while that is not known, even if the list still answers earlier keys. */
  readonly isEmpty: boolean
  readonly more: () => Promise<void>
  readonly reload: () => void
  /** Replaces items in place, after a change the server answered. */
  readonly change: (replace: (item: T) => T) => void
} {
  const list = useSignal<List<T>>({
    state: 'loading',
    items: [],
    next: null,
    isLoadingMore: false,
    error: undefined,
    keys: [],
  })
  const { loaded, reload } = useLoaded(async (signal) => {
    const wanted = main ? itemsSeen() : 0
    const first = await loadPage(undefined, signal)
    const items = [...first.items]
    let { next } = first
    while (items.length < wanted && next !== null) {
      const page = await loadPage(next, signal)
      items.push(...page.items)
      next = page.next
    }
    return { items, next, keys }
  }, keys)
  useEffect(() => {
    if (main && list.value.state === 'ready') rememberItems(list.value.items.length)
  }, [list.value])
  useEffect(() => {
    const first = loaded.value
    list.value =
      first.state === 'ready'
        ? { ...first.value, state: 'ready', isLoadingMore: false, error: undefined }
        : {
            // What was shown stays, dimmed, while another search is on its way.
            ...list.value,
            next: null,
            state: first.state,
            isLoadingMore: false,
            error: first.state === 'failed' ? first.error : undefined,
          }
  }, [loaded.value])
  const more = async (): Promise<void> => {
    const before = list.value
    if (before.next === null || before.isLoadingMore) return
    list.value = { ...before, isLoadingMore: true, error: undefined }
    try {
      const page = await loadPage(before.next, new AbortController().signal)
      if (list.value.items !== before.items) return
      list.value = { ...before, items: [...before.items, ...page.items], next: page.next, isLoadingMore: false }
    } catch (error) {
      if (list.value.items === before.items) list.value = { ...before, isLoadingMore: false, error }
    }
  }
  const change = (replace: (item: T) => T): void => {
    list.value = { ...list.value, items: list.value.items.map(replace) }
  }
  const { state, items, keys: answered } = list.value
  const isEmpty = state === 'ready' && items.length === 0 && keys.every((key, index) => key === answered[index])
  return { list, isEmpty, more, reload, change }
}
