import type { Money } from '@saas/contracts'
import { locale } from './language.ts'
import { amountOf, fractionDigits } from './money.ts'
import { user } from './session.ts'

export function money(value: Money): string {
  const { currency } = value
  return new Intl.NumberFormat(locale.value, { style: 'currency', currency }).format(
    value.amount / 10 ** fractionDigits(currency),
  )
}

/** A price as one types it, for a form. */
export function typedPrice(value: Money): string {
  const parts = new Intl.NumberFormat(locale.value).formatToParts(0.5)
  return amountOf(value, parts.some(({ type, value: sign }) => type === 'decimal' && sign === ',') ? ',' : '.')
}

export function dateTime(time: string): string {
  return format(time, { dateStyle: 'medium', timeStyle: 'short' })
}

function format(time: string, style: Intl.DateTimeFormatOptions): string {
  const zone = user.value?.zone
  const options = zone === null || zone === undefined ? style : { ...style, timeZone: zone }
  return new Intl.DateTimeFormat(locale.value, options).format(new Date(time))
}

export function count(value: number): string {
  return new Intl.NumberFormat(locale.value).format(value)
}

export function bytes(value: number): string {
  const [unit, size] = value < 1e6 ? (['kilobyte', 1e3] as const) : (['megabyte', 1e6] as const)
  const format = new Intl.NumberFormat(locale.value, { style: 'unit', unit, maximumFractionDigits: 1 })
  return format.format(value / size)
}
