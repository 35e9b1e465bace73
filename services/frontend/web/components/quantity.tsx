import { QUANTITY_MAX } from '@saas/contracts'
import { texts } from '../language.ts'
import { Icon } from './icon.tsx'

/** How many: two buttons and a field that takes any number. */
export function Quantity(props: { value: number; label: string; disabled?: boolean; change: (value: number) => void }) {
  const { value, label, disabled = false, change } = props
  const { more, fewer } = texts.value.basket
  const take = (input: HTMLInputElement): void => {
    const typed = input.value.trim()
    // Anything else that JavaScript reads as a number, such as 1e1, was a slip.
    const wanted = /^\d+$/.test(typed) ? Number(typed) : 0
    if (wanted >= 1 && wanted <= QUANTITY_MAX) change(wanted)
    else input.value = String(value)
  }
  return (
    <div class="quantity" role="group" aria-label={label}>
      <button type="button" aria-label={fewer} disabled={disabled || value <= 1} onClick={() => change(value - 1)}>
        <Icon name="minus" />
      </button>
      <input
        type="text"
        inputMode="numeric"
        aria-label={label}
        value={String(value)}
        disabled={disabled}
        onChange={(event) => take(event.currentTarget)}
      />
      <button
        type="button"
        aria-label={more}
        disabled={disabled || value >= QUANTITY_MAX}
        onClick={() => change(value + 1)}
      >
        <Icon name="plus" />
      </button>
    </div>
  )
}
