/** A type as `kopium` writes it of a CustomResourceDefinition: a structure of fields, or one of several words. */
export type RustType = RustStructure | RustWords

interface RustStructure {
  readonly fields: ReadonlyMap<string, RustField>
}

interface RustWords {
  readonly words: ReadonlySet<string>
}

interface RustField {
  readonly type: string
  readonly isRequired: boolean
}

/** The types of a generated file, by their names. Nothing but what that generator writes is understood. */
export function rustTypes(source: string): ReadonlyMap<string, RustType> {
  const types = new Map<string, RustType>()
  let fields: Map<string, RustField> | undefined
  let words: Set<string> | undefined
  let attributes = ''
  for (const line of source.split('\n').map((text) => text.trim())) {
    const [, kind, name = ''] = /^pub (struct|enum) (\w+) \{$/.exec(line) ?? []
    const [, field, type = ''] = /^pub (?:r#)?(\w+): (.*),$/.exec(line) ?? []
    const word = /^(\w+),$/.exec(line)?.[1]
    const renamed = /rename = "([^"]*)"/.exec(attributes)?.[1]
    if (line.startsWith('#[')) {
      attributes += line
      continue
    }
    if (line.startsWith('//')) continue
    if (kind === 'struct') types.set(name, { fields: (fields = new Map<string, RustField>()) })
    else if (kind === 'enum') types.set(name, { words: (words = new Set<string>()) })
    else if (line === '}') fields = words = undefined
    else if (field !== undefined)
      fields?.set(renamed ?? field, { type, isRequired: !/\(default|Option</.test(attributes + type) })
    else if (word !== undefined) words?.add(renamed ?? word)
    attributes = ''
  }
  return types
}

/** What in a value is not as the type says, with the path of each: fields that do not exist, missing ones, values of another type. */
export function rustTypeErrors(
  value: unknown,
  type: string,
  types: ReadonlyMap<string, RustType>,
  path: string,
): readonly string[] {
  if (value === null || value === undefined) return [`${path} is empty`]
  const [, generic, inner = ''] = /^(Option|Vec|BTreeMap)<(.*)>$/.exec(type) ?? []
  if (generic === 'Option') return rustTypeErrors(value, inner, types, path)
  if (generic === 'Vec')
    return Array.isArray(value)
      ? value.flatMap((item, index) => rustTypeErrors(item, inner, types, `${path}[${index}]`))
      : [`${path} is no list`]
  if (generic === 'BTreeMap')
    return isPlainObject(value)
      ? Object.entries(value).flatMap(([key, item]) =>
          rustTypeErrors(item, inner.replace(/^String, /, ''), types, `${path}.${key}`),
        )
      : [`${path} is no map`]
  const known = types.get(type)
  if (known === undefined) return isPlain(value, type) ? [] : [`${path} is no ${type}: ${JSON.stringify(value)}`]
  if ('words' in known)
    return typeof value === 'string' && known.words.has(value)
      ? []
      : [`${path} is none of ${Array.from(known.words).join(', ')}`]
  if (!isPlainObject(value)) return [`${path} is no object`]
  return [
    ...Array.from(known.fields).flatMap(([name, { isRequired }]) =>
      isRequired && value[name] === undefined ? [`${path}.${name} is missing`] : [],
    ),
    ...Object.entries(value).flatMap(([name, item]) => {
      const field = known.fields.get(name)
      return field === undefined
        ? [`${path}.${name} does not exist`]
        : rustTypeErrors(item, field.type, types, `${path}.${name}`)
    }),
  ]
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isPlain(value: unknown, type: string): boolean {
  switch (type) {
    case 'String':
      return typeof value === 'string'
    case 'bool':
      return typeof value === 'boolean'
    case 'i32':
    case 'i64':
      return Number.isInteger(value)
    case 'IntOrString':
      return typeof value === 'string' || Number.isInteger(value)
    case 'serde_json::Value':
      return true
    default:
      throw new Error(`${type} is no type that is understood`)
  }
}
