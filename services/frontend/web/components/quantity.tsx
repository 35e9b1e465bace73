import { QUANTITY_MAX } from '@saas/contracts'
import { useRef } from 'preact/hooks'
import { count } from '../formats.ts'
import { texts } from '../language.ts'
import { Icon } from './icon.tsx'

/** How many: two buttons and a field that takes any number. A button at its end says so and keeps the focus. */
export function Quantity(props: { value: number; label: string; change: (value: number) => void }) {
  const { value, label, change } = props
  const { more, fewer } = texts.value.basket
  const first = useRef(value)
  const to = (wanted: number): boolean => {
    const isPossible = wanted >= 1 && wanted <= QUANTITY_MAX
    if (isPossible) change(wanted)
    return isPossible
  }
  const take = (input: HTMLInputElement): void => {
    const typed = input.value.trim()
    // Anything else that JavaScript reads as a number, such as 1e1, was a slip.
    if (!to(/^\d+$/.test(typed) ? Number(typed) : 0)) input.value = String(value)
  }
  return (
    <div class="quantity" role="group" aria-label={label}>
      <button type="button" aria-label={fewer} aria-disabled={value <= 1} onClick={() => to(value - 1)}>
        <Icon name="minus" />
      </button>
      <input
        type="text"
        inputMode="numeric"
        aria-label={label}
        value={String(value)}
        onChange={(event) => take(event.currentTarget)}
      />
      <button type="button" aria-label={more} aria-disabled={value >= QUANTITY_MAX} onClick={() => to(value + 1)}>
        <Icon name="plus" />
      </button>
      {/* A button says nothing of what it has changed. */}
      <span class="visually-hidden" role="status">
        {value !== first.current && count(value)}
      </span>
    </div>
  )
}
