import { fractionDigits, type Product, type ProductChange } from '@saas/contracts'
import { WrongEntry, entry } from './components/form.tsx'
import { texts } from './language.ts'
import { attributeLines, readAttributes } from './attribute-lines.ts'
import { amountOf, parseAmount } from './money.ts'

/**
 * What a manager typed, as the contract wants it. What stands there as it stood `before` is not read again: not all that a product can have can be
 * typed. Throws WrongEntry where something cannot be read at all.
 */
export function productOf(entries: FormData, before?: Product): ProductChange {
  const currency = entry(entries, 'currency').toUpperCase()
  const amount = parseAmount(entry(entries, 'price'), currency)
  if (amount === undefined) {
    const example = amountOf({ amount: 1250 * 10 ** Math.max(0, fractionDigits(currency) - 2), currency }, '.')
    throw new WrongEntry('/price/amount', texts.value.manage.priceWrong(example))
  }
  const category = entry(entries, 'category')
  const threshold = entry(entries, 'lowStockThreshold')
  return {
    sku: entry(entries, 'sku'),
    name: entry(entries, 'name'),
    description: kept(entries, 'description', before?.description) ?? entry(entries, 'description'),
    price: { amount, currency },
    category: category === '' ? null : category,
    lowStockThreshold: threshold === '' ? null : Number(threshold),
    tags: kept(entries, 'tags', before?.tags, tagLine) ?? tagsOf(entry(entries, 'tags')),
    attributes:
      kept(entries, 'attributes', before?.attributes, attributeLines) ?? attributesOf(entry(entries, 'attributes')),
  }
}

/** The value of before, when the field shows it still. */
function kept<T>(
  entries: FormData,
  name: string,
  before: T | undefined,
  shown: (value: T) => string = String,
): T | undefined {
  if (before === undefined) return undefined
  const lines = (text: string): string => text.replaceAll(/\r\n?/g, '\n')
  const typed = entries.get(name)
  return typeof typed === 'string' && lines(typed) === lines(shown(before)) ? before : undefined
}

export function tagLine(tags: Product['tags']): string {
  return tags.join(', ')
}

function tagsOf(typed: string): string[] {
  const tags = typed.split(',').map((tag) => tag.trim())
  return [...new Set(tags.filter((tag) => tag !== ''))]
}

function attributesOf(typed: string): Product['attributes'] {
  const read = readAttributes(typed)
  if ('attributes' in read) return read.attributes
  const { attributeName, attributeWithoutColon } = texts.value.manage
  const said = 'wrongName' in read ? attributeName(read.wrongName) : attributeWithoutColon(read.noColon)
  throw new WrongEntry('/attributes', said)
}
