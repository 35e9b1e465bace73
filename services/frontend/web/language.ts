import { computed, effect, signal } from '@preact/signals'
import { fallbackLanguage, languages, type Language } from '@saas/contracts'
import { localeFor } from './locale.ts'
import { user } from './session.ts'
import { texts as english, type Texts } from './texts/en/index.ts'

const STORED_KEY = 'language'
// A folder is a language. Each but the one that is there at once is fetched when somebody reads it.
const folders = import.meta.glob<{ readonly texts: Texts }>(['./texts/*/index.ts', '!./texts/en/index.ts'])

/** Those that the pages can be read in; mails may come in more. */
export const pageLanguages = languages.filter((which) => which === fallbackLanguage || folderOf(which) in folders)

const chosen = signal<Language>(stored() ?? preferred())
/** The signed-in user's own language, else what was chosen here, else what the browser asks for. */
const wanted = computed(() => pageLanguages.find((which) => which === user.value?.language) ?? chosen.value)
const shown = signal<{ readonly language: Language; readonly texts: Texts }>({
  language: fallbackLanguage,
  texts: english,
})

/** What the pages are in: what is wanted, as soon as it is there. */
export const language = computed(() => shown.value.language)
export const texts = computed(() => shown.value.texts)
/** With the browser's region, when it has one for this language: dates and prices look as people expect. */
export const locale = computed(() => localeFor(language.value, navigator.languages))

/** What a language calls itself. */
export function nameOfLanguage(which: string, inLanguage = which): string {
  const name = new Intl.DisplayNames(inLanguage, { type: 'language' }).of(which) ?? which
  return name.charAt(0).toLocaleUpperCase(inLanguage) + name.slice(1)
}

export function chooseLanguage(which: Language): void {
  chosen.value = which
  localStorage.setItem(STORED_KEY, which)
}

/**
 * From now on the pages are in the language that is wanted. Resolves when they first are. While its texts cannot be fetched they stay in
 * the one they are in: the next change, or loading the page again, tries anew.
 */
export async function followLanguage(): Promise<void> {
  const first = show(wanted.value)
  wanted.subscribe((which) => void show(which))
  await first
}

async function show(which: Language): Promise<void> {
  try {
    const load = folders[folderOf(which)]
    const { texts: loaded } = load === undefined ? { texts: english } : await load()
    // Another may have been chosen meanwhile.
    if (which === wanted.value) shown.value = { language: which, texts: loaded }
  } catch (error) {
    console.error(error)
  }
}

function folderOf(which: Language): string {
  return `./texts/${which}/index.ts`
}

function stored(): Language | undefined {
  return pageLanguages.find((which) => which === localStorage.getItem(STORED_KEY))
}

function preferred(): Language {
  const tags = navigator.languages.map((tag) => tag.split('-')[0])
  const tag = tags.find((known) => pageLanguages.some((which) => which === known))
  return pageLanguages.find((which) => which === tag) ?? fallbackLanguage
}

effect(() => {
  document.documentElement.lang = language.value
})
