import { problems, ProblemError, type FieldError, type ProductChange } from '@saas/contracts'

/** What `POST`, `PUT` and import share of a product's names. */
type Names = Pick<ProductChange, 'name' | 'category' | 'tags'>

/** @throws {ProblemError} `invalid-request` pointing at each name that nobody can read, or that is more than one line. */
export function refuseUnusableNames(names: Names): void {
  const errors = unusableNames(names)
  if (errors.length > 0) throw new ProblemError(problems.invalidRequest, { errors })
}

/** Names that nobody can read, or that are more than one line: they stand in lists, in mails and on bills. */
export function unusableNames({ name, category, tags = [] }: Names): FieldError[] {
  const given: readonly (readonly [string, string | null | undefined])[] = [
    ['/name', name],
    ['/category', category],
    ...tags.map((tag, index) => [`/tags/${index}`, tag] as const),
  ]
  return given.flatMap(([pointer, text]) => {
    const detail = typeof text === 'string' ? (unusable(text) ?? untrimmed(text)) : undefined
    return detail === undefined ? [] : [{ pointer, detail }]
  })
}

/** 'desk' and 'desk ' would be two categories that look the same. */
function untrimmed(text: string): string | undefined {
  return text === text.trim() ? undefined : 'must not begin or end with a space'
}

/** What is wrong with a text that is to stand in a line with others. */
export function unusable(text: string): string | undefined {
  if (!/[^\s\p{Format}]/u.test(text) || /[\p{Control}\u2028\u2029]/u.test(text)) {
    return 'must have a visible character and no control characters'
  }
  // Beyond its own end such a character turns round whatever is written after the text.
  return /[\u202A-\u202E\u2066-\u2069]/u.test(text) ? 'must not change the direction of writing' : undefined
}
