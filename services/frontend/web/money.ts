import { AMOUNT_MAX, fractionDigits, type Money } from '@saas/contracts'

/** Minor units of what somebody typed, with a point or a comma; undefined when it is not an exact price. */
export function parseAmount(typed: string, currency: string): number | undefined {
  const match = /^(\d{1,13})(?:[.,](\d+))?$/.exec(typed.trim())
  if (match === null) return undefined
  const digits = fractionDigits(currency)
  const [, whole = '', fraction = ''] = match
  if (fraction.length > digits) return undefined
  const amount = Number(whole + fraction.padEnd(digits, '0'))
  return amount <= AMOUNT_MAX ? amount : undefined
}

/** The reverse: exact, without grouping or currency. */
export function amountOf({ amount, currency }: Money, separator: ',' | '.'): string {
  const digits = fractionDigits(currency)
  if (digits === 0) return String(amount)
  const padded = String(amount).padStart(digits + 1, '0')
  return `${padded.slice(0, -digits)}${separator}${padded.slice(-digits)}`
}

/** The sum, or null when there is nothing, currencies differ, or it is too large to order. */
export function sum(values: readonly { readonly unitPrice: Money; readonly quantity: number }[]): Money | null {
  const currency = values[0]?.unitPrice.currency
  if (currency === undefined || values.some(({ unitPrice }) => unitPrice.currency !== currency)) return null
  const amount = values.reduce((total, { unitPrice, quantity }) => total + unitPrice.amount * quantity, 0)
  return amount > AMOUNT_MAX ? null : { amount, currency }
}
