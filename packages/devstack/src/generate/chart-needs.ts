import { isDeepStrictEqual } from 'node:util'
import { needs, statefulServices, type ServiceName } from '@saas/contracts'
import { isMap, isNode, parseDocument, type Node } from 'yaml'

/** The values of a service's chart, in which `needs` is what the contracts say; everything else and the comments stay as they are. */
export function chartNeeds(service: ServiceName, present: string): string {
  return declared(service).reduce((text, [path, value]) => withValue(text, path, value), present)
}

type Declared = readonly [path: readonly string[], value: boolean | readonly string[]]

function declared(service: ServiceName): readonly Declared[] {
  const { database, objectStore, smtp, consumes, hears } = needs[service]
  const booleans = Object.entries({ database, objectStore, smtp }).map(([name, is]): Declared => [[name], is])
  if (!statefulServices.includes(service)) return booleans
  return [
    ...booleans,
    [['nats', 'publish'], [`msg.${service}.>`]],
    [['nats', 'consume'], consumes.map(({ subject }) => subject)],
    [['nats', 'hear'], hears.map(({ subject }) => subject)],
  ]
}

function withValue(text: string, path: readonly string[], value: Declared[1]): string {
  const pair = pairAt(text, ['needs', ...path])
  if (isDeepStrictEqual(pair.value.toJSON(), value)) return text
  const [, keyEnd = 0] = pair.key.range ?? []
  const [, valueEnd = 0] = pair.value.range ?? []
  // A list of lines ends with the end of its last line.
  const lineEnd = text.slice(0, valueEnd).endsWith('\n') ? '\n' : ''
  return `${text.slice(0, keyEnd)}:${written(value, path.length)}${lineEnd}${text.slice(valueEnd)}`
}

function written(value: Declared[1], depth: number): string {
  if (typeof value === 'boolean') return ` ${value}`
  return value.length === 0 ? ' []' : value.map((item) => `\n${'  '.repeat(depth + 1)}- ${item}`).join('')
}

function pairAt(text: string, path: readonly string[]): { readonly key: Node; readonly value: Node } {
  const document = parseDocument(text)
  const parent = document.getIn(path.slice(0, -1), true)
  const found = isMap(parent) ? parent.items.find((pair) => String(pair.key) === path.at(-1)) : undefined
  if (!isNode(found?.key) || !isNode(found.value)) throw new Error(`values.yaml has no ${path.join('.')}`)
  return { key: found.key, value: found.value }
}
