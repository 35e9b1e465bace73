import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { cloneDirectory } from '../locations.ts'

export const LANGUAGES = 'packages/contracts/src/languages.ts'
const TEMPLATES = join(cloneDirectory, 'services/notifications/templates')
const FALLBACK = 'en'

/** A folder of templates is a language. @throws {Error} when the one is missing that everything is there in. */
export function languagesModule(directory = TEMPLATES): string {
  const folders = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  const others = folders.map(({ name }) => name).filter((name) => name !== FALLBACK)
  if (others.length === folders.length) throw new Error(`${directory} has no folder ${FALLBACK}`)
  const names = [FALLBACK, ...others.toSorted()].map((name) => `'${name}'`)
  return `// Written by \`pnpm generate\`: a language is a folder of services/notifications/templates.

/** Those in which every mail can be written; the first is for whoever has none of them. */
export const languages = [${names.join(', ')}] as const
`
}
