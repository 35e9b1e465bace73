import { fallbackLanguage } from '@saas/contracts'
import type { BuiltFile } from './built-files.ts'

const FALLBACK = 'index.html'
const NAME = /^index\.([\w-]+)\.html$/

/**
 * The document as a function of `Accept-Language`: in the first of the reader's languages that there are pages in, as the browser's script and the
 * edge choose. Browsers name the best first.
 */
export function documentsOf(files: ReadonlyMap<string, BuiltFile>) {
  const byLanguage = new Map([[fallbackLanguage as string, files.get(FALLBACK)]])
  for (const [name, file] of files) {
    const [, language] = NAME.exec(name) ?? []
    if (language !== undefined) byLanguage.set(language, file)
  }
  return (acceptLanguage = ''): BuiltFile | undefined => {
    const asked = acceptLanguage.split(',').map((tag) => /^\s*[a-z]+/i.exec(tag)?.[0].trim().toLowerCase() ?? '')
    return byLanguage.get(asked.find((language) => byLanguage.has(language)) ?? fallbackLanguage)
  }
}
