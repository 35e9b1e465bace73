import { computed, effect, signal } from '@preact/signals'
import type { Language } from '@saas/contracts'
import { localeFor } from './locale.ts'
import { de } from './texts/de.ts'
import { en, type Texts } from './texts/en.ts'
import { user } from './session.ts'

const STORED_KEY = 'language'
const all: Readonly<Record<Language, Texts>> = { en, de }
export const languages = Object.keys(all) as Language[]

const chosen = signal<Language>(stored() ?? preferred())

/** The signed-in user's own language, else what was chosen here, else what the browser asks for. */
export const language = computed(() => user.value?.language ?? chosen.value)
export const texts = computed(() => all[language.value])
/** With the browser's region, when it has one for this language: dates and prices look as people expect. */
export const locale = computed(() => localeFor(language.value, navigator.languages))

export function textsOf(which: Language): Texts {
  return all[which]
}

export function chooseLanguage(which: Language): void {
  chosen.value = which
  localStorage.setItem(STORED_KEY, which)
}

function stored(): Language | undefined {
  return languages.find((which) => which === localStorage.getItem(STORED_KEY))
}

function preferred(): Language {
  const wanted = navigator.languages.map((tag) => tag.split('-')[0])
  return languages.find((which) => which === wanted.find((tag) => languages.some((known) => known === tag))) ?? 'en'
}

effect(() => {
  document.documentElement.lang = language.value
})
