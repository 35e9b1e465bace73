import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { allProblems, languages, needs } from '@saas/contracts'
import { chartNeeds } from '../src/generate/chart-needs.ts'
import { decisionIndex } from '../src/generate/decision-index.ts'
import { languagesModule } from '../src/generate/languages.ts'
import { problemIndex, problemPage } from '../src/generate/problem-pages.ts'
import { serviceReadme } from '../src/generate/service-readme.ts'

test('what people wrote in a README stays around the generated tables', () => {
  const written = '# orders\n\nBy hand.\n\n<!-- generated -->\nold\n<!-- /generated -->\n\nAlso by hand.\n'
  const readme = serviceReadme('orders', written)
  expect(readme).toMatch(/^# orders\n\nBy hand\.\n/)
  expect(readme).toMatch(/Also by hand\.\n$/)
  expect(readme).toContain('| `POST /order` | user |')
  expect(readme).not.toContain('old')
  expect(serviceReadme('orders', readme)).toBe(readme)
})

test('a README that is not there gets a title, the description and the tables', () => {
  expect(serviceReadme('products', '')).toMatch(/^# products\n\n\S.*\n\n<!-- generated -->\n\n## Owns\n/)
})

test('a chart asks for what the contracts say, and what else stands in its values stays', () => {
  const present = `# Above
needs:
  database: false # really
  objectStore: true
  smtp: false
  nats:
    publish: [msg.products.>]
    # Its own comment.
    consume:
      - msg.gone
    hear: [msg.gone]

environment: {} # below
`
  const written = chartNeeds('products', present)
  expect(written).toMatch(/^# Above\nneeds:\n  database: true # really\n  objectStore: true\n/)
  expect(written).toMatch(/\n    hear: \[\]\n\nenvironment: \{\} # below\n$/)
  expect(parse(written)).toMatchObject({
    needs: {
      nats: { publish: ['msg.products.>'], consume: needs.products.consumes.map(({ subject }) => subject), hear: [] },
    },
  })
  expect(written).toContain('# Its own comment.\n    consume:\n      - msg.orders.order.placed\n')
  expect(chartNeeds('products', written)).toBe(written)
})

test('every problem has a page that says what to do, and stands in the list', () => {
  const index = problemIndex()
  for (const problem of allProblems) {
    expect(index).toContain(`(${problem.name}.md)`)
    expect(problemPage(problem)).toContain(problem.explanation)
    expect(problemPage(problem)).toMatch(/Any route can answer it|^- `[A-Z]+ \//m)
  }
})

test('a decision stands under the topic that people put it below, by the title of its page, and a new one at the end', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'decisions-'))
  try {
    await writeFile(join(directory, '0001-first.md'), '# 1. First\n')
    await writeFile(join(directory, '0002-second.md'), '# 2. Second\n')
    const present = '# Decisions\n\n## Topic\n\n- [9. Gone](0009-gone.md)\n- [Old title](0001-first.md)\n'
    const index = decisionIndex(present, directory)
    expect(index).toBe(
      '# Decisions\n\n## Topic\n\n- [1. First](0001-first.md)\n\n## Not sorted in yet\n\n- [2. Second](0002-second.md)\n',
    )
    expect(decisionIndex(index, directory)).toBe(index)
    await writeFile(join(directory, '0003-third.md'), '# 4. Third\n')
    expect(() => decisionIndex(index, directory)).toThrow(/0003-third.md has to begin with/)
  } finally {
    await rm(directory, { recursive: true })
  }
})

test('a folder of templates is a language: the contract of a clone with one more accepts it', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'languages-'))
  try {
    for (const language of ['fr', ...languages]) await mkdir(join(directory, language))
    await writeFile(join(directory, 'layout.html'), '')
    const file = join(directory, 'languages.ts')
    await writeFile(file, languagesModule(directory))
    const { languages: made } = (await import(pathToFileURL(file).href)) as { languages: readonly string[] }
    expect(made).toEqual([...languages, 'fr'])
    await rm(join(directory, 'en'), { recursive: true })
    expect(() => languagesModule(directory)).toThrow(/no folder en/)
  } finally {
    await rm(directory, { recursive: true })
  }
})
