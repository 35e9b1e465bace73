import { fractionDigits, type Money } from '@saas/contracts'
import { locale } from './language.ts'
import { amountOf } from './money.ts'
import { user } from './session.ts'

export function money(value: Money): string {
  const { currency } = value
  const digits = fractionDigits(currency)
  const style = { style: 'currency', currency, minimumFractionDigits: digits, maximumFractionDigits: digits } as const
  return new Intl.NumberFormat(locale.value, style).format(value.amount / 10 ** digits)
}

/** A price as one types it, for a form. */
export function typedPrice(value: Money): string {
  const parts = new Intl.NumberFormat(locale.value).formatToParts(0.5)
  return amountOf(value, parts.some(({ type, value: sign }) => type === 'decimal' && sign === ',') ? ',' : '.')
}

export function dateTime(time: string): string {
  return format(time, { dateStyle: 'medium', timeStyle: 'short' })
}

/** Where the viewer is: the profile says it, or the browser. */
export function ownZone(): string {
  return user.value?.zone ?? new Intl.DateTimeFormat().resolvedOptions().timeZone
}

/** A moment as the clocks of another zone show it. */
export function dateTimeIn(time: string, timeZone: string): string {
  const style = { dateStyle: 'medium', timeStyle: 'short', timeZone } as const
  return new Intl.DateTimeFormat(locale.value, style).format(new Date(time))
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
