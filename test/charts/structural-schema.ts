/** As much of a structural schema as definitions use: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/ */
export interface Schema {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean'
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema | boolean
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly enum?: readonly unknown[]
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly nullable?: boolean
  readonly allOf?: readonly Schema[]
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly not?: Schema
  readonly 'x-kubernetes-int-or-string'?: boolean
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean
}

/**
 * What in a value is not as the schema says, with the path of each, as an API server that validates strictly would say: unknown fields,
 * missing ones, values of another type, pattern or bound. Rules in CEL are not evaluated.
 */
export function schemaErrors(value: unknown, schema: Schema, path: string): readonly string[] {
  if (value === null || value === undefined) return schema.nullable === true ? [] : [`${path} is empty`]
  if (schema['x-kubernetes-int-or-string'] === true) {
    if (typeof value !== 'string' && !Number.isInteger(value)) return [`${path} is neither a number nor a text`]
  } else if (schema.type !== undefined && !isOfType(value, schema.type)) return [`${path} is no ${schema.type}`]
  return [
    ...limitErrors(value, schema, path),
    ...insideErrors(value, schema, path),
    ...choiceErrors(value, schema, path),
  ]
}

function isOfType(value: unknown, type: NonNullable<Schema['type']>): boolean {
  switch (type) {
    case 'object':
      return typeof value === 'object' && !Array.isArray(value)
    case 'array':
      return Array.isArray(value)
    case 'integer':
      return Number.isInteger(value)
    default:
      return typeof value === type
  }
}

function limitErrors(value: unknown, schema: Schema, path: string): readonly string[] {
  const errors: string[] = []
  const bound = (size: number, least: number | undefined, most: number | undefined, what: string): void => {
    if (least !== undefined && size < least) errors.push(`${path} ${what} less than ${least}`)
    if (most !== undefined && size > most) errors.push(`${path} ${what} more than ${most}`)
  }
  if (schema.enum !== undefined && !schema.enum.includes(value))
    errors.push(`${path} is none of ${schema.enum.join(', ')}`)
  if (typeof value === 'string') {
    bound(value.length, schema.minLength, schema.maxLength, 'has')
    if (schema.pattern !== undefined && !new RegExp(schema.pattern).test(value))
      errors.push(`${path} does not match ${schema.pattern}`)
  }
  if (typeof value === 'number') bound(value, schema.minimum, schema.maximum, 'is')
  if (Array.isArray(value)) bound(value.length, schema.minItems, schema.maxItems, 'has')
  return errors
}

function insideErrors(value: unknown, schema: Schema, path: string): readonly string[] {
  if (Array.isArray(value)) {
    const { items } = schema
    return items === undefined ? [] : value.flatMap((item, index) => schemaErrors(item, items, `${path}[${index}]`))
  }
  if (typeof value !== 'object' || value === null) return []
  const fields = value as Readonly<Record<string, unknown>>
  const { properties = {}, additionalProperties } = schema
  // What only limits a value whose fields are described elsewhere has no type.
  const isOpen = schema['x-kubernetes-preserve-unknown-fields'] === true || schema.type === undefined
  return [
    ...(schema.required ?? []).flatMap((name) => (fields[name] === undefined ? [`${path}.${name} is missing`] : [])),
    ...Object.entries(fields).flatMap(([name, field]) => {
      const own = Object.hasOwn(properties, name) ? properties[name] : additionalProperties
      if (typeof own === 'object') return schemaErrors(field, own, `${path}.${name}`)
      return own === true || isOpen ? [] : [`${path}.${name} does not exist`]
    }),
  ]
}

function choiceErrors(value: unknown, schema: Schema, path: string): readonly string[] {
  const fits = (one: Schema): boolean => schemaErrors(value, one, path).length === 0
  const errors = (schema.allOf ?? []).flatMap((one) => schemaErrors(value, one, path))
  if (schema.anyOf !== undefined && !schema.anyOf.some(fits)) errors.push(`${path} fits none of several`)
  if (schema.oneOf !== undefined && schema.oneOf.filter(fits).length !== 1)
    errors.push(`${path} fits not one of several`)
  if (schema.not !== undefined && fits(schema.not)) errors.push(`${path} is what it must not be`)
  return errors
}
