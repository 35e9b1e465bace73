import { expect, test } from 'vitest'
import { allProblems } from '@saas/contracts'
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

test('every problem has a page that says what to do, and stands in the list', () => {
  const index = problemIndex()
  for (const problem of allProblems) {
    expect(index).toContain(`(${problem.name}.md)`)
    expect(problemPage(problem)).toContain(problem.explanation)
  }
})
