import { isTime, problems, ProblemError, type FieldCode, type FieldError } from '@saas/contracts'
import { Ajv, type ErrorObject, type Options, type ValidateFunction } from 'ajv'
import formats from 'ajv-formats'
import type { FastifySchemaCompiler } from 'fastify'
import { FIELD_ERRORS_MAX } from './limits.ts'
import { pointerPart } from './strict-json.ts'

const POINTER_LENGTH_MAX = 200

// All errors are collected so that a form can show them at once; the body limit bounds how many there can be.
const options: Options = { removeAdditional: false, useDefaults: true, allErrors: true, strict: false, verbose: true }

/**
 * A body is taken as it is; text in a URL or a header has no type, so numbers of plain digits and booleans are read from it. JSON may say 1e400, which
 * is Infinity here and null in every answer: `strictNumbers` refuses it as no number. For text it would skip the limits instead.
 */
function validators(): { readonly body: Ajv; readonly text: Ajv } {
  const body = new Ajv({ ...options, coerceTypes: false, strictNumbers: true })
  const text = new Ajv({ ...options, coerceTypes: 'array' })
  for (const ajv of [body, text]) {
    formats.default(ajv)
    ajv.addFormat('date-time', isTime)
  }
  return { body, text }
}

/**
 * Compiles the contract's schemas for Fastify; a refused value throws `invalid-request` with JSON pointers. Each is compiled when
 * it first has something to check: all of them at the start took auth 0.2 s of CPU.
 */
export function validatorCompiler(): FastifySchemaCompiler<object> {
  const { body, text } = validators()
  return ({ schema, httpPart }) => {
    let validate: ValidateFunction | undefined
    const prefix = pointerPrefix(httpPart)
    const numbers = httpPart === 'body' ? [] : numbersOf(schema)
    return (data: unknown) => {
      validate ??= (httpPart === 'body' ? body : text).compile(schema)
      const unread =
        numbers.length === 0 ? [] : unreadNumbers(data as Readonly<Record<string, unknown>>, numbers, prefix)
      if (validate(data) && unread.length === 0) return { value: data }
      const others = toFieldErrors(validate.errors ?? [], prefix).filter(
        ({ pointer }) => !unread.some((error) => error.pointer === pointer),
      )
      return { error: new ProblemError(problems.invalidRequest, { errors: [...unread, ...others] }) }
    }
  }
}

function numbersOf({
  properties = {},
}: {
  properties?: Readonly<Record<string, { type?: unknown }>>
}): readonly string[] {
  return Object.keys(properties).filter((name) => ['integer', 'number'].includes(String(properties[name]?.type)))
}

/** JavaScript also reads ` 5`, `+5`, `1e1` and `0x10` as numbers, which a client never meant. */
function unreadNumbers(
  data: Readonly<Record<string, unknown>>,
  numbers: readonly string[],
  prefix: string,
): readonly FieldError[] {
  return numbers
    .filter((name) => typeof data[name] === 'string' && !/^\d+$/.test(data[name]))
    .map((name) => ({
      pointer: `${prefix}/${name}`,
      detail: 'must be a number of decimal digits only',
      code: 'not-a-number',
    }))
}

/** Checks values that came another way than as a whole body, such as the lines of a file; empty when one is valid. */
export function valueChecker(schema: object): (value: unknown) => readonly FieldError[] {
  let validate: ValidateFunction | undefined
  return (value) => {
    validate ??= validators().body.compile(schema)
    return validate(value) ? [] : toFieldErrors(validate.errors ?? [], '')
  }
}

function pointerPrefix(httpPart: string | undefined): string {
  if (httpPart === 'body') return ''
  return httpPart === 'querystring' ? '/query' : `/${httpPart}`
}

/** Ajv's errors as pointers with a sentence each; of a union only the alternative that fits best is reported. */
function toFieldErrors(errors: readonly ErrorObject[], prefix: string): readonly FieldError[] {
  const fields = new Map<string, FieldError>()
  for (const error of bestAlternatives(errors)) {
    const pointer = `${prefix}${pointerOf(error)}`.slice(0, POINTER_LENGTH_MAX)
    const detail = detailOf(error)
    fields.set(`${pointer} ${detail}`, { pointer, detail, ...codeOf(error) })
    if (fields.size === FIELD_ERRORS_MAX) break
  }
  return [...fields.values()]
}

function pointerOf(error: ErrorObject): string {
  const name: unknown = error.params['missingProperty'] ?? error.params['additionalProperty']
  return typeof name === 'string' ? `${error.instancePath}/${pointerPart(name)}` : error.instancePath
}

/** Never a regular expression: whoever wrote the value may not read them. */
function detailOf(error: ErrorObject): string {
  const words = sentences[error.keyword]
  if (words !== undefined) return words(error.params['limit'] as number)
  const values: unknown = error.params['allowedValues']
  if (Array.isArray(values)) return `must be one of ${values.join(', ')}`
  if (error.keyword === 'additionalProperties') {
    const areNamed = error.parentSchema !== undefined && 'patternProperties' in error.parentSchema
    return areNamed ? 'is a name that is not accepted' : 'is not a known field'
  }
  if (error.keyword === 'const') return `must be ${String(error.params['allowedValue'])}`
  if (error.keyword === 'type' && error.params['type'] === 'integer') return 'must be a whole number'
  if (error.keyword === 'format') return forms[String(error.params['format'])] ?? 'does not have the form it must have'
  if (error.keyword === 'pattern') return formOf(error.parentSchema)
  return error.message ?? 'is not valid'
}

