import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMap, isScalar, parse, parseDocument, type Pair } from 'yaml'
import { cloneDirectory } from '../locations.ts'

const START = '<!-- generated -->'
const END = '<!-- /generated -->'
/** A longer default is said to be in the file. */
const DEFAULT_LENGTH_MAX = 60

/** A chart's README: what people wrote, and between two marks the table of its values, with the comments that stand above them. */
export function chartReadme(chart: string, present: string): string {
  const written = present.includes(START) ? present : `${introduction(chart)}\n\n${START}\n${END}\n`
  const before = written.slice(0, written.indexOf(START))
  const after = written.slice(written.indexOf(END) + END.length)
  return `${before}${START}\n\n${table(rowsOf(chart))}\n${END}${after}`
}

function introduction(chart: string): string {
  const { description } = parse(textOf(chart, 'Chart.yaml')) as { description: string }
  return `# Chart ${chart}\n\n${description}.`
}

function textOf(chart: string, file: string): string {
  return readFileSync(join(cloneDirectory, 'charts', chart, file), 'utf8')
}

function rowsOf(chart: string): string[][] {
  const own = valueRows(parseDocument(textOf(chart, 'values.yaml')).contents)
  // A service's chart starts from what the library exports.
  if (!textOf(chart, 'Chart.yaml').includes('import-values')) return own
  const library = parseDocument(textOf('lib', 'values.yaml')).getIn(['exports', 'defaults'])
  const named = own.map(([path = '']) => path.slice(0, -1))
  return [
    ...own,
    ...valueRows(library).filter(([path = '']) => !named.some((other) => other.startsWith(path.slice(0, -1)))),
  ]
}

function valueRows(node: unknown, path = ''): string[][] {
  if (!isMap(node)) return []
  return node.items.flatMap((pair, index) => {
    const name = path + String(isScalar(pair.key) ? pair.key.value : pair.key)
    const said = commentOf(pair, index === 0 ? node.commentBefore : undefined)
    const { value } = pair
    if (isMap(value) && value.items.length > 0) {
      const rows = valueRows(value, `${name}.`)
      return said === '' ? rows : [[`\`${name}\``, '', said]].concat(rows)
    }
    return [[`\`${name}\``, defaultOf(pair), said]]
  })
}

/** Above a key stands what it is for; a comment with an empty line below it is about the file. */
function commentOf(pair: Pair, ofMap: string | null | undefined): string {
  const above = isScalar(pair.key) ? (pair.key.commentBefore ?? ofMap ?? '') : ''
  return (above.split(/\n\s*\n/).at(-1) ?? '')
    .split('\n')
    .map((line) => line.trim())
    .join(' ')
    .trim()
}

function defaultOf({ value }: Pair): string {
  const plain = (value as { toJSON(): unknown } | null)?.toJSON() ?? null
  const text = JSON.stringify(plain)
  return text.length > DEFAULT_LENGTH_MAX ? 'see `values.yaml`' : `\`${text}\``
}

function table(rows: readonly (readonly string[])[]): string {
  const lines = [['value', 'default', 'what it is'], ['---', '---', '---'], ...rows]
  return `${lines.map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`).join('\n')}\n`
}
