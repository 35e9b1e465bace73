import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Rendered } from './helm.ts'

/** As much of a structural schema as the operators' use. Rules in CEL (`x-kubernetes-validations`) are not evaluated. */
interface Schema {
  readonly type?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema | boolean
  readonly items?: Schema
  readonly required?: readonly string[]
  readonly enum?: readonly unknown[]
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly nullable?: boolean
  readonly 'x-kubernetes-int-or-string'?: boolean
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean
}

interface Published {
  readonly group: string
  readonly versions: Readonly<Record<string, Schema>>
}

/** Kind to the digest of its file: what the operators published is not ours to change. */
const published: Readonly<Record<string, string>> = {
  PostgresCluster: '41a8f86dca50e74508d1fad4b53966ec917dec0c0db5629dc46d29042d8a47d7',
  Cluster: '1114864f43f16aab5ab88feceb06d6f475769e255eda81bdc53b62cd7c41e9b3',
  Pooler: '3ca320888fbfd4b69db9b7ea7f9ffa57ca6147880078ae3cd1598047c0c8ea3b',
  Database: 'd5c281eb33d10af86dea06bd629db879d5948f539db99e8f9b0da541b249b331',
  ScheduledBackup: '4f77637e28e33500c40ea0c612d952aead10c3c905f2b62d9d3b91da59284499',
}

const known = new Map<string, Published>()

function publishedOf(kind: string): Published | undefined {
  const digest = published[kind]
  if (digest === undefined) return undefined
  let found = known.get(kind)
  if (found === undefined) {
    const text = readFileSync(join(import.meta.dirname, 'schemas', `${kind.toLowerCase()}.json`), 'utf8')
    const sha256 = createHash('sha256').update(text).digest('hex')
    if (sha256 !== digest) throw new Error(`The schema of ${kind} has the digest ${sha256}, not ${digest}`)
    found = JSON.parse(text) as Published
    known.set(kind, found)
  }
  return found
}

/**
 * What in the object is not as its operator's published schema says, unknown fields included; `undefined` when it is no object
 * of an operator.
 */
export function customResourceErrors(object: Rendered): readonly string[] | undefined {
  const definition = publishedOf(object.kind)
  const [group, version = ''] = object.apiVersion.split('/')
  if (definition === undefined || definition.group !== group) return undefined
  const path = `${object.kind} ${object.metadata.name}`
  const schema = definition.versions[version]
  if (schema === undefined) return [`${path} has no version ${version}`]
  const metadata = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
  return errorsOf(object, { ...schema, properties: { ...schema.properties, metadata } }, path)
}

function errorsOf(value: unknown, schema: Schema, path: string): readonly string[] {
  if (value === null || value === undefined) return schema.nullable === true ? [] : [`${path} is empty`]
  if (schema['x-kubernetes-int-or-string'] === true && typeof value === 'number') return []
  if (schema.enum !== undefined && !schema.enum.includes(value)) return [`${path} is none of ${schema.enum.join(', ')}`]
  switch (schema.type) {
    case 'object':
      return typeof value === 'object' && !Array.isArray(value)
        ? objectErrors(value as Record<string, unknown>, schema, path)
        : [`${path} is no object`]
    case 'array':
      if (!Array.isArray(value)) return [`${path} is no list`]
      return [
        ...within(value.length, schema.minItems, schema.maxItems, `${path} has a number of items that`),
        ...value.flatMap((item, index) => errorsOf(item, schema.items ?? {}, `${path}[${index}]`)),
      ]
    case 'integer':
      if (!Number.isInteger(value)) return [`${path} is no integer: ${JSON.stringify(value)}`]
      return within(value as number, schema.minimum, schema.maximum, path)
    case 'number':
    case 'boolean':
      return typeof value === schema.type ? [] : [`${path} is no ${schema.type}: ${JSON.stringify(value)}`]
    case 'string':
      if (typeof value !== 'string') return [`${path} is no string: ${JSON.stringify(value)}`]
      return [
        ...within(value.length, schema.minLength, schema.maxLength, `${path} has a length that`),
        ...(schema.pattern === undefined || new RegExp(schema.pattern).test(value)
          ? []
          : [`${path} does not match ${schema.pattern}`]),
      ]
    default:
      return []
  }
}

function objectErrors(value: Record<string, unknown>, schema: Schema, path: string): readonly string[] {
  const missing = (schema.required ?? []).filter((name) => value[name] === undefined)
  return [
    ...missing.map((name) => `${path}.${name} is missing`),
    ...Object.entries(value).flatMap(([key, item]) => {
      const property =
        schema.properties?.[key] ??
        (typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined)
      if (property !== undefined) return errorsOf(item, property, `${path}.${key}`)
      const isFree = schema.additionalProperties === true || schema['x-kubernetes-preserve-unknown-fields'] === true
      return isFree ? [] : [`${path}.${key} does not exist`]
    }),
  ]
}

function within(value: number, lowest = -Infinity, highest = Infinity, what = ''): readonly string[] {
  return value >= lowest && value <= highest ? [] : [`${what} is not from ${lowest} to ${highest}: ${value}`]
}