/** The same for programs, with the limit where there is one. */
function codeOf({ keyword, params }: ErrorObject): Pick<FieldError, 'code' | 'limit'> {
  const limit: unknown = params['limit']
  if (keyword === 'minLength' && limit === 1) return { code: 'empty' }
  if (keyword === 'type') return ['integer', 'number'].includes(String(params['type'])) ? { code: 'not-a-number' } : {}
  const code = codes[keyword] ?? (Array.isArray(params['allowedValues']) ? 'not-a-choice' : undefined)
  if (code === undefined) return {}
  return typeof limit === 'number' ? { code, limit } : { code }
}

const codes: Readonly<Record<string, FieldCode>> = {
  required: 'required',
  additionalProperties: 'unknown-field',
  minLength: 'too-short',
  maxLength: 'too-long',
  minItems: 'too-few',
  maxItems: 'too-many',
  maxProperties: 'too-many',
  minimum: 'too-small',
  maximum: 'too-large',
  uniqueItems: 'repeated',
  enum: 'not-a-choice',
  const: 'not-a-choice',
  format: 'wrong-form',
  pattern: 'wrong-form',
}

const several = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

const sentences: Readonly<Record<string, (limit: number) => string>> = {
  required: () => 'is required',
  not: () => 'must not be this value',
  minLength: (limit) => (limit === 1 ? 'must not be empty' : `must have at least ${limit} characters`),
  maxLength: (limit) => `must have at most ${several(limit, 'character')}`,
  minItems: (limit) => `must have at least ${several(limit, 'item')}`,
  maxItems: (limit) => `must have at most ${several(limit, 'item')}`,
  maxProperties: (limit) => `must have at most ${several(limit, 'field')}`,
  minimum: (limit) => `must be at least ${limit}`,
  maximum: (limit) => `must be at most ${limit}`,
}

const forms: Readonly<Record<string, string>> = {
  'date-time': 'must be a time with its zone, such as 2026-11-23T10:15:00Z',
  uuid: 'must be a UUID',
  email: 'must be an email address',
}

/** What the contract says about the form of a text, and its example. */
function formOf(schema: object = {}): string {
  const { description, examples }: { description?: unknown; examples?: unknown } = schema
  if (typeof description !== 'string') return 'does not have the form it must have'
  const example = Array.isArray(examples) ? `, such as ${String(examples[0])}` : ''
  return `must be ${description.charAt(0).toLowerCase()}${description.slice(1)}${example}`
}

/** Replaces the errors of each union, innermost first, by those of the alternative with the fewest. */
function bestAlternatives(errors: readonly ErrorObject[]): readonly ErrorObject[] {
  let kept = [...errors]
  for (const union of errors.filter((error) => error.keyword === 'anyOf')) {
    const branches = new Map<string, ErrorObject[]>()
    for (const error of kept) {
      const branch = branchOf(error, union)
      if (branch !== undefined) branches.set(branch, [...(branches.get(branch) ?? []), error])
    }
    const all = [...branches.values()]
    const best = all.toSorted((a, b) => cost(a) - cost(b))[0]
    if (best === undefined) continue
    const isChoice = all.every((branch) => branch.every((error) => error.keyword === 'const'))
    const types = all.map(([first, ...others]) => (others.length === 0 ? typeWanted(first, union) : undefined))
    const wanted = types.includes(undefined) ? undefined : [...new Set(types)].join(' or ')
    const choice = {
      ...union,
      params: { allowedValues: all.flat().map((error) => String(error.params['allowedValue'])) },
    }
    kept = [
      ...kept.filter((error) => error !== union && branchOf(error, union) === undefined),
      ...(isChoice ? [choice] : wanted === undefined ? best : [{ ...union, message: `must be ${wanted}` }]),
    ]
  }
  return kept
}

/** The type that an alternative asks of the value itself, when that is all that is wrong. */
function typeWanted(error: ErrorObject | undefined, union: ErrorObject): string | undefined {
  const isOfValue = error?.keyword === 'type' && error.instancePath === union.instancePath
  return isOfValue ? String(error.params['type']) : undefined
}

/** A wrong type tells less about what was meant than a wrong field, so it counts more. */
function cost(branch: readonly ErrorObject[]): number {
  return branch.reduce((sum, error) => sum + (error.keyword === 'type' ? 10 : 1), 0)
}

function branchOf(error: ErrorObject, union: ErrorObject): string | undefined {
  const prefix = `${union.schemaPath}/`
  if (!error.schemaPath.startsWith(prefix) || !error.instancePath.startsWith(union.instancePath)) return undefined
  return error.schemaPath.slice(prefix.length).split('/', 1)[0]
}
