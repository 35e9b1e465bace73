import { QUANTITY_MAX } from '@saas/contracts'
import { texts } from '../language.ts'
import { Icon } from './icon.tsx'

/** How many: two buttons and a field that takes any number. */
export function Quantity(props: { value: number; label: string; disabled?: boolean; change: (value: number) => void }) {
  const { value, label, disabled = false, change } = props
  const { more, fewer } = texts.value.basket
  const typed = (input: HTMLInputElement): void => {
    const wanted = Number(input.value)
    if (Number.isInteger(wanted) && wanted >= 1 && wanted <= QUANTITY_MAX) change(wanted)
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
        onChange={(event) => typed(event.currentTarget)}
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
