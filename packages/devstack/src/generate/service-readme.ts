import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { needs, publishedBy, routesOf, type Event, type Route, type ServiceName } from '@saas/contracts'
import { cloneDirectory } from '../locations.ts'

const START = '<!-- generated -->'
const END = '<!-- /generated -->'

/** A service's README: what people wrote, and between two marks the tables that follow from the sources. */
export function serviceReadme(service: ServiceName, present: string): string {
  const written = present.includes(START)
    ? present
    : `${present.trimEnd() || introduction(service)}\n\n${START}\n${END}\n`
  const before = written.slice(0, written.indexOf(START))
  const after = written.slice(written.indexOf(END) + END.length)
  return `${before}${START}\n\n${tables(service)}\n${END}${after}`
}

function introduction(service: ServiceName): string {
  const manifest = JSON.parse(readFileSync(join(cloneDirectory, 'services', service, 'package.json'), 'utf8')) as {
    readonly description: string
  }
  return `# ${service}\n\n${manifest.description}.`
}

function tables(service: ServiceName): string {
  return [
    table('Owns', ['what', 'where'], owned(service)),
    table('Endpoints', ['route', 'who', 'does'], routesOf(service).map(endpoint)),
    table('Publishes', ['subject', 'when'], publishedBy(service).map(described)),
    table(
      'Consumes',
      ['subject', 'how'],
      [
        ...needs[service].consumes.map(({ subject }) => [`\`${subject}\``, 'durably, each once']),
        ...needs[service].hears.map(({ subject }) => [`\`${subject}\``, 'as a broadcast that wakes every replica']),
      ],
    ),
  ].join('\n')
}

function owned(service: ServiceName): string[][] {
  const { database, objectStore } = needs[service]
  return [
    ...(database
      ? [
          [
            tablesOf(service)
              .map((name) => `\`${name}\``)
              .join(', '),
            `Postgres, database \`${service}\``,
          ],
        ]
      : []),
    ...(database ? [['`outbox`, `inbox`, `dead_letter`', `Postgres, the tables of messages every service has`]] : []),
    ...(objectStore ? [['pictures', 'the object store']] : []),
  ].filter(([what]) => what !== '')
}

/** The tables that the service's own migrations make. */
function tablesOf(service: ServiceName): string[] {
  const directory = join(cloneDirectory, 'services', service, 'migrations')
  if (!existsSync(directory)) return []
  const text = readdirSync(directory)
    .toSorted()
    .map((name) => readFileSync(join(directory, name), 'utf8'))
    .join('\n')
  return [...text.matchAll(/^create table (?:if not exists )?(\w+)/gim)].map((match) => match[1] ?? '')
}

function endpoint({ method, path, access, summary }: Route): string[] {
  return [`\`${method} ${path}\``, access, summary]
}

function described({ subject, summary }: Event): string[] {
  return [`\`${subject}\``, summary]
}

function table(title: string, head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return `## ${title}\n\nNothing.\n`
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.map(escaped).join(' | ')} |`)
  return `## ${title}\n\n${lines.join('\n')}\n`
}

function escaped(cell: string): string {
  return cell.replaceAll('|', '\\|')
}
