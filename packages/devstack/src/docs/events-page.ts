import { allEvents, needs, serviceNames, type Event } from '@saas/contracts'
import { escaped, page } from './page.ts'

/** Every event on one page: when it is sent, by whom, who hears it, its fields and an example. */
export function eventsPage(): string {
  const events = [...allEvents.values()]
  const contents = events.map(({ subject }) => `<li><a href="#${subject}">${subject}</a></li>`).join('\n')
  return page(
    'Events',
    `<p><a href="/">API</a></p>
<h1>Events</h1>
<p class="lead">NATS JetStream, stream <code>messages</code>. Each is delivered at least once and applied once: consumers keep an inbox.
CloudEvents 1.0 attributes travel as headers (<code>ce-id</code>, <code>ce-type</code>, <code>ce-subject</code>, <code>ce-aggregateversion</code>, …), the body is JSON.</p>
<nav><ul>
${contents}
</ul></nav>
${events.map(eventSection).join('\n')}`,
  )
}

function eventSection(event: Event): string {
  const appliedBy = serviceNames.filter((name) => needs[name].consumes.includes(event))
  const heardBy = serviceNames.filter((name) => needs[name].hears.includes(event))
  const facts = [
    ['type', `<code>${escaped(event.type)}</code>`],
    ['sent by', event.publishedBy],
    ['applied by', appliedBy.join(', ') || 'nobody yet'],
    ...(heardBy.length > 0 ? [['wakes', heardBy.join(', ')]] : []),
    ['about', `${escaped(event.aggregate)}, whose id is <code>ce-subject</code>`],
  ]
  return `<section id="${event.subject}">
<h2><code>${event.subject}</code></h2>
<p>${escaped(event.summary)}</p>
<dl>${facts.map(([term, value]) => `<dt>${term}</dt><dd>${value}</dd>`).join('')}</dl>
${fieldTable(event)}
<details><summary>Example</summary><pre>${escaped(JSON.stringify(event.example, undefined, 2))}</pre></details>
</section>`
}

function fieldTable({ data }: Event): string {
  const required = new Set(data.required ?? [])
  const rows = Object.entries(data.properties as Record<string, Schema>).map(
    ([name, schema]) =>
      `<tr><td><code>${escaped(name)}</code></td><td>${escaped(typeOf(schema))}${required.has(name) ? '' : ', optional'}</td><td>${escaped(schema.description ?? '')}</td></tr>`,
  )
  return `<table><thead><tr><th>field</th><th>type</th><th>meaning</th></tr></thead><tbody>${rows.join('')}</tbody></table>`
}

interface Schema {
  readonly type?: string
  readonly format?: string
  readonly description?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly Schema[]
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
}

/** A JSON Schema in a few words. */
function typeOf(schema: Schema): string {
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(' or ')
  if (schema.anyOf !== undefined) return schema.anyOf.map(typeOf).join(' or ')
  if (schema.type === 'array') return `list of ${schema.items === undefined ? 'anything' : typeOf(schema.items)}`
  if (schema.type === 'object' && schema.properties !== undefined) {
    const fields = Object.entries(schema.properties).map(([name, field]) => `${name}: ${typeOf(field)}`)
    return fields.length === 0 ? 'object' : `{${fields.join(', ')}}`
  }
  return schema.format ?? schema.type ?? 'anything'
}
