import type { Type as TypeBox } from 'typebox'

/** Marks a property that its object does not require; a symbol, so that no JSON shows it. */
const optional = Symbol('optional')

type Schema = Record<PropertyKey, unknown>

const of =
  (type: string) =>
  (options?: object): Schema => ({ type, ...options })

/**
 * The builders of TypeBox that the contracts use, with TypeBox's own types and the plain JSON Schema that it makes. Its module
 * is left out at run time: loading its 300 files took 140 ms of CPU in each of the services and was a fifth of what a
 * service needs to start; nothing here looks at more than the JSON Schema.
 */
const builders = {
  String: of('string'),
  Integer: of('integer'),
  Number: of('number'),
  Boolean: of('boolean'),
  Null: of('null'),
  Unknown: (options?: object): Schema => ({ ...options }),
  Literal: (value: string | number | boolean, options?: object): Schema => ({
    type: typeof value,
    const: value,
    ...options,
  }),
  Enum: (values: readonly (string | number)[], options?: object): Schema => ({ enum: [...values], ...options }),
  Array: (items: Schema, options?: object): Schema => ({ type: 'array', items, ...options }),
  Union: (anyOf: readonly Schema[], options?: object): Schema => ({ anyOf, ...options }),
  Optional: (schema: Schema): Schema => ({ ...schema, [optional]: true }),
  Object: (properties: Record<string, Schema>, options?: object): Schema => {
    const required = Object.keys(properties).filter((name) => properties[name]?.[optional] !== true)
    return { type: 'object', ...(required.length > 0 && { required }), properties, ...options }
  },
  Partial: ({ required: _required, ...schema }: Schema, options?: object): Schema => ({ ...schema, ...options }),
  Record: (key: Schema, value: Schema, options?: object): Schema => {
    const pattern = typeof key['pattern'] === 'string' ? key['pattern'] : '^.*$'
    return { type: 'object', patternProperties: { [pattern]: value }, ...options }
  },
}

type Used = keyof typeof builders

/** Makes schemas: `Type.Object({ id: Type.String({ format: 'uuid' }) })`. */
export const Type = builders as unknown as Pick<typeof TypeBox, Used>
