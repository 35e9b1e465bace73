import type { Stage } from './stage.ts'

/**
 * One benchmark: the file `test/bench/<name>.ts` exports it as `<name>`, and `pnpm bench <name>` runs it.
 *
 * It asserts nothing about time: what it measured is printed beside what it aims at, because a machine that does something else
 * at the moment proves nothing. What must hold however slow the machine is (a count, a state) it checks and throws.
 */
export interface Benchmark {
  readonly title: string
  run(context: BenchmarkContext): Promise<Report>
}

export interface BenchmarkContext {
  /** Real servers and services, for this benchmark alone; they are stopped after it. */
  readonly stage: Stage
  /** How often each thing is measured, in turns. */
  readonly repetitions: number
  /** How long one measurement lasts. */
  readonly seconds: number
  /** Says what is being done, while it is. */
  readonly say: (text: string) => void
}

/** What was measured and how it compares. */
export interface Report {
  readonly measures: readonly Measure[]
  readonly ratios: readonly Ratio[]
  /** Sentences that a reader needs to understand the figures. */
  readonly notes?: readonly string[]
}

/** One thing, measured several times. */
export interface Measure {
  readonly name: string
  /** Such as `requests/s` or `ms`. */
  readonly unit: string
  readonly values: readonly number[]
  /** CPU of each process while it was measured, in cores; the load generator's own is `generator`. */
  readonly cores?: Readonly<Record<string, number>>
}

/** How two things compare, by their medians, in one run on one machine. */
export interface Ratio {
  readonly name: string
  readonly value: number
  readonly unit?: string
  /** Reached when the value is at least this, or with `atMost` when it is at most this. */
  readonly aim: number
  /** What must be reached in any case. */
  readonly floor?: number
  readonly atMost?: boolean
}

/** The middle of the values, the better known of the two when their number is even. */
export function median(values: readonly number[]): number {
  return percentile(values, 50)
}

/** The value that this share (0 to 100) of all values does not exceed. */
export function percentile(values: ArrayLike<number>, share: number): number {
  const sorted = Float64Array.from(values).toSorted()
  const index = Math.min(sorted.length - 1, Math.max(0, Math.ceil((share / 100) * sorted.length) - 1))
  return sorted[index] ?? Number.NaN
}

/**
 * Measures each thing in turn, again and again: a, b, a, b. What the machine does besides then meets all of them alike.
 */
export async function interleave<Name extends string, Value>(
  repetitions: number,
  measurements: Readonly<Record<Name, () => Promise<Value>>>,
): Promise<Record<Name, Value[]>> {
  const names = Object.keys(measurements) as Name[]
  const values = Object.fromEntries(names.map((name) => [name, [] as Value[]])) as Record<Name, Value[]>
  for (let repetition = 0; repetition < repetitions; repetition += 1) {
    for (const name of names) values[name].push(await measurements[name]())
  }
  return values
}
