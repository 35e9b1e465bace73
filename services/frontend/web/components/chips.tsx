import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

/** Choices in a row, which a phone scrolls: the chosen one is brought into view whenever `chosen` changes. */
export function Chips({ label, chosen, children }: { label: string; chosen: string; children: ComponentChildren }) {
  const row = useRef<HTMLDivElement>(null)
  useEffect(() => {
    const pressed = row.current?.querySelector('[aria-pressed="true"]')
    if (row.current === null || pressed === null || pressed === undefined) return
    const [frame, button] = [row.current.getBoundingClientRect(), pressed.getBoundingClientRect()]
    const isInView = button.left >= frame.left && button.right <= frame.right
    // Not scrollIntoView, which would move the page, too.
    if (!isInView) row.current.scrollLeft += button.left - frame.left - (frame.width - button.width) / 2
  }, [chosen])
  return (
    <div class="chips" role="group" aria-label={label} ref={row}>
      {children}
    </div>
  )
}
