import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { allProblems, allRoutes, serviceNames, statefulServices } from '@saas/contracts'
import { asyncapi } from '@saas/contracts/asyncapi'
import { edgeLocations, edgeRequestHeaders, edgeRoutes } from '@saas/contracts/edge'
import { openapi } from '@saas/contracts/openapi'
import { chartNeeds } from './generate/chart-needs.ts'
import { chartReadme } from './generate/chart-readme.ts'
import { chartSchema } from './generate/chart-schema.ts'
import { decisionIndex, DECISIONS } from './generate/decision-index.ts'
import { environmentExample } from './generate/environment.ts'
import { LANGUAGES, languagesModule } from './generate/languages.ts'
import { migrationList } from './generate/migration-list.ts'
import { problemIndex, problemPage } from './generate/problem-pages.ts'
import { serviceReadme } from './generate/service-readme.ts'
import { unavailablePages } from './generate/unavailable-page.ts'
import { cloneDirectory } from './locations.ts'

/** One generated file: where it stands in the repository, and its text made from the sources. */
interface Target {
  readonly path: string
  /** Gets the file as it is, for those of which only a part is generated. */
  readonly content: (present: string) => string
}

const PROBLEM_PAGES = 'docs/problems'
const unavailable = await unavailablePages()
const charts = readdirSync(join(cloneDirectory, 'charts')).filter((name) =>
  existsSync(join(cloneDirectory, 'charts', name, 'values.yaml')),
)

/** Everything that `pnpm generate` writes, each after what it is made from. Add a line to add a file. */
const targets: readonly Target[] = [
  { path: LANGUAGES, content: () => languagesModule() },
  { path: 'docs/api/openapi.json', content: () => json(openapi()) },
  { path: 'docs/api/asyncapi.json', content: () => json(asyncapi()) },
  { path: 'charts/edge/files/routes.conf', content: () => edgeRoutes(allRoutes) },
  { path: 'charts/edge/files/locations.conf', content: () => edgeLocations(allRoutes) },
  { path: 'charts/edge/files/request-headers.conf', content: () => edgeRequestHeaders(allRoutes) },
  { path: 'charts/edge/files/unavailable.conf', content: () => unavailable },
  { path: '.env.example', content: environmentExample },
  ...statefulServices.map((service) => ({
    path: `charts/${service}/files/migrations.txt`,
    content: () => migrationList(service),
  })),
  ...serviceNames.map((service) => ({
    path: `charts/${service}/values.schema.json`,
    content: () => chartSchema(service),
  })),
  ...serviceNames.map((service) => ({
    path: `charts/${service}/values.yaml`,
    content: (present: string) => chartNeeds(service, present),
  })),
  ...charts.map((chart) => ({
    path: `charts/${chart}/README.md`,
    content: (present: string) => chartReadme(chart, present),
  })),
  { path: `${DECISIONS}/README.md`, content: decisionIndex },
  { path: `${PROBLEM_PAGES}/README.md`, content: problemIndex },
  ...allProblems.map((problem) => ({
    path: `${PROBLEM_PAGES}/${problem.name}.md`,
    content: () => problemPage(problem),
  })),
  ...serviceNames.map((service) => ({
    path: `services/${service}/README.md`,
    content: (present: string) => serviceReadme(service, present),
  })),
]

if (import.meta.main) generate(process.argv.includes('--check'))

/** Writes every generated file, or, to check, names those that differ from their sources and exits with 1. */
function generate(check: boolean): void {
  const stale = readdirSync(join(cloneDirectory, PROBLEM_PAGES), { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.md'))
    .map(({ name }) => `${PROBLEM_PAGES}/${name}`)
    .filter((path) => !targets.some((target) => target.path === path))
  if (check) {
    const drifted = targets.filter(({ path, content }) => read(path) !== content(read(path)))
    if (drifted.length + stale.length === 0) return
    process.stderr.write('These files differ from what they are generated from; run `pnpm generate`:\n')
    for (const path of [...drifted.map((target) => target.path), ...stale]) process.stderr.write(`  ${path}\n`)
    process.exitCode = 1
    return
  }
  let written = 0
  for (const { path, content } of targets) {
    const present = read(path)
    const text = content(present)
    if (text === present) continue
    const file = join(cloneDirectory, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
    written += 1
    process.stdout.write(`wrote ${path}\n`)
    // Most of the rest is made of the contracts, and those in memory have the languages of before.
    if (path === LANGUAGES) {
      const { status } = spawnSync(process.execPath, [import.meta.filename], { stdio: 'inherit' })
      process.exitCode = status ?? 1
      return
    }
  }
  for (const path of stale) {
    rmSync(join(cloneDirectory, path))
    process.stdout.write(`removed ${path}\n`)
  }
  if (written + stale.length === 0) process.stdout.write('everything is up to date\n')
}

function read(path: string): string {
  const file = join(cloneDirectory, path)
  return existsSync(file) ? readFileSync(file, 'utf8') : ''
}

function json(content: object): string {
  return `${JSON.stringify(content, undefined, 2)}\n`
}
