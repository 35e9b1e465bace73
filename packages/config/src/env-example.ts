import type { Variables } from './read-config.ts'

/**
 * The text of `.env.example`: each variable once, under the first group that has it, with its description.
 *
 * A variable with a default is commented out, with the default, so that copying the file changes nothing.
 */
export function envExample(groups: Readonly<Record<string, Variables>>): string {
  const seen = new Set<string>()
  const sections: string[] = []
  for (const [title, variables] of Object.entries(groups)) {
    const lines: string[] = []
    for (const variable of Object.values(variables)) {
      if (seen.has(variable.name)) continue
      seen.add(variable.name)
      const assignment = `${variable.name}=${quoted(variable.default ?? variable.example ?? '')}`
      lines.push(`# ${variable.description}.`, variable.default === undefined ? assignment : `# ${assignment}`)
    }
    if (lines.length > 0) sections.push([`## ${title}`, ...lines].join('\n'))
  }
  return `${sections.join('\n\n')}\n`
}

function quoted(value: string): string {
  return /[\s#"'$<>]/.test(value) ? JSON.stringify(value) : value
}
