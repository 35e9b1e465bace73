import { effect, signal, untracked } from '@preact/signals'
import { describe } from './errors.ts'
import { place } from './router.ts'

export interface Notice {
  readonly id: number
  readonly kind: 'done' | 'trouble'
  readonly text: string
}

const NOTICES_MAX = 3
const DONE_SHOWN_MS = 5000

let lastId = 0
export const notices = signal<readonly Notice[]>([])

/** Says something in the corner and to screen readers. Good news leaves by itself, trouble stays until dismissed. */
export function say(text: string, kind: Notice['kind'] = 'done'): void {
  const notice = { id: (lastId += 1), kind, text }
  // Of good news only the newest counts.
  const kept = notices.value.filter((shown) => shown.text !== text && shown.kind === 'trouble')
  notices.value = [...kept, notice].slice(-NOTICES_MAX)
  if (kind === 'done') setTimeout(() => dismiss(notice.id), DONE_SHOWN_MS)
}

/** Good news is about the page it was said on: on the next one it would only cover something. Say it after going there. */
export function forgetNoticesOfOtherPages(): void {
  let path = place.peek().path.split('?')[0]
  effect(() => {
    const current = place.value.path.split('?')[0]
    if (current === path) return
    path = current
    untracked(() => (notices.value = notices.value.filter(({ kind }) => kind === 'trouble')))
  })
}

export function sayTrouble(error: unknown): void {
  say(describe(error), 'trouble')
}

export function dismiss(id: number): void {
  notices.value = notices.value.filter((notice) => notice.id !== id)
}
