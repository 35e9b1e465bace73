import { fallbackLanguage, languages, type Language } from '@saas/contracts'

/** Ours for a language tag, such as `de` for `de-AT` or `de_AT`; `undefined` when it is none of ours. */
export function languageOfTag(tag: string): Language | undefined {
  const [primary] = tag.trim().toLowerCase().split(/[-_]/, 1)
  return languages.find((language) => language === primary)
}

/** The one of ours that `Accept-Language` asks for first (RFC 9110, 12.5.4), or the fallback. */
export function wantedLanguage(header = ''): Language {
  const ranges = header.split(',').map((range) => {
    const [tag = '', ...parameters] = range.split(';')
    const weight = parameters.map((text) => text.trim().toLowerCase()).find((text) => text.startsWith('q='))
    return { tag, weight: weight === undefined ? 1 : Number(weight.slice(2)) }
  })
  return (
    ranges
      .filter(({ weight }) => weight > 0)
      .toSorted((a, b) => b.weight - a.weight)
      .map(({ tag }) => (tag.trim() === '*' ? fallbackLanguage : languageOfTag(tag)))
      .find((language) => language !== undefined) ?? fallbackLanguage
  )
}
