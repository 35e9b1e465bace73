import { fractionDigits, type Product, type ProductChange } from '@saas/contracts'
import { WrongEntry, entry } from './components/form.tsx'
import { texts } from './language.ts'
import { amountOf, parseAmount } from './money.ts'

/** What a manager typed, as the contract wants it. Throws WrongEntry where it cannot be read at all. */
export function productOf(entries: FormData): ProductChange {
  const currency = entry(entries, 'currency').toUpperCase()
  const amount = parseAmount(entry(entries, 'price'), currency)
  if (amount === undefined) {
    const example = amountOf({ amount: 1250 * 10 ** Math.max(0, fractionDigits(currency) - 2), currency }, '.')
    throw new WrongEntry('/price', texts.value.manage.priceWrong(example))
  }
  const category = entry(entries, 'category')
  const threshold = entry(entries, 'lowStockThreshold')
  const tags = entry(entries, 'tags')
    .split(',')
    .map((tag) => tag.trim())
  return {
    sku: entry(entries, 'sku'),
    name: entry(entries, 'name'),
    description: entry(entries, 'description'),
    price: { amount, currency },
    category: category === '' ? null : category,
    lowStockThreshold: threshold === '' ? null : Number(threshold),
    tags: [...new Set(tags.filter((tag) => tag !== ''))],
    attributes: attributesOf(entry(entries, 'attributes')),
  }
}

function attributesOf(typed: string): Product['attributes'] {
  const lines = typed.split('\n').map((line) => line.trim())
  const pairs = lines
    .filter((line) => line !== '')
    .map((line) => {
      const at = line.indexOf(':')
      if (at < 1) throw new WrongEntry('/attributes', texts.value.manage.attributesHint)
      return [line.slice(0, at).trim(), valueOf(line.slice(at + 1).trim())] as const
    })
  return Object.fromEntries(pairs)
}

function valueOf(typed: string): string | number | boolean {
  if (typed === 'true' || typed === 'false') return typed === 'true'
  return /^-?\d{1,15}(\.\d+)?$/.test(typed) ? Number(typed) : typed
}

export function attributeLines(attributes: Product['attributes']): string {
  return Object.entries(attributes)
    .map(([name, value]) => `${name}: ${value}`)
    .join('\n')
}
