import { allProblems, fallbackLanguage, fieldCodes, languages } from '@saas/contracts'
import { afterAll, expect, test, vi } from 'vitest'
import { texts as english, type Texts } from '../web/texts/en/index.ts'

// The browser's, where the language is looked up first.
vi.stubGlobal('localStorage', { getItem: () => null })
vi.stubGlobal('document', { documentElement: {} })
afterAll(() => {
  vi.unstubAllGlobals()
})
const { nameOfLanguage, pageLanguages } = await import('../web/language.ts')

const folders = import.meta.glob<{ readonly texts: Texts }>('../web/texts/*/index.ts', { eager: true })

test('each folder of texts is a language of the pages, and one that mails come in', () => {
  const names = Object.keys(folders).map((path) => path.split('/').at(-2) ?? '')
  expect(names.toSorted()).toEqual(pageLanguages.toSorted())
  expect(languages).toEqual(expect.arrayContaining(names))
})

test('each language has a text wherever English has one, a title for every problem, and words for all that can be wrong at a place', () => {
  for (const [path, { texts }] of Object.entries(folders)) {
    expect([path, keysOf(texts)]).toEqual([path, keysOf(english)])
    const isEnglish = path.includes(`/${fallbackLanguage}/`)
    // The contract has the English ones.
    const titles = isEnglish ? [] : allProblems.map(({ name }) => name).toSorted()
    expect([path, Object.keys(texts.problems).toSorted()]).toEqual([path, titles])
    const codes = isEnglish ? [] : fieldCodes.toSorted()
    expect([path, Object.keys(texts.findings).toSorted()]).toEqual([path, codes])
  }
})

test('a language is called as it calls itself, or as a reader of another one calls it', () => {
  const names = [nameOfLanguage('de'), nameOfLanguage('en'), nameOfLanguage('fr'), nameOfLanguage('de', 'en')]
  expect(names).toEqual(['Deutsch', 'English', 'Français', 'German'])
})

function keysOf(texts: object, under = ''): string[] {
  return Object.entries(texts)
    .flatMap(([key, value]) =>
      key === 'problems' || key === 'findings' || typeof value !== 'object'
        ? [under + key]
        : keysOf(value as object, `${under}${key}.`),
    )
    .toSorted()
}
