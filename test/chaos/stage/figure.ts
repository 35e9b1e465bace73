/** The size of a table at one moment. */
export interface Sample {
  readonly table: string
  readonly rows: number
  readonly bytes: number
}

const COLUMNS = 60
const BARS = '▁▂▃▄▅▆▇█'
const MEGABYTE = 1024 ** 2

/** A line a table: how its rows went, from left to right, and what it held at the end. */
export function figureOf(history: readonly (readonly Sample[])[], sampleMs: number, title: string): string {
  const tables = [...new Set(history.flatMap((samples) => samples.map(({ table }) => table)))].toSorted()
  const lines = tables.map((table) => {
    const samples = history.flatMap((found) => found.filter((sample) => sample.table === table))
    const rows = samples.map((sample) => sample.rows)
    const most = Math.max(1, ...rows)
    const step = Math.max(1, Math.ceil(rows.length / COLUMNS))
    const bars = rows
      .filter((_, index) => index % step === 0)
      .map((count) => BARS[Math.min(BARS.length - 1, Math.floor((count / most) * BARS.length))] ?? '')
    const last = samples.at(-1)
    const megabytes = ((last?.bytes ?? 0) / MEGABYTE).toFixed(1)
    return `${table.padEnd(26)} ${bars.join('').padEnd(COLUMNS)} most ${most}, at the end ${last?.rows ?? 0} rows, ${megabytes} MB`
  })
  return [`Rows of each table, a sample every ${sampleMs / 1_000} s; ${title}`, ...lines].join('\n')
}
