import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Liquid, type LiquidOptions, type Template } from 'liquidjs'
import { fallbackLanguage, mailKinds, type MailKind } from '@saas/contracts'
import { singleLine } from './address.ts'
import type { Content } from './content.ts'
import { flatTemplate, type ReadTemplate } from './flat-template.ts'
import { encodePiece, withoutBreaksAround } from './quoted-printable.ts'
import { escapeHtml, Words } from './words-tag.ts'

/** Ours. */
export const TEMPLATES = fileURLToPath(new URL('../templates', import.meta.url))
const SUBJECT_LENGTH_MAX = 200

/** A mail as people read it. */
export interface Rendered {
  /** The one it is in, which may be another than was asked for. */
  readonly language: string
  readonly subject: string
  readonly html: string
  readonly text: string
  /** HTML and text are quoted-printable. */
  readonly isEncoded?: boolean
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
  readonly #html: Part
  readonly #text: Part
  readonly #subject: Part
  readonly #isEncoded: boolean
  /** By path; those that all languages share have no folder. */
  readonly #files: ReadonlyMap<string, string>
  readonly #parts = new Map<string, Parts>()
  readonly languages: readonly string[]

  /**
   * With `isEncoded` HTML and text come out quoted-printable: what stands in the templates is encoded here and only values with each mail.
   *
   * @throws {Error} naming the template that is missing or cannot be parsed: the service does not start without one.
   */
  constructor({ directory = TEMPLATES, isEncoded = false } = {}) {
    this.#isEncoded = isEncoded
    const entries = readdirSync(directory, { withFileTypes: true, recursive: true })
    this.languages = entries
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
      .sort()
    const paths = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name))
    this.#files = new Map(paths.map((path) => [relative(directory, path), readFileSync(path, 'utf8')]))
    const encode = isEncoded ? encodePiece : asItIs
    const escape = (text: string): string => encode(escapeHtml(text))
    // What is included was put in its place before; at rendering there are no templates to reach for. Liquid's limit on the time it
    // takes is not used: it counts while the machine has no time for us, and a mail that cannot be made is dead.
    const options = {
      templates: {},
      strictVariables: true,
      strictFilters: true,
      ownPropertyOnly: true,
    }
    this.#html = new Part(options, escapeHtml, encode, escape)
    this.#text = new Part(options, asItIs, encode, encode)
    this.#subject = new Part(options, asItIs, asItIs, asItIs)
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
    const subject = cutTo(SUBJECT_LENGTH_MAX, singleLine(this.#subject.render(parts.subject, values)))
    const html = this.#html.render(parts.html, values)
    const text = this.#text.render(parts.text, values)
    return this.#isEncoded
      ? { language, subject, html: endedOnce(html), text: endedOnce(text), isEncoded: true }
      : { language, subject, html, text: `${text.trim()}\n` }
  }

  #parse(language: string, kind: MailKind): Parts {
    // With its layout, which all languages share, and all that is included; what is in no shared file is in one of its language.
    const read = (wanted: string): string => this.#read(this.#files.has(wanted) ? wanted : `${language}/${wanted}`)
    return {
      subject: this.#subject.parse(`${kind}.subject`, read),
      html: this.#html.parse(`${kind}.html`, read),
      text: this.#text.parse(`${kind}.txt`, read),
    }
  }

  #read(name: string): string {
    const text = this.#files.get(name)
    if (text === undefined) throw new Error(`There is no template ${name}`)
    return text
  }
}

type Change = (text: string) => string

/** How one part of every mail is parsed and rendered. */
class Part {
  readonly #liquid: Liquid
  readonly #words: Words
  readonly #escape: Change

  /** `escape` is for what a template says of itself, `changeText` for its text after that, `changeValue` for values. */
  constructor(options: LiquidOptions, escape: Change, changeText: Change, changeValue: Change) {
    this.#escape = escape
    this.#words = new Words(changeText, changeValue)
    this.#liquid = new Liquid({ ...options, outputEscape: (value: unknown) => changeValue(String(value)) })
    this.#words.register(this.#liquid)
  }

  parse(name: string, read: ReadTemplate): Template[] {
    return this.#liquid.parse(this.#words.gather(flatTemplate(name, read, this.#escape)))
  }

  render(template: Template[], values: object): string {
    return String(this.#liquid.renderSync(template, values))
  }
}

/** Not between the two halves of a character. */
function cutTo(length: number, text: string): string {
  return text.slice(0, length).replace(/\p{Surrogate}$/u, '')
}

function asItIs(text: string): string {
  return text
}

function endedOnce(encoded: string): string {
  return `${withoutBreaksAround(encoded)}\r\n`
}
