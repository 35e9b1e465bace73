import { problems, ProblemError, type FieldError, type ProductChange } from '@saas/contracts'

/** What `POST`, `PUT` and import share of a product's names. */
type Names = Pick<ProductChange, 'name' | 'category' | 'tags' | 'attributes'>
type Why = Omit<FieldError, 'pointer'>

/** What is wrong with a value that should have the shape of a contract. */
export type ErrorsOf = (value: unknown) => readonly FieldError[]

/**
 * The product as it is kept, its texts in one form.
 *
 * @throws {ProblemError} `invalid-request` as `keptForm` finds.
 */
export function accepted<P extends Names>(given: P, errorsOf: ErrorsOf): P {
  const { product, errors } = keptForm(given, errorsOf)
  if (errors.length > 0) throw new ProblemError(problems.invalidRequest, { errors })
  return product
}

/** The product with its texts in one form, and what is then wrong with it: its shape, names that nobody can read or of several lines. */
export function keptForm<P extends Names>(given: P, errorsOf: ErrorsOf): { product: P; errors: readonly FieldError[] } {
  const product = composed(given)
  const errors = product === given ? [] : [...repeatedAttributes(given), ...errorsOf(product)]
  return { product, errors: errors.length > 0 ? errors : unusableNames(product) }
}

/** Attributes of which an earlier one has the same name in another form: only one of them could be kept. */
function repeatedAttributes({ attributes = {} }: Names): FieldError[] {
  const names = Object.keys(attributes).map(composed)
  const repeated = names.filter((name, index) => names.indexOf(name) < index)
  return repeated.map((name) => ({
    pointer: `/attributes/${name}`,
    detail: 'must not stand twice',
    code: 'repeated',
  }))
}

/**
 * Each text in it, names of fields too, with each character in one form, NFC: "й" is one code point on most machines and two on some, and both
 * look the same. What has it already is answered itself. A text may become longer, two tags the same, and of two fields with the same name the
 * later one stays.
 */
export function composed<T>(value: T): T {
  if (typeof value === 'string') return value.normalize() as T
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    const items = value.map(composed<unknown>)
    return items.every((item, index) => item === value[index]) ? value : (items as T)
  }
  const fields = Object.entries(value).map(([name, part]) => ({ name, part, kept: [composed(name), composed(part)] }))
  if (fields.every(({ name, part, kept }) => kept[0] === name && kept[1] === part)) return value
  return Object.fromEntries(fields.map(({ kept }) => kept)) as T
}

/** Names that nobody can read, or that are more than one line: they stand in lists, in mails and on bills. */
function unusableNames({ name, category, tags = [] }: Names): FieldError[] {
  const given: readonly (readonly [string, string | null | undefined])[] = [
    ['/name', name],
    ['/category', category],
    ...tags.map((tag, index) => [`/tags/${index}`, tag] as const),
  ]
  return given.flatMap(([pointer, text]) => {
    const why = typeof text === 'string' ? (unusable(text) ?? untrimmed(text)) : undefined
    return why === undefined ? [] : [{ pointer, ...why }]
  })
}

/** 'desk' and 'desk ' would be two categories that look the same. */
function untrimmed(text: string): Why | undefined {
  return text === text.trim() ? undefined : { detail: 'must not begin or end with a space', code: 'untrimmed' }
}

/** What is wrong with a text that is to stand in a line with others. */
export function unusable(text: string): Why | undefined {
  if (!/[^\s\p{Format}]/u.test(text) || /[\p{Control}\u2028\u2029]/u.test(text)) {
    return { detail: 'must have a visible character and no control characters', code: 'unreadable' }
  }
  // Beyond its own end such a character turns round whatever is written after the text.
  return /[\u202A-\u202E\u2066-\u2069]/u.test(text)
    ? { detail: 'must not change the direction of writing', code: 'unreadable' }
    : undefined
}
