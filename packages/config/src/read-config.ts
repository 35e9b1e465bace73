import type { Variable } from './variable.ts'

/** Variables by the property their value gets. */
export type Variables = Readonly<Record<string, Variable<unknown>>>

/** The frozen object that `readConfig` makes of `V`. */
export type Config<V extends Variables> = { readonly [K in keyof V]: V[K] extends Variable<infer T> ? T : never }

/** One wrong variable: its name and what is expected of it. Never its value. */
export interface ConfigProblem {
  readonly name: string
  readonly detail: string
}

/** Thrown by `readConfig` with every wrong variable at once, in the order they were declared. */
export class ConfigError extends Error {
  readonly problems: readonly ConfigProblem[]

  constructor(problems: readonly ConfigProblem[]) {
    super(
      ['The configuration is wrong:', ...problems.map((problem) => `  ${problem.name} ${problem.detail}`)].join('\n'),
    )
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/**
 * Reads every variable from the environment and returns a frozen object of parsed values.
 *
 * An empty text counts as unset, because `NAME=` in a file and an empty Kubernetes value mean that.
 *
 * @throws {ConfigError} naming every variable that is unset or malformed.
 */
export function readConfig<V extends Variables>(
  variables: V,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Config<V> {
  const problems: ConfigProblem[] = []
  const values: Record<string, unknown> = {}
  for (const [property, variable] of Object.entries(variables)) {
    const given = environment[variable.name]
    const text = given === undefined || given === '' ? variable.default : given
    if (text === undefined) {
      problems.push({ name: variable.name, detail: `is not set: ${variable.description}` })
      continue
    }
    try {
      values[property] = variable.parse(text)
    } catch (error) {
      problems.push({ name: variable.name, detail: error instanceof Error ? error.message : 'is malformed' })
    }
  }
  if (problems.length > 0) throw new ConfigError(problems)
  return Object.freeze(values) as Config<V>
}
