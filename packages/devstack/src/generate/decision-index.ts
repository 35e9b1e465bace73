import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { cloneDirectory } from '../locations.ts'

export const DECISIONS = 'docs/decisions'
const PAGE = /^\d{4}-[a-z0-9-]+\.md$/
const ROW = /^- \[[^\]]*\]\((\d{4}-[a-z0-9-]+\.md)\)/
const UNSORTED = '## Not sorted in yet'

/**
 * The list of decisions. People sort the pages into topics, by moving lines; what a line says is the title of its page. A page that stands nowhere
 * comes under a heading of its own at the end, and a line whose page is gone goes.
 */
export function decisionIndex(present: string, directory = join(cloneDirectory, DECISIONS)): string {
  const pages = readdirSync(directory).filter((name) => PAGE.test(name))
  const rows = new Map(pages.toSorted().map((page) => [page, rowOf(page, readFileSync(join(directory, page), 'utf8'))]))
  const lines = present.trimEnd().split('\n')
  const sorted = lines.flatMap((line) => {
    const page = ROW.exec(line)?.[1]
    if (page === undefined) return [line]
    const row = rows.get(page)
    rows.delete(page)
    return row ?? []
  })
  if (rows.size === 0) return `${sorted.join('\n')}\n`
  const heading = sorted.includes(UNSORTED) ? [] : ['', UNSORTED, '']
  return `${[...sorted, ...heading, ...rows.values()].join('\n')}\n`
}

/** @throws {Error} when a page does not begin with its number and a title. */
function rowOf(page: string, text: string): string {
  const number = Number(page.slice(0, 4))
  const [heading = ''] = text.split('\n', 1)
  if (!heading.startsWith(`# ${number}. `))
    throw new Error(`${DECISIONS}/${page} has to begin with "# ${number}. " and its title`)
  return `- [${heading.slice(2)}](${page})`
}
