import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { describe } from '../errors.ts'
import { focusQuietly } from '../kept-focus.ts'
import { texts } from '../language.ts'
import type { List } from '../loaded.ts'
import { Icon } from './icon.tsx'

/** While something loads. Appears only after a moment, so that quick answers do not flicker. */
export function Loading() {
  return (
    <div class="loading" role="status">
      <span class="loading-dots" aria-hidden="true">
        <i />
        <i />
        <i />
      </span>
      <span class="visually-hidden">{texts.value.loading}</span>
    </div>
  )
}

export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  return (
    <div class="state trouble" role="alert">
      <Icon name="alert" />
      <p>{describe(error)}</p>
      {retry && (
        <button type="button" class="button quiet" onClick={retry}>
          {texts.value.tryAgain}
        </button>
      )}
    </div>
  )
}

export function Empty({ title, hint, children }: { title: string; hint?: string; children?: ComponentChildren }) {
  return (
    <div class="state">
      <p class="state-title">{title}</p>
      {hint !== undefined && <p>{hint}</p>}
      {children}
    </div>
  )
}

/** The frame of every list: loading, failed, empty, or the items with a way to more. */
export function ListFrame<T>(props: {
  list: List<T>
  more: () => Promise<void>
  reload: () => void
  empty: ComponentChildren
  children: ComponentChildren
}) {
  const { list, more, reload, empty, children } = props
  const frame = useRef<HTMLDivElement>(null)
  const entries = () => frame.current?.querySelectorAll(':scope > ul > li, tbody > tr') ?? []
  /** How many there were when more were asked for: the first new one is gone on with. */
  const asked = useRef<number | undefined>(undefined)
  const ask = (): void => {
    asked.current = entries().length
    void more()
  }
  useEffect(() => {
    if (asked.current === undefined || list.isLoadingMore) return
    const isElsewhere = document.activeElement?.matches('body, .load-more') === false
    if (!isElsewhere) focusQuietly(entries()[asked.current])
    asked.current = undefined
  }, [list])
  if (list.state === 'failed') return <Failure error={list.error} retry={reload} />
  if (list.state === 'loading' && list.items.length === 0) return <Loading />
  if (list.items.length === 0) return <>{empty}</>
  return (
    <div class="list-frame" ref={frame} aria-busy={list.state === 'loading' || list.isLoadingMore}>
      {children}
      {list.error !== undefined && <Failure error={list.error} />}
      {list.next !== null && (
        <button type="button" class="button quiet load-more" aria-disabled={list.isLoadingMore} onClick={ask}>
          {list.isLoadingMore ? texts.value.loading : texts.value.loadMore}
        </button>
      )}
    </div>
  )
}
