import { attributeNamePattern, type Product } from '@saas/contracts'

type Attributes = Product['attributes']
type Value = Attributes[string]

const NAME = new RegExp(attributeNamePattern, 'u')
/** Also the one of keyboards for Chinese and Japanese. */
const COLON = /[:：]/

export type ReadAttributes =
  | { readonly attributes: Attributes }
  /** What stands where a name should, in a line with a colon or in one without. */
  | { readonly wrongName: string }
  | { readonly noColon: string }

/** One a line. A text that would be read as something else stands in quotes, as in JSON. */
export function attributeLines(attributes: Attributes): string {
  return Object.entries(attributes)
    .map(([name, value]) => `${name}: ${written(value)}`)
    .join('\n')
}

/** The attributes that these lines name; reads back what `attributeLines` has written. */
export function readAttributes(typed: string): ReadAttributes {
  const pairs: (readonly [string, Value])[] = []
  for (const line of typed.split('\n').map((text) => text.trim())) {
    if (line === '') continue
    const at = line.search(COLON)
    if (at < 0) return { noColon: line }
    const name = line.slice(0, at).trim().normalize()
    if (!NAME.test(name)) return { wrongName: name }
    pairs.push([name, valueOf(line.slice(at + 1).trim())])
  }
  return { attributes: Object.fromEntries(pairs) }
}

function written(value: Value): string {
  const text = String(value)
  return typeof value === 'string' && (/[\r\n]/.test(text) || valueOf(text.trim()) !== text)
    ? JSON.stringify(text)
    : text
}

/** A number only where it is written as one: an article number of zeros and a size of 1.50 are texts. */
function valueOf(typed: string): Value {
  if (typed === 'true' || typed === 'false') return typed === 'true'
  if (/^".*"$/s.test(typed)) return quotedText(typed) ?? typed
  const number = Number(typed)
  return String(number) === typed && Math.abs(number) <= Number.MAX_SAFE_INTEGER ? number : typed
}

function quotedText(typed: string): string | undefined {
  try {
    return String(JSON.parse(typed))
  } catch {
    return undefined // Quotes that a text has of its own.
  }
}
