import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join, normalize } from 'node:path'
import { expect, test } from 'vitest'
import { cloneDirectory } from '../src/locations.ts'

/** Commands of pnpm itself that our documents name. */
const OF_PNPM = new Set(['exec', 'sbom'])
const TEST_FILE = /^[\w./-]+\.test\.ts$/
/** Always one of ours, in whatever folder the text is about. */
const SOURCE_FILE = /^[\w./-]+\.(?:tsx?|sql)$/

const inClone = (path: string): string => join(cloneDirectory, path)
/** Folders that are made, here today and not in a fresh clone. */
const made: readonly string[] = readFileSync(inClone('.gitignore'), 'utf8').match(/^[\w./-]+(?=\/$)/gm) ?? []
const files = globSync('{*,.github/**/*,charts/**/*,docker/**/*,docs/**/*,packages/**/*,services/**/*,test/**/*}', {
  cwd: cloneDirectory,
  exclude: (name) => ['.git', ...made].includes(basename(name)),
}).filter((path) => !made.includes(path))
const known = new Set(files.flatMap((path) => path.split('/').map((_, at, parts) => parts.slice(0, at + 1).join('/'))))
const documents = new Map(
  files.filter((path) => path.endsWith('.md')).map((path) => [path, readFileSync(inClone(path), 'utf8')]),
)
const { scripts } = JSON.parse(readFileSync(inClone('package.json'), 'utf8')) as { scripts: Record<string, string> }

/** What each document says that `find` is not content with. */
function wrong(find: (document: string, text: string) => readonly string[]): string[] {
  return [...documents].flatMap(([path, text]) => find(path, text).map((what) => `${path}: ${what}`))
}

/** The anchors of a document, as the usual hosts make them of its headings. */
function anchorsOf(text: string): Set<string> {
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1'),
  )
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replaceAll(/\s/g, '-'),
    ),
  )
}

test('every link of a document leads to a file, and to a heading of it', () => {
  const broken = wrong((document, text) =>
    [...text.matchAll(/\]\((?!https?:)([^)\s]+)\)/g)]
      .map(([, link = '']) => link)
      .filter((link) => {
        const [path = '', anchor] = link.split('#')
        const target = path === '' ? document : normalize(join(dirname(document), path))
        if (!existsSync(inClone(target))) return true
        if (anchor === undefined || !statSync(inClone(target)).isFile()) return false
        return !anchorsOf(documents.get(target) ?? '').has(anchor)
      }),
  )
  expect(broken).toEqual([])
})

test('every command that a document gives to pnpm is one', () => {
  const unknown = wrong((_document, text) =>
    [...text.matchAll(/\bpnpm(?:@[\d.]+)? ([a-z]+(?::[a-z]+)?)\b/g)]
      .map(([, command = '']) => command)
      .filter((command) => !(command in scripts) && !OF_PNPM.has(command)),
  )
  expect(unknown).toEqual([])
})

test('every file and every folder that a document names is there', () => {
  const missing = wrong((document, text) =>
    [...text.matchAll(/`([^`\n]+)`/g)]
      .map(([, name = '']) => name)
      .filter((name) => {
        const isHere = known.has(name) || known.has(join(dirname(document), name))
        if (SOURCE_FILE.test(name)) return !isHere && !files.some((path) => path.endsWith(`/${normalize(name)}`))
        if (!/^[\w-]+(?:\/[\w.-]+)+$/.test(name)) return false
        // Of a path that begins in the clone or beside the document, the rest has to be there too.
        const [first = ''] = name.split('/')
        return [first, join(dirname(document), first)].some((folder) => known.has(folder)) && !isHere
      }),
  )
  expect(missing).toEqual([])
})

test('every proof stands on the page that says how to run them', () => {
  const page = documents.get('docs/how-to/prove.md') ?? ''
  const proofs = files
    .filter((path) => path.startsWith('test/chaos/') && TEST_FILE.test(path))
    .map((path) => basename(path))
  expect(proofs.filter((name) => !page.includes(`| \`${name}\` |`))).toEqual([])
})
