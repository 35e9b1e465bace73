import * as kubernetes from '@kubernetes/client-node/dist/gen/models/all.js'
import { customResourceErrors } from './custom-resources.ts'
import type { Rendered } from './helm.ts'

interface Attribute {
  readonly baseName: string
  readonly type: string
}

/** Those of Kubernetes 1.36, as its own OpenAPI document has them. */
const types: Readonly<Record<string, unknown>> = { ...kubernetes }

/**
 * What in the object is not as Kubernetes types it: fields that do not exist, and values of another type, each with its
 * path. An API server drops the former in silence and refuses the latter.
 */
export function typeErrors(object: Rendered): readonly string[] {
  const errors = customResourceErrors(object)
  if (errors !== undefined) return errors
  const version = object.apiVersion.split('/').at(-1) ?? ''
  const name = `${version.charAt(0).toUpperCase()}${version.slice(1)}${object.kind}`
  if (attributesOf(name) === undefined) return [`${object.apiVersion} ${object.kind} is not a type of Kubernetes`]
  return errorsOf(object, name, `${object.kind} ${object.metadata.name}`)
}

function errorsOf(value: unknown, type: string, path: string): readonly string[] {
  if (value === null || value === undefined) return [`${path} is empty`]
  const plain = type.replace(/ \| (null|undefined)$/, '')
  const listed = /^Array<(.*)>$/.exec(plain)?.[1]
  if (listed !== undefined) {
    if (!Array.isArray(value)) return [`${path} is not a list`]
    return value.flatMap((item, index) => errorsOf(item, listed, `${path}[${index}]`))
  }
  const mapped = /^\{ \[key: string\]: (.*); \}$/.exec(plain)?.[1]
  if (mapped !== undefined) {
    if (typeof value !== 'object' || Array.isArray(value)) return [`${path} is not a map`]
    return Object.entries(value).flatMap(([key, item]) => errorsOf(item, mapped, `${path}.${key}`))
  }
  const attributes = attributesOf(plain)
  if (attributes === undefined) return matches(value, plain) ? [] : [`${path} is no ${plain}: ${JSON.stringify(value)}`]
  if (typeof value !== 'object' || Array.isArray(value)) return [`${path} is no ${plain}`]
  return Object.entries(value).flatMap(([key, item]) => {
    const attribute = attributes.find(({ baseName }) => baseName === key)
    return attribute === undefined
      ? [`${path}.${key} does not exist`]
      : errorsOf(item, attribute.type, `${path}.${key}`)
  })
}

function matches(value: unknown, type: string): boolean {
  if (type === 'any' || type === 'object') return true
  if (type === 'IntOrString') return typeof value === 'string' || Number.isInteger(value)
  if (type === 'Date') return typeof value === 'string'
  return typeof value === type
}

function attributesOf(name: string): readonly Attribute[] | undefined {
  const type = types[name]
  if (typeof type !== 'function' || !('getAttributeTypeMap' in type)) return undefined
  return (type.getAttributeTypeMap as () => readonly Attribute[])()
}
