import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { cloneDirectory } from '@saas/devstack'
import type { Benchmark } from './frame/benchmark.ts'
import { toMarkdown, toText } from './frame/report.ts'
import { Stage } from './frame/stage.ts'

const REPETITIONS = 3
const SECONDS = 5
const PAGE = join(cloneDirectory, 'docs/benchmarks.md')

/** The benchmarks there are: the files beside this one. */
const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts') && file !== 'bench.ts')
  .map((file) => file.slice(0, -'.ts'.length))

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    repetitions: { type: 'string', default: String(REPETITIONS) },
    seconds: { type: 'string', default: String(SECONDS) },
    write: { type: 'boolean', default: false },
  },
})

const unknown = positionals.filter((name) => !names.includes(name))
if (positionals.length === 0 || unknown.length > 0) {
  process.stderr.write(
    [
      ...unknown.map((name) => `There is no benchmark ${name}.`),
      `Usage: pnpm bench <names…> [--repetitions ${REPETITIONS}] [--seconds ${SECONDS}] [--write]`,
      `Names: ${names.join(', ')}. --write puts the tables into docs/benchmarks.md.`,
      '',
    ].join('\n'),
  )
  process.exit(2)
}

for (const name of positionals) await runBenchmark(name)

async function runBenchmark(name: string): Promise<void> {
  const module = (await import(`./${name}.ts`)) as Record<string, Benchmark>
  const benchmark = module[name]
  if (benchmark === undefined) throw new Error(`test/bench/${name}.ts does not export ${name}`)
  await using stage = await Stage.start()
  const report = await benchmark.run({
    stage,
    repetitions: Number(options.repetitions),
    seconds: Number(options.seconds),
    say: (text) => process.stderr.write(`${name}: ${text}\n`),
  })
  process.stdout.write(`\n${toText(benchmark.title, report)}\n\n`)
  if (options.write) writeSection(name, toMarkdown(name, benchmark.title, report))
}

/** Puts the section between its marks on the page; a new one goes to the end. What people wrote around it stays. */
function writeSection(name: string, section: string): void {
  const [begin, end] = [`<!-- bench ${name} -->`, `<!-- end ${name} -->`]
  const page = existsSync(PAGE) ? readFileSync(PAGE, 'utf8') : '# Benchmarks\n'
  const text = `${begin}\n\n${section}\n\n${end}`
  const [start, stop] = [page.indexOf(begin), page.indexOf(end)]
  const isThere = start !== -1 && stop > start
  writeFileSync(
    PAGE,
    isThere ? `${page.slice(0, start)}${text}${page.slice(stop + end.length)}` : `${page.trimEnd()}\n\n${text}\n`,
  )
}
