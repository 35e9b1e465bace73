import { cpus } from 'node:os'
import { median, type Measure, type Ratio, type Report } from './benchmark.ts'

/** The report as a table for the terminal. */
export function toText(title: string, report: Report): string {
  const tables = [measureRows(report.measures), ratioRows(report.ratios)].filter((rows) => rows.length > 1)
  return [title, ...tables.map(align), ...(report.notes ?? [])].join('\n\n')
}

/** The report as a section of `docs/benchmarks.md`. */
export function toMarkdown(name: string, title: string, report: Report): string {
  const tables = [measureRows(report.measures), ratioRows(report.ratios)].filter((rows) => rows.length > 1)
  const date = new Date().toISOString().slice(0, 10)
  const machine = `${cpus().length} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), Node ${process.versions.node}`
  return [
    `## ${title}`,
    `\`pnpm bench ${name}\`, ${date}, ${machine}.`,
    ...tables.map(toMarkdownTable),
    ...(report.notes ?? []),
  ].join('\n\n')
}

function measureRows(measures: readonly Measure[]): string[][] {
  const rows = measures.map(({ name, unit, values, cores }) => [
    name,
    unit,
    number(Math.min(...values)),
    number(median(values)),
    number(Math.max(...values)),
    coresText(cores),
  ])
  return [['measured', 'unit', 'min', 'median', 'max', 'cores used'], ...rows]
}

function ratioRows(ratios: readonly Ratio[]): string[][] {
  const rows = ratios.map((ratio) => [
    ratio.name,
    `${number(ratio.value)}${ratio.unit ?? ''}`,
    `${ratio.atMost === true ? '≤' : '≥'} ${number(ratio.aim)}${ratio.unit ?? ''}`,
    ratio.floor === undefined ? '' : `${number(ratio.floor)}${ratio.unit ?? ''}`,
    verdict(ratio),
  ])
  return [['compared', 'value', 'aim', 'floor', ''], ...rows]
}

function verdict({ value, aim, floor, atMost = false }: Ratio): string {
  const reaches = (limit: number): boolean => (atMost ? value <= limit : value >= limit)
  if (reaches(aim)) return 'reached'
  return floor !== undefined && reaches(floor) ? 'above the floor' : 'MISSED'
}

function coresText(cores: Measure['cores']): string {
  return Object.entries(cores ?? {})
    .filter(([, used]) => used >= 0.01)
    .map(([name, used]) => `${name} ${used.toFixed(2)}`)
    .join(', ')
}

/** Three significant digits are more than a benchmark on a shared machine can tell. */
function number(value: number): string {
  if (!Number.isFinite(value)) return '–'
  if (Math.abs(value) >= 1_000) return Math.round(value).toLocaleString('en')
  return String(Number(value.toPrecision(3)))
}

function align(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function toMarkdownTable(rows: readonly (readonly string[])[]): string {
  const [head = [], ...body] = rows
  return [head, head.map(() => '---'), ...body].map((row) => `| ${row.join(' | ')} |`).join('\n')
}
