import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Liquid, type Template } from 'liquidjs'
import { fallbackLanguage, mailKinds, type MailKind } from '@saas/contracts'
import { singleLine } from './address.ts'
import type { Content } from './content.ts'
import { escapeHtml, registerValueTag, withValueTags } from './value-tag.ts'

/** Ours. */
export const TEMPLATES = fileURLToPath(new URL('../templates', import.meta.url))
const RENDER_MS_MAX = 1_000
const SUBJECT_LENGTH_MAX = 200
const LAYOUTS = ['layout.html', 'layout.txt']

/** A mail as people read it. */
export interface Rendered {
  /** The one it is in, which may be another than was asked for. */
  readonly language: string
  readonly subject: string
  readonly html: string
  readonly text: string
}

interface Parts {
  readonly subject: Template[]
  readonly html: Template[]
  readonly text: Template[]
}

/**
 * The templates of every kind in every language, parsed once. A folder is a language; each has the shared layouts and
 * three files a kind.
 */
export class Templates {
  /** HTML escapes every value. Subject and text take them as they are. */
  readonly #html: Liquid
  readonly #plain: Liquid
  readonly #directory: string
  readonly #parts = new Map<string, Parts>()
  readonly languages: readonly string[]
  /** Those that are the same in every mail that has them, because nothing in them is a value. */
  readonly constantLines: ReadonlySet<string>

  /** @throws {Error} naming the template that is missing or cannot be parsed: the service does not start without one. */
  constructor(directory = TEMPLATES) {
    this.#directory = directory
    this.languages = readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
      .sort()
    const templates = layoutsOf(directory, this.languages)
    // A name, not a file: what is not in this table cannot be included.
    const options = {
      templates,
      // Layouts and what templates include are parsed once too, not with every mail.
      cache: true,
      strictVariables: true,
      strictFilters: true,
      ownPropertyOnly: true,
      renderLimit: RENDER_MS_MAX,
    }
    this.#html = new Liquid({ ...options, outputEscape: 'escape' })
    this.#plain = new Liquid(options)
    registerValueTag(this.#html, escapeHtml)
    registerValueTag(this.#plain, (text) => text)
    this.constantLines = new Set(Object.values(templates).flatMap(linesWithoutValues))
    for (const language of this.languages) {
      for (const kind of mailKinds) this.#parts.set(`${language}/${kind}`, this.#parse(language, kind))
    }
  }

  /**
   * In which language somebody who wants this one gets to read it: in that, in the one without a region (`de` for `de-AT`), or
   * in the fallback language, which everything is there in. What operators wrote may be in fewer languages than the templates.
   */
  languageOf(content: Content, wanted: string): string {
    const isThere = (language: string): boolean =>
      this.languages.includes(language) &&
      (content.kind !== 'announcement' || (content.facts as Readonly<Record<string, unknown>>)[language] !== undefined)
    return [wanted, wanted.split('-', 1).join().toLowerCase()].find(isThere) ?? fallbackLanguage
  }

  /**
   * Renders all three parts, in a language that has templates.
   *
   * @throws {Error} when a template names a value or filter that is not there.
   */
  render(kind: MailKind, language: string, view: object): Rendered {
    const parts = this.#parts.get(`${language}/${kind}`)
    if (parts === undefined) throw new Error(`There is no template ${language}/${kind}`)
    const values = { ...view, language }
    return {
      language,
      subject: singleLine(String(this.#plain.renderSync(parts.subject, values))).slice(0, SUBJECT_LENGTH_MAX),
      html: String(this.#html.renderSync(parts.html, values)),
      text: `${String(this.#plain.renderSync(parts.text, values)).trim()}\n`,
    }
  }

  #parse(language: string, kind: MailKind): Parts {
    return {
      subject: this.#plain.parse(read(this.#directory, `${language}/${kind}.subject`)),
      html: this.#html.parse(read(this.#directory, `${language}/${kind}.html`)),
      text: this.#plain.parse(read(this.#directory, `${language}/${kind}.txt`)),
    }
  }
}

/** `layout.html` is shared by all languages and includes what each says at the foot of every mail. */
function layoutsOf(directory: string, languages: readonly string[]): Record<string, string> {
  const shared = readdirSync(directory).filter((name) => name.includes('.'))
  const own = languages.flatMap((language) =>
    LAYOUTS.map((layout) => `${language}/${layout.replace('layout', 'footer')}`),
  )
  return Object.fromEntries([...shared, ...own].map((name) => [name, read(directory, name)]))
}

function linesWithoutValues(template: string): string[] {
  return template.split(/\r?\n/).filter((line) => !/\{[{%]/.test(line))
}

function read(directory: string, name: string): string {
  return withValueTags(readFileSync(join(directory, name), 'utf8'))
}
