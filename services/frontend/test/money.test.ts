import { AMOUNT_MAX, fractionDigits } from '@saas/contracts'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { amountOf, parseAmount, sum } from '../web/money.ts'

const currency = fc.constantFrom('EUR', 'JPY', 'KWD', 'HUF')

describe('prices', () => {
  test('what is shown in a form and sent back is the same amount, to the last unit', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: AMOUNT_MAX }),
        currency,
        fc.constantFrom(',', '.'),
        (amount, code, point) => {
          const typed = amountOf({ amount, currency: code }, point)
          expect(parseAmount(typed, code)).toBe(amount)
        },
      ),
    )
  })

  test('what is no exact price is refused', () => {
    for (const typed of ['', 'x', '-1', '1.234', '1,2,3', '1e3', '12 €', '99999999999999']) {
      expect([typed, parseAmount(typed, 'EUR')]).toEqual([typed, undefined])
    }
    expect(parseAmount('0.1', 'JPY')).toBeUndefined()
    expect(parseAmount(' 19,9 ', 'EUR')).toBe(1990)
  })

  test('a currency has the digits of ISO 4217, whatever the runtime shows of it; one that nobody knows has two', () => {
    expect(['EUR', 'JPY', 'KWD', 'HUF', 'IQD', 'CLF', '?'].map(fractionDigits)).toEqual([2, 0, 3, 2, 3, 4, 2])
  })

  test('a sum over currencies is no sum, nor is one that cannot be ordered', () => {
    const line = (amount: number, code: string) => ({ unitPrice: { amount, currency: code }, quantity: 2 })
    expect(sum([line(AMOUNT_MAX / 2, 'EUR')])).toEqual({ amount: AMOUNT_MAX, currency: 'EUR' })
    expect(sum([line(AMOUNT_MAX / 2, 'EUR'), line(1, 'EUR')])).toBeNull()
    expect(sum([line(10, 'EUR'), line(5, 'EUR')])).toEqual({ amount: 30, currency: 'EUR' })
    expect(sum([line(10, 'EUR'), line(5, 'USD')])).toBeNull()
    expect(sum([])).toBeNull()
  })
})
