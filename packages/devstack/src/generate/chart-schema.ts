import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { variablesOf, type Variables } from '@saas/config'
import type { ServiceName } from '@saas/contracts'
import { cloneDirectory } from '../locations.ts'

const SHARED_SCHEMA = 'charts/lib/service.schema.json'
const ENVIRONMENT_TEMPLATE = 'charts/lib/templates/_environment.tpl'

/** Settings of Node and of what people put around it, which no service reads itself. */
const settingsOfNode: Readonly<Record<string, string>> = {
  NODE_EXTRA_CA_CERTS: 'A file with more certificate authorities',
  UV_THREADPOOL_SIZE: 'Threads for files, names and compression; passwords have threads of their own',
  TZ: 'The time zone of log lines; rules never read it',
}

/**
 * The schema of a service's chart: the one all share, and below `environment` the names that this service reads and the chart does not
 * set already, so that a mistyped setting is refused and not ignored.
 */
export function chartSchema(service: ServiceName): string {
  const schema = JSON.parse(readFileSync(join(cloneDirectory, SHARED_SCHEMA), 'utf8')) as {
    properties: Record<string, object>
  }
  const template = readFileSync(join(cloneDirectory, ENVIRONMENT_TEMPLATE), 'utf8')
  const type = ['string', 'number', 'boolean', 'null']
  const settings = Object.values<Variables[string]>(variablesOf[service])
    .filter(({ name, secret }) => secret !== true && !new RegExp(`^${name}:`, 'm').test(template))
    .map(({ name, description }) => [name, { description, type }] as const)
  const ofNode = Object.entries(settingsOfNode).map(([name, description]) => [name, { description, type }] as const)
  schema.properties['environment'] = {
    description: 'Settings of the service; null leaves one to its default',
    type: 'object',
    additionalProperties: false,
    properties: Object.fromEntries([...settings, ...ofNode]),
  }
  return `${JSON.stringify(schema, undefined, 2)}\n`
}
