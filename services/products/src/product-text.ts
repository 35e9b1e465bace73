import { problems, ProblemError, type FieldError, type ProductChange } from '@saas/contracts'

/**
 * Refuses names that nobody can see, or that are more than one line: they stand in lists, in mails and on bills.
 *
 * @throws {ProblemError} `invalid-request` pointing at each of them.
 */
export function refuseUnusableNames({ name, category, tags = [] }: ProductChange): void {
  const given: readonly (readonly [string, string | null | undefined])[] = [
    ['/name', name],
    ['/category', category],
    ...tags.map((tag, index) => [`/tags/${index}`, tag] as const),
  ]
  const errors: FieldError[] = given
    .filter(([, text]) => typeof text === 'string' && !isUsable(text))
    .map(([pointer]) => ({ pointer, detail: 'must have a visible character and no control characters' }))
  if (errors.length > 0) throw new ProblemError(problems.invalidRequest, { errors })
}

function isUsable(text: string): boolean {
  return /[^\s\p{Format}]/u.test(text) && !/[\p{Control}\u2028\u2029]/u.test(text)
}
